"""Small street scenes with known pixels, written in any layout."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 6, 8

LABEL_IDS = (7, 11, 23, 4)  # road, building, sky, and static, which is ignored
TRAIN_IDS = (0, 2, 10, 255)  # the same in trainIds


def tiny_photograph(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def tiny_scene(*values: int) -> NDArray[np.uint8]:
    """Four bands of two columns, one a value; the last value fills what is left."""
    return np.tile(np.repeat([*values, *[values[-1]] * (4 - len(values))], 2), (HEIGHT, 1)).astype(np.uint8)


def write_png(path: Path, pixels: NDArray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(path)
    return path


def write_png_of_depth(path: Path, depth: int, colour_type: int, channels: int) -> Path:
    """A PNG such as Pillow cannot write: grey (colour type 0) or RGB (2) of any bit depth, all bits 0 but the last."""
    row_bytes = WIDTH * depth * channels // 8
    row = b"\0" + bytes(row_bytes - 1) + b"\1"
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * HEIGHT)), (b"IEND", b""))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks)))
    return path


def write_cityscapes(
    root: Path,
    name: str,
    *,
    split: str = "train",
    label_ids: tuple[int, ...] | None = LABEL_IDS,
    train_ids: tuple[int, ...] | None = None,
) -> None:
    """One image, ``aachen_000000_000019``, and the label maps that are given."""
    city = name.split("_")[0]
    write_png(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", tiny_photograph(len(name)))
    for kind, values in (("labelIds", label_ids), ("labelTrainIds", train_ids)):
        if values is not None:
            write_png(root / "gtFine" / split / city / f"{name}_gtFine_{kind}.png", tiny_scene(*values))


def write_gta5(root: Path, name: str, values: tuple[int, ...] = LABEL_IDS) -> None:
    write_png(root / "images" / f"{name}.png", tiny_photograph(int(name)))
    write_png(root / "labels" / f"{name}.png", tiny_scene(*values), mode="P")


def write_camvid(folder: Path, name: str, values: tuple[int, ...] = (3, 1, 0, 11), split: str = "train") -> None:
    write_png(folder / split / f"{name}.png", tiny_photograph(1))
    write_png(folder / f"{split}annot" / f"{name}.png", tiny_scene(*values))


def write_bdd100k(
    root: Path, name: str, *, legacy: bool = False, split: str = "train", values: tuple[int, ...] | None = TRAIN_IDS
) -> None:
    images, labels = ("seg/images", "seg/labels") if legacy else ("images/10k", "labels/sem_seg/masks")
    path = root / images / split / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tiny_photograph(2)).save(path)
    if values is not None:
        write_png(root / labels / split / f"{name}{'_train_id' if legacy else ''}.png", tiny_scene(*values))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    kind, content = part
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

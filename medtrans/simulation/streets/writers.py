"""Simulated street scenes on disk, in the layout of Cityscapes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medtrans.errors import DataError
from medtrans.simulation.folders import check_numbers, complete_or_absent
from medtrans.simulation.streets.cities import CITIES, City, get_city
from medtrans.simulation.streets.photograph import photograph
from medtrans.simulation.streets.scene import draw_scene

MODEL = 1
"""Counts changes of the simulation that change its pixels, so that older folders are not taken for the same."""

SMALLEST_PX = 32
FRAME = 19
"""Frame number of every image: in Cityscapes, the annotated one of each sequence of 30."""


def simulate_cityscapes(
    root: str | Path,
    *,
    cities: Sequence[str | City] = tuple(CITIES),
    images_per_city: int,
    size: tuple[int, int] = (256, 512),
    seed: int = 0,
) -> Path:
    """Write simulated street scenes into ``root``, which plays the folder of Cityscapes; returns it.

    Image i of a city is ``leftImg8bit/train/{city}/{city}_{i:06d}_000019_leftImg8bit.png`` (RGB, 8 bits, ``size`` =
    rows and columns) with ``gtFine/train/{city}/..._gtFine_labelIds.png`` (8 bits, Cityscapes label ids, among them ids
    that the toolkit ignores). All of it is simulated, cities included.

    An image depends on (seed, city, i) alone, and what it shows not on the size. A folder that already holds this very
    simulation is kept as it is. DataError for a folder with anything else in it, an unknown city, or numbers out of
    range.
    """
    chosen = [get_city(city) for city in cities]
    names = [city.name for city in chosen]
    check_numbers(cities=len(names), images_per_city=images_per_city, seed=seed)
    if len(set(names)) < len(names):
        raise DataError(f"cities {names}: give each city once")
    if min(size) < SMALLEST_PX:
        raise DataError(f"size is {size}: simulate with at least {SMALLEST_PX} rows and columns")

    def write(folder: Path) -> None:
        for city in chosen:
            for number in range(images_per_city):
                image, label = street_scene(city, number, size=size, seed=seed)
                stem = f"{city.name}_{number:06d}_{FRAME:06d}"
                _write_png(folder / "leftImg8bit" / "train" / city.name / f"{stem}_leftImg8bit.png", image)
                _write_png(folder / "gtFine" / "train" / city.name / f"{stem}_gtFine_labelIds.png", label)

    parameters = {
        "model": MODEL,
        "layout": "cityscapes",
        "images_per_city": images_per_city,
        "size": list(size),
        "seed": seed,
        "cities": [asdict(city) for city in chosen],
    }
    return complete_or_absent(Path(root), parameters, write)


def street_scene(
    city: str | City, number: int, *, size: tuple[int, int] = (256, 512), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image ``number`` of a simulated city, uint8 (rows, columns, 3), and its Cityscapes label ids, (rows, columns)."""
    city = get_city(city)
    key = [seed, zlib.crc32(city.name.encode()), number]
    canvas, street = draw_scene(city, size, np.random.default_rng(key))
    return photograph(canvas, street, city, np.random.default_rng([*key, 1])), canvas.label


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=3)

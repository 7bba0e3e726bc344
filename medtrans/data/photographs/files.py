"""From PNG and JPEG files to the arrays of a case, by Pillow.

Photographs have no air around them and no millimetres: an array is indexed ``[row, column]``, the unit is the pixel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medtrans.errors import DataError

MEAN = (0.485, 0.456, 0.406)
"""Of red, green and blue in ImageNet, where black is 0 and white is 1."""

DEVIATION = (0.229, 0.224, 0.225)
"""Standard deviations that belong to ``MEAN``."""

# Value 0 .. 255 to normalised value, by channel. None is 0, as no mean is a multiple of 1/255: 0 would mean air.
_NORMALISED = ((np.arange(256) / 255 - np.array(MEAN)[:, None]) / np.array(DEVIATION)[:, None]).astype(np.float32)

_HOW_TO_CONVERT = "convert it to 8-bit RGB, for example by: magick in.png -alpha off -depth 8 PNG24:out.png"
_MODES = {  # Pillow's name: ours
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGB": "RGB",
    "RGBA": "RGB with alpha",
    "I": "grey",
    "I;16": "grey",
}


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit RGB image, shape (height, width, 3), upright: as its EXIF orientation says.

    Raises DataError where the file is missing, truncated, no PNG or JPEG, of another kind (16 bits, alpha, grey,
    palette), or of one colour.
    """
    with _opened(path) as image:
        depth = _bit_depth(path)
        if image.mode != "RGB" or depth != 8:
            raise DataError(f"{path}: is {_kind(image, depth)}; {_HOW_TO_CONVERT}")
        pixels = _upright(image)
    if (pixels[0] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():  # one row is enough for nearly all
        colour = tuple(pixels[0, 0].tolist())
        raise DataError(f"{path}: every pixel is {colour}; check the file or leave the case out")
    return pixels


def read_class_indices(path: Path) -> NDArray[np.uint8]:
    """Read a label map as it is in the file, shape (height, width); of a palette image the indices, not the colours.

    Raises DataError where the file is missing, truncated, no PNG, holds colours, or has not 8 bits a pixel.
    """
    with _opened(path) as image:
        depth = _bit_depth(path)
        if image.format != "PNG":
            raise DataError(f"{path}: is a {image.format} file, which does not keep class indices; give a PNG")
        if image.mode not in ("L", "P") or (image.mode == "L" and depth != 8):
            raise DataError(f"{path}: {_not_indices(image, depth)}")
        return _upright(image)


def preprocess_photograph(
    pixels: NDArray[np.uint8], label: NDArray[np.uint8], size: tuple[int, int] | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resize an RGB image (bilinear, with antialiasing) and its label map (nearest), and normalise the image.

    Args:
        pixels: uint8, shape (height, width, 3).
        label: uint8, shape (height, width).
        size: height and width to resize to; None: as it is. Whether that keeps the proportions is up to the caller.

    Returns:
        float32, shape (3, height, width): ``(x / 255 - mean) / standard deviation`` of ImageNet, nowhere exactly 0; and
        the label map, uint8, shape (height, width).
    """
    if size is not None and size != label.shape:
        width_first = size[::-1]
        pixels = np.asarray(Image.fromarray(pixels).resize(width_first, Image.Resampling.BILINEAR))
        label = np.asarray(Image.fromarray(label).resize(width_first, Image.Resampling.NEAREST))
    return np.stack([_NORMALISED[channel][pixels[..., channel]] for channel in range(3)]), label


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image, not yet decoded; whatever goes wrong until the context is left is a DataError."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            yield image
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check the root folder") from error
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        detail = " ".join(str(error).replace(str(path), "").split())[-120:]
        raise DataError(f"{path}: truncated, or not a PNG or JPEG image ({detail}); fetch or copy it again") from error


def _upright(image: Image.Image) -> NDArray[np.uint8]:
    """Its pixels as viewers show them: turned and mirrored as its EXIF orientation asks for."""
    return np.asarray(ImageOps.exif_transpose(image), dtype=np.uint8)


def _bit_depth(path: Path) -> int:
    """Bits of one channel. Pillow does not tell: it reads RGB of 16 bits as if it were of 8."""
    with path.open("rb") as file:
        start = file.read(25)
    return start[24] if start.startswith(b"\x89PNG") else 8


def _kind(image: Image.Image, depth: int) -> str:
    return f"{depth}-bit {_MODES.get(image.mode, image.mode)}"


def _not_indices(image: Image.Image, depth: int) -> str:
    if image.mode.startswith("RGB"):
        return (
            "holds colours, not class indices; give the label map of indices (a palette image that some program has "
            "turned into colours must be fetched again)"
        )
    return f"is {_kind(image, depth)}, but class indices are 8-bit grey or palette; give the label map of classes"

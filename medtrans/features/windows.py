"""Which part of an image goes through a network, with how much padding, and where an image's pixels lie in it.

Whatever an image goes through a network for (training, evaluation, scoring), it is padded at the end of each axis, here
and nowhere else: with instance normalisation and pooling, other padding gives other features everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medtrans.errors import NetworkError
from medtrans.networks import padded_size
from medtrans.tasks import Case

WINDOW_3D = 96
"""Voxels a side of the windows and patches in which a volume goes through a network, where nothing else is asked."""


Pixel = TypeVar("Pixel", bound=np.generic)


class Pixels(Protocol):
    """U positions in some cases, as a ``PixelSample`` has them."""

    @property
    def case_index(self) -> NDArray[np.int64]:
        """int64 (U,), index into the cases."""

    @property
    def position(self) -> NDArray[np.int64]:
        """int64 (U, ndim), the pixel in its case's image."""


def padded_to(array: NDArray[Pixel], shape: Sequence[int], value: int | None = 0) -> NDArray[Pixel]:
    """An array whose last axes are padded at their end up to a spatial shape.

    ``None`` continues the last values: between the cells of a coarse feature map its last pixels are interpolated.
    """
    spatial = array.shape[-len(shape) :]
    if spatial == tuple(shape):
        return array
    width = [(0, 0)] * (array.ndim - len(shape)) + [(0, to - at) for at, to in zip(spatial, shape, strict=True)]
    return np.pad(array, width, mode="edge") if value is None else np.pad(array, width, constant_values=value)


def padded_for(images: Tensor, divisor: int) -> Tensor:
    """Images (B, channels, ...) with zeros at the end of each axis, up to a size that the network takes."""
    sizes = images.shape[2:]
    missing = [to - at for at, to in zip(sizes, padded_shape(sizes, divisor), strict=True)]
    return functional.pad(images, [pad for length in reversed(missing) for pad in (0, length)])


def padded_shape(size: Sequence[int], divisor: int) -> tuple[int, ...]:
    """The size up to which an image is padded for a network that takes multiples of ``divisor``; see `padded_size`."""
    return tuple(padded_size(length, divisor) for length in size)


@dataclass(frozen=True, eq=False)
class Window:
    """A part of an image, with zeros where it reaches beyond, and the sampled pixels that take their values from it."""

    image: NDArray[np.float32]  # (channels, *spatial), all of it
    origin: NDArray[np.int64]  # the window's first pixel, counted in the image
    shape: tuple[int, ...]
    rows: NDArray[np.int64]  # (n,) indices into the sampled pixels
    local: NDArray[np.int64]  # (n, ndim) their positions, counted in the window

    def content(self) -> NDArray[np.float32]:
        """Shape ``(channels, *shape)``."""
        inside = map(slice, self.origin, self.origin + self.shape)
        return padded_to(self.image[(slice(None), *inside)], self.shape)


def windows_around(cases: Sequence[Case], pixels: Pixels, roi_size: Sequence[int] | None, divisor: int) -> list[Window]:
    """The windows that hold sampled pixels, each pixel in one of them."""
    windows = []
    for index in np.unique(pixels.case_index):
        image = cases[index].image
        rows = np.flatnonzero(pixels.case_index == index)
        shape = _window_shape(image.shape[1:], roi_size, divisor)
        origins, which = np.unique(_origins(pixels.position[rows], image.shape[1:], shape), axis=0, return_inverse=True)
        for i, origin in enumerate(origins):
            inside = rows[which.reshape(-1) == i]
            windows.append(Window(image, origin, shape, inside, pixels.position[inside] - origin))
    return windows


def default_window(size: Sequence[int], divisor: int) -> tuple[int, ...]:
    """The window for an image of this size: the whole of a slice, at most ``WINDOW_3D`` a side of a volume."""
    limit = padded_size(WINDOW_3D, divisor)
    whole = padded_shape(size, divisor)
    return whole if len(size) == 2 else tuple(min(length, limit) for length in whole)


def _window_shape(size: tuple[int, ...], roi_size: Sequence[int] | None, divisor: int) -> tuple[int, ...]:
    if roi_size is None:
        return default_window(size, divisor)
    if len(roi_size) != len(size) or any(length < 1 or length % divisor for length in roi_size):
        raise NetworkError(
            f"window {tuple(roi_size)} does not fit a {len(size)}D network that takes multiples of {divisor}; "
            "give one such size per axis"
        )
    return tuple(roi_size)


def _origins(position: NDArray[np.int64], size: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """First pixel of the first window that covers each position; (n, ndim)."""
    first_of_cell = position // shape * shape
    return np.asarray(np.minimum(first_of_cell, np.maximum(size, shape) - shape))


def batches_of(windows: list[Window], batch_size: int) -> Iterator[list[Window]]:
    """Windows of one shape together."""
    for _, same_shape in groupby(sorted(windows, key=lambda window: window.shape), key=lambda window: window.shape):
        group = list(same_shape)
        yield from (group[start : start + batch_size] for start in range(0, len(group), batch_size))

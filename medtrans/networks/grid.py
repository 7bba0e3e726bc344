"""How the cells of a feature map lie on the pixels of the image, and what the map is worth at a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Grid:
    """Where the cells of a feature map lie, along each spatial axis; between their centres values change linearly.

    Attributes:
        stride: pixels of the image from one cell to the next.
        corners: where cell i has its centre. False: at pixel ``stride * (i + 1/2) - 1/2``, the middle of the pixels
            that a pooling takes together. True: at pixel ``stride * i``, where convolutions of odd size with a stride
            look at. These are the two conventions of ``torch.nn.functional.interpolate`` (``align_corners``).
    """

    stride: tuple[float, ...]
    corners: bool = False

    @property
    def is_fine(self) -> bool:
        """Whether every pixel has its own cell."""
        return all(stride == 1 for stride in self.stride)

    def covered(self, cells: Sequence[int]) -> tuple[int, ...]:
        """The size in pixels of the image that a map of so many cells belongs to.

        >>> Grid((8, 8)).covered((8, 9)), Grid((8, 8), corners=True).covered((9, 10))
        ((64, 72), (65, 73))
        """
        last = 1 if self.corners else 0
        return tuple(round(stride * (n - last)) + last for stride, n in zip(self.stride, cells, strict=True))

    def enlarge(self, maps: Tensor) -> Tensor:
        """From maps ``(B, D, *cells)`` to their values at all pixels ``(B, D, *covered)``."""
        if self.is_fine:
            return maps
        mode = "bilinear" if len(self.stride) == 2 else "trilinear"
        return functional.interpolate(maps, size=self.covered(maps.shape[2:]), mode=mode, align_corners=self.corners)

    def at(self, maps: Tensor, image_index: Tensor, position: Sequence[Tensor]) -> Tensor:
        """The values ``(n, D)`` that ``enlarge`` gives at some pixels, without those at all the others.

        Args:
            maps: shape ``(B, D, *cells)``.
            image_index: int64, shape ``(n,)``, index into the batch.
            position: the pixel in the image, one int64 tensor ``(n,)`` for each spatial axis.
        """
        if self.is_fine:
            return _at_cells(maps, image_index, position)
        neighbours = []
        for stride, n_cells, pixel in zip(self.stride, maps.shape[2:], position, strict=True):
            first = 0 if self.corners else (stride - 1) / 2
            place = ((pixel.double() - first) / stride).clamp(0, n_cells - 1)
            low = place.long()
            share = place - low
            neighbours.append([(low, 1 - share), ((low + 1).clamp(max=n_cells - 1), share)])
        values = maps.new_zeros(len(image_index), maps.shape[1])
        for cells in product(*neighbours):
            share = cells[0][1]
            for _, of_axis in cells[1:]:
                share = share * of_axis
            values += _at_cells(maps, image_index, [cell for cell, _ in cells]) * share[:, None].to(maps.dtype)
        return values


class Enlarge(nn.Module):
    """``Grid.enlarge`` as a layer."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(B, D, *cells)`` to ``(B, D, *covered)``."""
        return self.grid.enlarge(maps)


def cropped(maps: Tensor, size: Sequence[int]) -> Tensor:
    """The first pixels along each spatial axis of ``(B, D, *spatial)``."""
    inside: Any = (..., *map(slice, size))
    return maps[inside]


def _at_cells(maps: Tensor, image_index: Tensor, cells: Sequence[Tensor]) -> Tensor:
    index: Any = (image_index, slice(None), *cells)
    return maps[index]

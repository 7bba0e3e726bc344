"""How far a pixel is from the nearest edge of a segmentation; in pixels where the spacing is 1, as in photographs.

SciPy's distance transform measures between pixel centres, but an edge lies between two of them, half a spacing from
each. Measured to the centres, a band of 4 mm would reach half a voxel further in a coarse scan than in a fine one.
Here distances are to the edge itself, exact, and only as far as the band is wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from medtrans.tasks import IGNORE_LABEL

Mask = NDArray[np.bool_]


def edge_distance_mm(
    label: NDArray[np.uint8],
    spacing_mm: Sequence[float],
    ignore_label: int | None = IGNORE_LABEL,
    *,
    limit_mm: float = np.inf,
) -> NDArray[np.float32]:
    """Distance from each pixel's centre to the nearest edge between two classes, in mm.

    An edge is the face that two neighbouring pixels of different labels share; the distance is to the nearest point of
    the nearest face. A pixel that touches an edge is half a spacing away. Cutting all pixels into smaller ones of the
    same label leaves the distance at a point as it was.

    Args:
        label: class indices, any number of axes.
        spacing_mm: distance between neighbouring centres along each axis.
        ignore_label: pixels of this label share an edge with nobody; None makes it a class like any other.
        limit_mm: larger distances are returned as infinity. Time grows in proportion to it.

    Returns:
        float32, shape of ``label``, at least half the smallest spacing; infinity where no edge is within ``limit_mm``.
    """
    return distance_mm(touching_edge(label, ignore_label), spacing_mm, limit_mm)


def touching_edge(label: NDArray[np.uint8], ignore_label: int | None = IGNORE_LABEL) -> list[Mask]:
    """For each axis, the pixels that touch an edge perpendicular to it."""
    touching = []
    for axis in range(label.ndim):
        mask = np.zeros(label.shape, dtype=bool)
        along, along_mask = np.moveaxis(label, axis, 0), np.moveaxis(mask, axis, 0)
        edge = along[1:] != along[:-1]
        if ignore_label is not None:
            edge &= (along[1:] != ignore_label) & (along[:-1] != ignore_label)
        along_mask[1:] |= edge
        along_mask[:-1] |= edge
        touching.append(mask)
    return touching


def distance_mm(touching: Sequence[Mask], spacing_mm: Sequence[float], limit_mm: float) -> NDArray[np.float32]:
    """Distance to the edges that ``touching_edge`` found; see ``edge_distance_mm``."""
    distance = np.full(touching[0].shape, np.inf, dtype=np.float32)
    box = _box_within(np.logical_or.reduce(touching), spacing_mm, limit_mm)
    if box is None:
        return distance
    squared = [_squared_distance(mask[box], axis, spacing_mm, limit_mm) for axis, mask in enumerate(touching)]
    near = np.sqrt(np.minimum.reduce(squared))
    distance[box] = np.where(near <= limit_mm, near, np.inf)
    return distance


def _box_within(mask: Mask, spacing_mm: Sequence[float], limit_mm: float) -> tuple[slice, ...] | None:
    """The part of the image that can be within ``limit_mm`` of the mask; None if the mask is empty."""
    boxes = find_objects(mask.view(np.uint8))
    if not boxes:
        return None
    margins = [_reach(limit_mm, step, size) for step, size in zip(spacing_mm, mask.shape, strict=True)]
    return tuple(
        slice(max(0, part.start - margin), part.stop + margin) for part, margin in zip(boxes[0], margins, strict=True)
    )


def _squared_distance(touching: Mask, axis: int, spacing_mm: Sequence[float], limit_mm: float) -> NDArray[np.float32]:
    """Squared distance to the nearest edge perpendicular to ``axis``, built up one axis after another.

    Along ``axis``, k pixels on from one that touches, an edge is (k + 1/2) spacings away. Along the others it is as
    wide as a pixel: k pixels aside, its rim is (k - 1/2) spacings away.
    """
    squared = np.where(touching, np.float32((spacing_mm[axis] / 2) ** 2), np.float32(np.inf))
    for other, step in enumerate(spacing_mm):
        k = np.arange(1, _reach(limit_mm, step, touching.shape[other]))
        added = (k * (k + 1) if other == axis else (k - 0.5) ** 2) * step**2
        squared = _spread(squared, other, added.astype(np.float32))
    return squared


def _spread(squared: NDArray[np.float32], axis: int, added: NDArray[np.float32]) -> NDArray[np.float32]:
    """Minimum of each value and of those k pixels before and behind it along ``axis``, plus ``added[k - 1]``."""
    result = squared.copy()
    source, target = np.moveaxis(squared, axis, 0), np.moveaxis(result, axis, 0)
    for k, addend in enumerate(added, start=1):
        np.minimum(target[k:], source[:-k] + addend, out=target[k:])
        np.minimum(target[:-k], source[k:] + addend, out=target[:-k])
    return result


def _reach(limit_mm: float, step: float, size: int) -> int:
    """Number of pixels along an axis after which every edge is beyond the limit, at most ``size``."""
    return int(min(size, np.floor(limit_mm / step + 0.5) + 1))

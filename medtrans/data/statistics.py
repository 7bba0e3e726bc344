"""What a task looks like without its images: where its structure lies on average, and how its intensities are spread.

Both are small enough to travel in a source's signature, and both are what the candidate filters compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medtrans.errors import DataError
from medtrans.tasks import Case, is_structure

GRID = 32
"""Cells of a mean shape along each axis of the body's box, or of a photograph."""


@dataclass(frozen=True, eq=False)
class MeanShape:
    """Mean foreground over subjects, on a grid stretched over the body's box, or over the image.

    Attributes:
        values: float32 in [0, 1], shape (G, G, G), or (G, G) for images without a height: the part of each cell that is
            foreground, averaged over the subjects that show it; 0 where nobody does.
        observed: bool, shape (G,): the planes along the last axis that some case shows.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]


def mean_shape(cases: Sequence[Case], *, grid: int = GRID) -> MeanShape:
    """Where the structure lies, averaged first over the cases of a subject and then over subjects.

    Foreground is every class but 0 and ``IGNORE_LABEL``. Volumes are pooled to (grid, grid, grid) cells by area; a
    slice with a height fills the one plane it lies in; images without one give a (grid, grid) map.
    Where class 0 is no background (``Task.has_background``) that says nothing: such tasks have no mean shape.

    Raises:
        DataError: no cases, or a mixture of volumes, slices with a height and images without.
    """
    found = {_geometry(case) for case in cases}
    if len(found) != 1:
        given = " and ".join(sorted(found)) or "no cases"
        raise DataError(f"mean shape: {given}; give one of the three: volumes, slices with a height, images without")
    if found == {"images without a height"}:
        maps = [_mean([_pooled(case, grid) for case in group]) for group in _by_subject(cases)]
        return MeanShape(_mean(maps), np.ones(grid, dtype=np.bool_))
    total = np.zeros((grid, grid, grid), dtype=np.float32)
    n_subjects = np.zeros(grid, dtype=np.float32)  # that show each plane
    for group in _by_subject(cases):
        values, shown = _subject_shape(group, grid)
        total += values
        n_subjects += shown
    return MeanShape(_divided(total, n_subjects), n_subjects > 0)


def intensity_quantiles(cases: Sequence[Case], n: int = 101) -> NDArray[np.float32]:
    """Quantiles at levels 0, 1/(n-1) .. 1 of the first channel (red, in photographs) inside the body.

    The pixels of all cases are pooled. Float32, shape (n,), ascending, in units of the preprocessed image: standard
    deviations from the mean of the body, for z-scored images. The mean absolute difference of two such arrays is the
    1-D Wasserstein distance between the intensities.

    Raises:
        DataError: no case shows a body.
    """
    inside = [case.image[0][case.body] for case in cases]
    values = np.concatenate(inside) if inside else np.empty(0, dtype=np.float32)
    if not values.size:
        raise DataError("intensity quantiles: every pixel is background; check what was read")
    return np.quantile(values, np.linspace(0, 1, n)).astype(np.float32)


def _geometry(case: Case) -> str:
    if case.ndim == 3:
        return "volumes"
    return "images without a height" if case.height is None else "slices with a height"


def _by_subject(cases: Sequence[Case]) -> Iterable[list[Case]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.subject, []).append(case)
    return groups.values()


def _subject_shape(cases: Sequence[Case], grid: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean foreground of one subject, and 1 for each plane that it shows."""
    total = np.zeros((grid, grid, grid), dtype=np.float32)
    count = np.zeros(grid, dtype=np.float32)
    for case in cases:
        planes = slice(None) if case.height is None else min(int(case.height * grid), grid - 1)
        total[..., planes] += _pooled(case, grid)
        count[planes] += 1
    return _divided(total, count), (count > 0).astype(np.float32)


def _pooled(case: Case, grid: int) -> NDArray[np.float32]:
    """The part of each cell of the grid that is foreground."""
    foreground = is_structure(case.label, has_background=True)
    image = torch.from_numpy(foreground.astype(np.float32))[None, None]
    if case.ndim == 3:
        pooled = functional.adaptive_avg_pool3d(image, (grid, grid, grid))
    else:
        pooled = functional.adaptive_avg_pool2d(image, (grid, grid))
    return np.asarray(pooled[0, 0].numpy(), dtype=np.float32)


def _divided(total: NDArray[np.float32], count: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums into means, plane by plane; 0 where nothing was added."""
    return np.divide(total, np.maximum(count, 1), dtype=np.float32)


def _mean(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.mean(np.stack(maps), axis=0), dtype=np.float32)

"""From a preprocessed volume to two-dimensional cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medtrans.data.scans.preprocessing import Prepared
from medtrans.errors import ConfigError, DataError
from medtrans.evenly import evenly
from medtrans.tasks import IGNORE_LABEL, Case, is_structure


def slice_cases(
    case_id: str, volume: Prepared, slices: int | Sequence[int] | None, empty_slices: int | None = None
) -> tuple[list[Case], tuple[str, ...]]:
    """Slices along the last axis as cases ``<case_id>/z081`` (or x, y), and notes on what was not as asked.

    The number is the slice's index in the file after reorientation. ``slices``: how many, at equal steps of the
    structure's cumulative area; or which, by that index; or None for every slice that shows the body. ``empty_slices``
    more, beside a number of them, are evenly spaced among those that show the body but not the structure. Of a number
    of slices each stands for others: so many as its share of the structure's area makes, so many as it is one of.
    """
    notes: tuple[str, ...] = ()
    if slices is None:
        chosen = dict.fromkeys(np.flatnonzero(volume.body.any(axis=(0, 1))).tolist(), 1.0)
    elif isinstance(slices, int):
        chosen = _standing_for_area(volume.label, structure_slices(volume.label, slices))
        if len(chosen) < slices:
            notes = (f"{slices} slices asked for, but only {len(chosen)} show the structure.",)
        empty = _empty_slices(volume, empty_slices or 0)
        if len(empty) < (empty_slices or 0):
            notes += (f"{empty_slices} empty slices asked for, but only {len(empty)} show the body without it.",)
        chosen = dict(sorted((chosen | empty).items()))
    else:
        chosen = dict.fromkeys(_slices_named(case_id, volume, slices), 1.0)
    return [_slice_case(case_id, volume, z, chosen[z]) for z in chosen], notes


def _standing_for_area(label: NDArray[np.uint8], chosen: list[int]) -> dict[int, float]:
    """By slice that shows the structure, how many it stands for: all together for the structure's area."""
    area = _structure_area(label)
    return {z: float(area.sum() / len(chosen) / area[z]) for z in chosen}


def _empty_slices(volume: Prepared, n: int) -> dict[int, float]:
    """The middle ones of n equal parts of the slices with the body but without the structure, each for its part."""
    unknown = (volume.label == IGNORE_LABEL).any(axis=(0, 1))
    free = np.flatnonzero(volume.body.any(axis=(0, 1)) & (_structure_area(volume.label) == 0) & ~unknown)
    chosen = free[evenly(len(free), n)].tolist()
    return {z: len(free) / len(chosen) for z in chosen}


def _structure_area(label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels of the structure in each slice."""
    return np.asarray(np.count_nonzero(is_structure(label, has_background=True), axis=(0, 1)))


def structure_slices(label: NDArray[np.uint8], n: int) -> list[int]:
    """The n slices that show a structure: where its cumulative area passes (k + 1/2) / n, k = 0..n-1.

    They are distinct: a slice that would be taken twice gives way to the nearest one still free. All slices that show
    the structure, where there are no more than n.
    """
    if n < 1:
        raise ConfigError(f"slices: {n} is not a number of slices; ask for at least one")
    area = _structure_area(label)
    free = np.flatnonzero(area)
    if free.size <= n:
        return [int(z) for z in free]
    steps = (np.arange(n) + 0.5) / n * area.sum()
    chosen = []
    for ideal in np.searchsorted(np.cumsum(area), steps):
        nearest = np.abs(free - ideal).argmin()
        chosen.append(int(free[nearest]))
        free = np.delete(free, nearest)
    return sorted(chosen)


def _slices_named(case_id: str, volume: Prepared, slices: Sequence[int]) -> list[int]:
    with_body = np.asarray(volume.body.any(axis=(0, 1)))
    chosen = [index - volume.first_slice for index in dict.fromkeys(slices)]
    if not chosen:
        raise ConfigError("the list of slices is empty; name at least one, or leave it out for all")
    for z in chosen:
        if not (0 <= z < with_body.size and with_body[z]):
            first, last = (np.flatnonzero(with_body)[[0, -1]] + volume.first_slice).tolist()
            raise DataError(
                f"case '{case_id}': slice {z + volume.first_slice} shows no body; choose from {first} to {last}"
            )
    return chosen


def _slice_case(case_id: str, volume: Prepared, z: int, stands_for: float) -> Case:
    return Case(
        id=f"{case_id}/{volume.across}{z + volume.first_slice:03d}",
        image=np.ascontiguousarray(volume.image[None, :, :, z]),  # a copy, so that the volume can go
        label=np.ascontiguousarray(volume.label[:, :, z]),
        body_mask=np.ascontiguousarray(volume.body[:, :, z]),
        spacing_mm=volume.spacing_mm[:2],
        subject=case_id,
        height=z / max(volume.label.shape[2] - 1, 1),
        stands_for=stands_for,
    )

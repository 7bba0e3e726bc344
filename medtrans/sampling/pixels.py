"""Repeated samples over one set of pixels, so that a model runs once for all repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import SamplingError, did_you_mean
from medtrans.sampling.candidates import (
    Candidates,
    Weighting,
    boundary_candidates,
    outside_candidates,
    uniform_candidates,
)
from medtrans.tasks import Case

Kind = Literal["boundary", "uniform"]


@dataclass(frozen=True, eq=False)
class PixelSample:
    """K samples of N pixels each, held as the U different pixels among them.

    Attributes:
        case_index: int64 (U,), index into the cases.
        position: int64 (U, ndim), the pixel in its case's label map.
        label: uint8 (U,), its class.
        repetitions: K arrays, int64 (N,), sorted indices into the U pixels.
        notes: what a reader of the result should know, one sentence each.
    """

    case_index: NDArray[np.int64]
    position: NDArray[np.int64]
    label: NDArray[np.uint8]
    repetitions: tuple[NDArray[np.int64], ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.label)


def sample_pixels(
    cases: Sequence[Case],
    *,
    kind: Kind = "boundary",
    n_pixels: int = 10_000,
    repetitions: int = 10,
    band_mm: float = 4.0,
    weighting: Weighting = "uniform",
    balance_classes: bool = False,
    ignored_edges: bool = False,
    outside: float = 0.4,
    rng: np.random.Generator,
) -> PixelSample:
    """Draw ``n_pixels`` pixels, ``repetitions`` times, independently, each time without replacement.

    Of scans, 60% of each sample lie near edges between classes and 40% outside the body, unless asked otherwise; images
    without an outside, photographs among them, give all near edges.

    ``kind="boundary"`` draws from ``boundary_candidates``; ``kind="uniform"`` from ``uniform_candidates``, which need
    none of ``band_mm``, ``weighting`` and ``ignored_edges``. Where fewer pixels exist than asked for, all are used and
    a note says so.

    ``outside`` is the share of each sample that comes from outside the body (``outside_candidates``), in [0, 1): a
    network that is transferred must find nothing there either. Where images have no outside, all pixels are inside.

    Raises:
        SamplingError: nothing can be drawn, or a setting makes no sense.
    """
    for name, count in (("n_pixels", n_pixels), ("repetitions", repetitions)):
        if count < 1:
            raise SamplingError(f"{name} is {count}; give at least 1")
    if kind not in get_args(Kind):
        raise SamplingError(f"unknown sampler '{kind}'; {did_you_mean(kind, get_args(Kind))}")
    if not 0 <= outside < 1:
        raise SamplingError(f"outside is {outside:g}; give a share from 0 to below 1")
    if kind == "boundary":
        found = boundary_candidates(
            cases,
            band_mm=band_mm,
            weighting=weighting,
            balance_classes=balance_classes,
            ignored_edges=ignored_edges,
        )
    else:
        found = uniform_candidates(cases, balance_classes=balance_classes)
    beyond = outside_candidates(cases) if outside else None
    n_inside = n_pixels if beyond is None else max(1, round((1 - outside) * n_pixels))
    parts = [(found, n_inside)]
    if beyond is not None:  # its share stays what it is where the band holds fewer pixels than asked for
        parts.append((beyond, min(round(outside / (1 - outside) * min(n_inside, len(found))), n_pixels - n_inside)))
    # Where every pixel inside is drawn each time, other air would only feign that the samples differ.
    n_draws = 1 if len(found) <= n_inside else repetitions
    drawn = [_draw(candidates, count, n_draws, rng) for candidates, count in parts if count]
    return PixelSample(
        case_index=np.concatenate([part.case_index for part in drawn]),
        position=np.concatenate([part.position for part in drawn]),
        label=np.concatenate([part.label for part in drawn]),
        repetitions=_joined(drawn) * (repetitions // n_draws),
        notes=found.notes + _shortage_notes(found, kind, n_inside, n_pixels, balance_classes),
    )


def _draw(found: Candidates, n_pixels: int, repetitions: int, rng: np.random.Generator) -> PixelSample:
    draws = [found.draw(n_pixels, rng) for _ in range(repetitions)]
    used, indices = np.unique(np.concatenate(draws), return_inverse=True)
    return PixelSample(
        case_index=found.case_index[used].astype(np.int64),
        position=found.position[used].astype(np.int64),
        label=found.label[used],
        repetitions=tuple(indices.reshape(repetitions, -1)),
    )


def _joined(parts: Sequence[PixelSample]) -> tuple[NDArray[np.int64], ...]:
    """Repetitions of samples whose pixels follow one another."""
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    columns = zip(*(part.repetitions for part in parts), strict=True)
    return tuple(
        np.concatenate([of_part + start for of_part, start in zip(column, offsets, strict=True)]) for column in columns
    )


def _shortage_notes(
    found: Candidates, kind: Kind, n_inside: int, n_pixels: int, balance_classes: bool
) -> tuple[str, ...]:
    if len(found) < n_inside:
        there = f"Only {len(found)} pixels can be drawn, {n_pixels} were asked for"
        if n_inside < n_pixels:
            where = "near edges" if kind == "boundary" else "inside the body"
            there = f"Only {len(found)} pixels {where} can be drawn, where {n_inside} of the {n_pixels} should lie"
        return (f"{there}: every repetition uses all of them.",)
    n_strata = len(found.capacities)
    n_small = np.count_nonzero(found.capacities * n_strata < n_inside)
    if not n_small:
        return ()
    strata = "classes of a subject" if balance_classes else "subjects"
    return (f"{n_small} of {n_strata} {strata} have fewer pixels than an equal share; the others give more.",)

"""The pixels that may be drawn, and how likely each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import SamplingError, did_you_mean
from medtrans.sampling.edges import Mask, distance_mm, touching_edge
from medtrans.tasks import IGNORE_LABEL, Case

Weighting = Literal["uniform", "distance"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """M pixels of one or more cases, in S strata that give equal numbers of pixels.

    Attributes:
        case_index: int32 (M,), index into the cases.
        position: int32 (M, ndim), the pixel in its case's label map.
        label: uint8 (M,), its class.
        stratum: int32 (M,), 0..S-1: its subject, or its subject and class.
        weight: float32 (M,), positive: how likely it is drawn, relative to the others of its stratum.
        notes: what was left out, one sentence each.
    """

    case_index: NDArray[np.int32]
    position: NDArray[np.int32]
    label: NDArray[np.uint8]
    stratum: NDArray[np.int32]
    weight: NDArray[np.float32]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stratum)

    @cached_property
    def capacities(self) -> NDArray[np.int64]:
        """int64 (S,): how many pixels each stratum has."""
        return np.bincount(self.stratum).astype(np.int64)

    def draw(self, n_pixels: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n_pixels`` candidates without replacement; all of them if there are no more.

        Strata share ``n_pixels`` equally; what a small one lacks, the others give. Inside a stratum, pixels are drawn
        one after another, each with probability proportional to its weight among those that are left. The q smallest
        of ``e_i / weight_i``, with ``e_i`` standard exponential, follow that law (Efraimidis and Spirakis, Information
        Processing Letters 97, 2006).

        Returns:
            int64 (min(n_pixels, M),), sorted indices into the candidates.
        """
        if n_pixels >= len(self):
            return np.arange(len(self))
        quotas = equal_quotas(self.capacities, n_pixels, rng)
        drawn = []
        for pixels, quota in zip(self._members, quotas, strict=True):
            keys = rng.standard_exponential(len(pixels)) / self.weight[pixels]
            drawn.append(pixels[np.argpartition(keys, quota - 1)[:quota]] if quota else pixels[:0])
        return np.sort(np.concatenate(drawn))

    @cached_property
    def _members(self) -> list[NDArray[np.int64]]:
        return np.split(np.argsort(self.stratum, kind="stable"), np.cumsum(self.capacities)[:-1])


def boundary_candidates(
    cases: Sequence[Case],
    *,
    band_mm: float = 4.0,
    weighting: Weighting = "uniform",
    balance_classes: bool = False,
    ignored_edges: bool = False,
) -> Candidates:
    """The pixels nearer than ``band_mm`` to an edge between two classes; in photographs, ``band_mm`` counts pixels.

    A pixel counts if it is labelled (not ``IGNORE_LABEL``) and inside the body (``Case.body``). At distance d
    its weight is 1 (``weighting="uniform"``) or ``1 - d / band_mm`` (``weighting="distance"``).
    ``balance_classes`` makes every class of every subject a stratum of its own. ``ignored_edges`` counts the border of
    an ignored region as an edge too; its pixels are not drawn all the same.

    Raises:
        SamplingError: no image has an edge, no pixel is near enough to one, or a setting makes no sense.
    """
    if not band_mm > 0:
        raise SamplingError(f"band_mm is {band_mm:g}; give a positive width in millimetres (photographs: pixels)")
    if weighting not in get_args(Weighting):
        raise SamplingError(f"unknown weighting '{weighting}'; {did_you_mean(weighting, get_args(Weighting))}")
    masks: list[Mask] = []
    weights: list[NDArray[np.float32]] = []
    without_edge: list[str] = []
    for case in cases:
        touching = touching_edge(case.label, None if ignored_edges else IGNORE_LABEL)
        if not any(mask.any() for mask in touching):
            without_edge.append(case.id)
        distance = distance_mm(touching, case.spacing_mm, band_mm)
        mask = _inside(case) & (distance < band_mm)
        masks.append(mask)
        weights.append(1 - distance[mask] / np.float32(band_mm) if weighting == "distance" else _ones(mask))
    if not any(mask.any() for mask in masks):
        raise SamplingError(_why_no_band(cases, without_edge, band_mm))
    notes = _without_edge_note(without_edge, len(cases))
    return _collect(cases, masks, weights, balance_classes, notes)


def uniform_candidates(cases: Sequence[Case], *, balance_classes: bool = False) -> Candidates:
    """Every pixel that is labelled and inside the body, as in ``boundary_candidates``, all with weight 1.

    Raises:
        SamplingError: there is no such pixel.
    """
    masks = [_inside(case) for case in cases]
    if not any(mask.any() for mask in masks):
        raise SamplingError(_why_none_inside(cases))
    return _collect(cases, masks, [_ones(mask) for mask in masks], balance_classes, notes=())


def outside_candidates(cases: Sequence[Case]) -> Candidates | None:
    """Every pixel of class 0 outside the body (``Case.body``), all with weight 1; None if there is none."""
    masks: list[Mask] = [~case.body & (case.label == 0) for case in cases]
    if not any(mask.any() for mask in masks):
        return None
    return _collect(cases, masks, [_ones(mask) for mask in masks], balance_classes=False, notes=())


def equal_quotas(capacities: NDArray[np.int64], n_pixels: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Share ``n_pixels`` among strata as equally as their capacities allow.

    As water fills vessels of different height: every stratum gives the same number, or all it has. A remainder
    smaller than the number of strata goes to strata drawn at random, so that none is favoured.

    >>> equal_quotas(np.array([2, 10, 10]), 12, np.random.default_rng(0))
    array([2, 5, 5])
    """
    quotas = np.zeros_like(capacities)
    remaining = min(n_pixels, int(capacities.sum()))
    while remaining:
        not_full = np.flatnonzero(quotas < capacities)
        share = remaining // len(not_full)
        if share == 0:
            quotas[rng.choice(not_full, size=remaining, replace=False)] += 1
            break
        quotas[not_full] = np.minimum(capacities[not_full], quotas[not_full] + share)
        remaining = min(n_pixels, int(capacities.sum())) - int(quotas.sum())
    return quotas


def _collect(
    cases: Sequence[Case],
    masks: Sequence[Mask],
    weights: Sequence[NDArray[np.float32]],
    balance_classes: bool,
    notes: tuple[str, ...],
) -> Candidates:
    counts = [np.count_nonzero(mask) for mask in masks]
    subjects = {subject: i for i, subject in enumerate(dict.fromkeys(case.subject for case in cases))}
    label = np.concatenate([case.label[mask] for case, mask in zip(cases, masks, strict=True)])
    subject = np.repeat([subjects[case.subject] for case in cases], counts)
    group = subject * (IGNORE_LABEL + 1) + label if balance_classes else subject
    return Candidates(
        case_index=np.repeat(np.arange(len(cases), dtype=np.int32), counts),
        position=np.concatenate([np.argwhere(mask).astype(np.int32) for mask in masks]),
        label=label,
        stratum=np.unique(group, return_inverse=True)[1].astype(np.int32),
        weight=np.concatenate(weights),
        notes=notes,
    )


def _inside(case: Case) -> Mask:
    inside: Mask = case.body & (case.label != IGNORE_LABEL)
    return inside


def _ones(mask: Mask) -> NDArray[np.float32]:
    return np.ones(np.count_nonzero(mask), dtype=np.float32)


def _without_edge_note(without_edge: Sequence[str], n_cases: int) -> tuple[str, ...]:
    if not without_edge:
        return ()
    more = f" and {len(without_edge) - 3} more" if len(without_edge) > 3 else ""
    names = ", ".join(without_edge[:3])
    return (
        f"{len(without_edge)} of {n_cases} images have no edge between two classes and give no pixels: {names}{more}.",
    )


def _why_no_band(cases: Sequence[Case], without_edge: Sequence[str], band_mm: float) -> str:
    if not any(_inside(case).any() for case in cases):
        return _why_none_inside(cases)
    if len(without_edge) == len(cases):
        hidden = any((case.label == IGNORE_LABEL).any() for case in cases)
        border = " (the border of an ignored region is none unless ignored_edges is true)" if hidden else ""
        return (
            f"no pixels to draw: none of {len(cases)} images has an edge between two classes{border}; "
            "check the labels and the structure's name, or sample uniformly"
        )
    unit, beside = cases[0].unit, min(min(case.spacing_mm) for case in cases) / 2
    where = " inside the body" if cases[0].kind == "scan" else ""
    return (
        f"no pixels to draw: no labelled pixel{where} is nearer than {band_mm:g} {unit} to an edge "
        f"(a pixel beside one is at least {beside:g} {unit} away); widen band_mm"
    )


def _why_none_inside(cases: Sequence[Case]) -> str:
    if not cases:
        return "no pixels to draw: there are no cases; give at least one"
    if all((case.label == IGNORE_LABEL).all() for case in cases):
        return (
            f"no pixels to draw: all pixels of {len(cases)} images have the label {IGNORE_LABEL} (ignored); check them"
        )
    return f"no pixels to draw: {len(cases)} images are 0 in all channels wherever they are labelled; check the images"

"""Candidate filters: drop sources by modality and by region of interest, each with a reason, before any model runs.

They read signatures only. What cannot be compared stays: a filter drops on evidence, never on its absence. The idea of
filtering by modality, then by region of interest, then ranking: arXiv 2301.00934.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from medtrans.config import FilterSettings
from medtrans.data.statistics import MeanShape, intensity_quantiles, mean_shape
from medtrans.sources import Source
from medtrans.tasks import Task, canonical_modality, without_separators


@dataclass(frozen=True)
class Objection:
    """What one filter says about one source that it does not simply pass.

    Attributes:
        source: the source's name.
        text: half a sentence with the numbers.
        shortfall: how far the source is beyond the threshold, as a part of the threshold; None where the source
            could not be judged, and stays.
    """

    source: str
    text: str
    shortfall: float | None


@dataclass(frozen=True)
class Dropped:
    """A source that no model was run for, and why in one sentence."""

    source: str
    reason: str


@dataclass(frozen=True)
class Filtered:
    """The sources that stay, those that do not, and what a reader should know about it."""

    kept: tuple[Source, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()


def filter_sources(target: Task, sources: Sequence[Source], settings: FilterSettings) -> Filtered:
    """Both filters as set. If fewer than ``min_pool`` would stay, those nearest to passing come back, with a note."""
    findings: list[Objection] = []
    if settings.modality:
        findings += modality_analysis(target, sources, max_distance=settings.max_modality_distance)
    if settings.roi:
        findings += roi_analysis(target, sources, min_similarity=settings.min_shape_similarity)
    failed = _failed(findings)
    n_missing = max(0, min(settings.min_pool, len(sources)) - (len(sources) - len(failed)))
    returned = sorted(failed, key=lambda name: (_shortfall(failed[name]), name))[:n_missing]
    out = {name: f"{_reason(reasons)}." for name, reasons in failed.items() if name not in returned}
    return Filtered(
        tuple(source for source in sources if source.name not in out),
        tuple(Dropped(source.name, out[source.name]) for source in sources if source.name in out),
        _notes(findings, {name: _reason(failed[name]) for name in returned}, settings.min_pool),
    )


def modality_analysis(target: Task, sources: Sequence[Source], *, max_distance: float) -> list[Objection]:
    """Find sources of another modality whose intensities are spread differently.

    The distance is the 1-D Wasserstein distance between the intensities inside the brain, in standard deviations
    (images are z-scored): the mean absolute difference of their quantile functions, >= 0. Sources of the target's
    modality (by name, see `canonical_modality`) pass unseen. Assumes that a network carries over between contrasts
    whose intensities are spread alike.
    """
    quantiles = intensity_quantiles(target.cases)
    wanted = target.name.modality
    findings = []
    for source in sources:
        if source.modality and _contrast(source.modality) == _contrast(wanted):
            continue
        theirs = source.signature.intensity_quantiles if source.signature else None
        if theirs is None or len(theirs) != len(quantiles):
            findings.append(Objection(source.name, "the signature holds no comparable intensities", None))
            continue
        distance = float(np.abs(theirs - quantiles).mean())
        if distance > max_distance:
            where = " inside the brain" if target.kind == "scan" else ""
            text = (
                f"{source.modality or 'its unnamed modality'} is not {wanted}, and the intensities{where} "
                f"are {distance:.2f} standard deviations apart (at most {max_distance:g})"
            )
            findings.append(Objection(source.name, text, distance / max_distance - 1))
    return findings


def roi_analysis(target: Task, sources: Sequence[Source], *, min_similarity: float) -> list[Objection]:
    """Find sources whose structure lies elsewhere, or has another shape, than the target's.

    The similarity is `shape_similarity` of the mean foreground shapes. Assumes that both brains lie the same way in
    their boxes, and that where a structure lies says what it is. A target without a background has no foreground to
    compare, so no source is judged.
    """
    if not target.has_background:
        text = f"{target.name.structure} has no background, and so no mean shape to compare"
        return [Objection(source.name, text, None) for source in sources]
    shape = mean_shape(target.cases)
    findings = []
    for source in sources:
        theirs = source.signature.shape if source.signature else None
        if theirs is None or theirs.values.shape != shape.values.shape or not theirs.observed.any():
            findings.append(Objection(source.name, "the signature holds no comparable mean shape", None))
            continue
        similarity = shape_similarity(theirs, shape)
        if similarity < min_similarity:
            structure = source.task.structure if source.task else "its structure"
            text = (
                f"{structure} does not lie where {target.name.structure} does: "
                f"their mean shapes have a similarity (SSIM) of {similarity:.2f} (at least {min_similarity:g})"
            )
            findings.append(Objection(source.name, text, 1 - similarity / min_similarity))
    return findings


def shape_similarity(source: MeanShape, target: MeanShape) -> float:
    """Mean SSIM of two mean shapes, plane by plane, over the planes that the target shows.

    In [-1, 1], 1 for equal shapes; scikit-image's defaults (7 x 7 windows, K1 = 0.01, K2 = 0.03) with a data range
    of 1. Each plane of the target meets the nearest plane that the source shows, as thick slices leave planes out.
    """
    if target.values.ndim == 2:
        return _ssim(source.values, target.values)
    shown = np.flatnonzero(target.observed)
    theirs = np.flatnonzero(source.observed)
    nearest = theirs[np.abs(theirs[None, :] - shown[:, None]).argmin(axis=1)]
    return float(
        np.mean([_ssim(source.values[..., i], target.values[..., j]) for i, j in zip(nearest, shown, strict=True)])
    )


def _contrast(modality: str) -> str:
    """Canonical name for comparing, so that unknown names too are equal in any spelling."""
    return without_separators(canonical_modality(modality))


def _ssim(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    return float(structural_similarity(x, y, data_range=1.0))


def _failed(findings: Iterable[Objection]) -> dict[str, list[Objection]]:
    """The findings of each source that is to be dropped, in order."""
    failed: dict[str, list[Objection]] = {}
    for finding in findings:
        if finding.shortfall is not None:
            failed.setdefault(finding.source, []).append(finding)
    return failed


def _shortfall(findings: Iterable[Objection]) -> float:
    return sum(finding.shortfall or 0.0 for finding in findings)


def _reason(findings: Iterable[Objection]) -> str:
    return "; ".join(finding.text for finding in findings)


def _notes(findings: Iterable[Objection], returned: dict[str, str], min_pool: int) -> tuple[str, ...]:
    unjudged: dict[str, list[str]] = {}
    for finding in findings:
        if finding.shortfall is None:
            unjudged.setdefault(finding.text, []).append(finding.source)
    notes = [f"Not filtered, because {text}: {', '.join(names)}." for text, names in unjudged.items()]
    notes += [
        f"{name} was kept so that at least {min_pool} sources stay, although {reason}."
        for name, reason in returned.items()
    ]
    return tuple(notes)

"""Rank the sources of a pool for a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from medtrans.config import Device, FilterSettings, SamplerSettings, checked
from medtrans.errors import MedtransError, SamplingError
from medtrans.metrics.registry import Metric, MetricChoice, choose_metrics
from medtrans.networks import resolve_device
from medtrans.progress import Progress
from medtrans.sampling import PixelSample, sample_pixels
from medtrans.selection.evidence import Evidence, shipped_evidence
from medtrans.selection.expectation import Estimate, Expectation
from medtrans.selection.expecting import Expecting, expecting
from medtrans.selection.filters import Filtered, filter_sources
from medtrans.selection.inputs import names_of, require_task, sources_of
from medtrans.selection.results import Missing, Provenance, Ranking, SampledSlice, scores_of_metric
from medtrans.selection.scoring import Look, LookedAt, look_at, same_pixels, score_source
from medtrans.selection.stopwatch import Stopwatch
from medtrans.sources import Pool, Source
from medtrans.tasks import Task, TaskName
from medtrans.tasks.relations import RELATIONS, Relations
from medtrans.threads import limited_threads

_SAMPLER = SamplerSettings()
_FILTERS = FilterSettings()


@limited_threads()
def rank_sources(
    target: Task,
    pool: Pool | Sequence[Source] | str | Path,
    *,
    metrics: MetricChoice | Sequence[MetricChoice] = ("head_dice", "h_score"),
    sampler: SamplerSettings | Mapping[str, Any] = _SAMPLER,
    filters: FilterSettings | Mapping[str, Any] | None = _FILTERS,
    exclude: str | TaskName | Iterable[str | TaskName] = (),
    seed: int = 0,
    device: Device = "auto",
    progress: Progress | None = None,
    evidence: Sequence[Evidence] | None = None,
    expectation: Expectation | Literal["shipped"] | None = "shipped",
    relations: Relations = RELATIONS,
) -> Ranking:
    """Rank sources for a target by transferability metrics on sampled pixels.

    Candidate filters drop sources first (``filters=None``: none). Pixels are sampled once; each source's network
    runs once, on what holds them; each metric is computed on every repetition. One source is in memory at a time.
    The same arguments give the same ranking, bit for bit on the CPU with the same number of threads.

    Args:
        target: the new task, with a few labelled cases.
        pool: the sources, or the folder of a pool.
        metrics: names, see ``medtrans metrics``; the first one gives the headline. With options:
            ``("otce_sim", {"epsilon": 0.05})``; the same metric may stand there several times.
        sampler: which pixels, how many, how often; settings, or a dictionary of them.
        filters: which sources to drop before any model runs; likewise.
        exclude: names of sources to leave out.
        seed: of the pixels.
        device: ``auto`` takes a GPU where there is one.
        progress: called with (sources done, sources in all, what is going on).
        evidence: what studies found; the ranking tells it beside its answer, and is not changed by it. None: what
            comes with medtrans on scans, or on photographs.
        expectation: a fit of the expected accuracy (``read_expectation``), which the ranking tells beside the scores,
            with an interval; the metrics that it needs are computed along. ``"shipped"``: what comes with medtrans;
            None: left out.
        relations: of structures, for what an expectation knows by names.

    Raises:
        ConfigError: the target or the pool is something else, a setting is wrong, or the expectation is about other
            images or metrics than there are.
        MetricError: an unknown metric or option, or no metric.
        SamplingError: no pixels can be drawn.
        MedtransError: no source is left, or none has a score by any metric.
    """
    chosen = choose_metrics(metrics)
    sampler = checked(sampler, SamplerSettings, "sampler")
    filters = None if filters is None else checked(filters, FilterSettings, "filters")
    filters = filters if filters is not None and filters.drop_any else None
    if not isinstance(seed, int) or seed < 0:
        raise SamplingError(f"seed is {seed}; give a whole number of 0 or more")
    require_task(target)
    pool = sources_of(pool)
    exclude = names_of(exclude)
    sources = [source for source in pool if source.name not in exclude]
    if not sources:
        raise MedtransError(f"no source to rank for {target.name}: the pool is empty or every source is excluded")
    settings, clock = _settings(chosen, sampler, filters, exclude, device), Stopwatch()
    with clock("filters"):
        filtered = Filtered(tuple(sources)) if filters is None else filter_sources(target, sources, filters)
    with clock("sampling"):
        sample = sample_pixels(target.cases, **sampler.model_dump(), rng=np.random.default_rng(seed))
        expects = expecting(expectation, target, chosen, sampler, seed, relations)
        looked = look_at(target, sample, (*chosen, *(expects.beside if expects else ())), seed)
    values, missing, expected = _score_all(
        filtered.kept, target, looked, chosen, expects, settings["device"], clock, progress
    )
    if not any(values.values()):
        raise MedtransError(f"no source can be ranked for {target.name}: {missing[0].source}: {missing[0].reason}")
    return Ranking(
        target=target.name,
        class_names=target.class_names,
        metrics=tuple(metric.label for metric in chosen),
        n_pixels=len(sample.repetitions[0]),
        scores=tuple(score for metric in chosen for score in scores_of_metric(metric.label, values[metric.label])),
        dropped=filtered.dropped,
        missing=tuple(missing),
        notes=_notes(target, pool, filtered, sample, exclude),
        provenance=Provenance(seed, settings, _versions(), clock.seconds),
        picture=sampled_slice(target, sample),
        evidence=_shipped_for(target) if evidence is None else tuple(evidence),
        expectation=expects.expectation if expects else None,
        expected=expected,
    )


def _shipped_for(target: Task) -> tuple[Evidence, ...]:
    """What studies on images of the target's kind found; none has been done on other images than these two."""
    return () if target.kind == "image" else shipped_evidence(photographs=target.kind == "photograph")


def _settings(
    metrics: Sequence[Metric],
    sampler: SamplerSettings,
    filters: FilterSettings | None,
    exclude: Iterable[str],
    device: Device,
) -> dict[str, Any]:
    """What the ranking's provenance says of how it was made."""
    return {
        "metrics": [_told(metric) for metric in metrics],
        "sampler": sampler.model_dump(),
        "filters": filters and filters.model_dump(),
        "exclude": sorted(exclude),
        "device": str(resolve_device(device)),
        "threads": torch.get_num_threads(),
    }


def _told(metric: Metric) -> str | dict[str, Any]:
    """A metric as a configuration would name it."""
    return {"name": metric.name, **metric.options} if metric.options else metric.name


def _score_all(
    sources: Sequence[Source],
    target: Task,
    looked: LookedAt,
    metrics: Sequence[Metric],
    expects: Expecting | None,
    device: str,
    clock: Stopwatch,
    progress: Progress | None,
) -> tuple[dict[str, dict[str, tuple[float, ...]]], list[Missing], dict[str, tuple[Estimate, ...]]]:
    """Values by metric and source, what is missing, and what accuracy to expect by source."""
    values: dict[str, dict[str, tuple[float, ...]]] = {metric.label: {} for metric in metrics}
    missing: list[Missing] = []
    expected: dict[str, tuple[Estimate, ...]] = {}
    looks = [Look(looked, (*metrics, *(expects.beside if expects else ()))), *(expects.looks if expects else ())]
    for i, source in enumerate(sources):
        if progress:
            progress(i, len(sources), source.name)
        (found, lacking), *others = score_source(source, target, looks, device, clock)
        missing += [it for it in lacking if it.metric in values]
        for metric in values.keys() & found.keys():
            values[metric][source.name] = found[metric]
        if expects:
            told, untold = expects.of(source, found, lacking, others)
            missing += untold
            expected |= {source.name: told} if told else {}
    if progress:
        progress(len(sources), len(sources), "ranked")
    return values, missing, expected


def sampled_slice(target: Task, sample: PixelSample) -> SampledSlice:
    """The slice on which most pixels of the first repetition lie; of a volume, across its last axis.

    Slices of volumes are turned so that the end of the second axis (anterior) is up; photographs stay as they are.
    """
    chosen = sample.repetitions[0]
    place = np.column_stack([sample.case_index[chosen], sample.position[chosen]])
    of_slice = place[:, [0, -1]] if target.ndim == 3 else place[:, :1]
    slices, index, count = np.unique(of_slice, axis=0, return_inverse=True, return_counts=True)
    busiest = int(count.argmax())
    case = target.cases[slices[busiest][0]]
    plane = (..., slices[busiest][1]) if target.ndim == 3 else ...
    image, label = case.image[0][plane], case.label[plane]
    position, spacing = place[index.ravel() == busiest][:, 1:3], case.spacing_mm
    if target.kind == "scan":
        position = np.column_stack([image.shape[1] - 1 - position[:, 1], position[:, 0]])
        image, label, spacing = np.rot90(image), np.rot90(label), (spacing[1], spacing[0])
    return SampledSlice(case.id, image, label, position, (spacing[0], spacing[1]), target.has_background)


def _notes(
    target: Task, pool: Pool | Sequence[Source], filtered: Filtered, sample: PixelSample, exclude: tuple[str, ...]
) -> tuple[str, ...]:
    notes = [*target.notes, *sample.notes, *filtered.notes, *_grid_notes(target, filtered.kept)]
    if outdated := [it.name for it in filtered.kept if it.signature is not None and it.signature.is_outdated]:
        notes.append(
            f"The signatures of these sources are of an older version, so their features are not used: "
            f"{', '.join(outdated)}. Run the training again: it keeps the weights and writes the signatures anew."
        )
    if len(sample.repetitions) == 1:
        notes.append("One repetition: the spread is 0 because nothing was repeated.")
    elif same_pixels(sample):
        notes.append("All repetitions hold the same pixels: the spread is 0 because there was nothing else to draw.")
    unknown = sorted(set(exclude) - {source.name for source in pool})
    if unknown:
        notes.append(f"Excluded, but not in the pool: {', '.join(unknown)}.")
    if isinstance(pool, Pool):
        notes += [f"Left out, because its bundle cannot be read: {name}: {why}" for name, why in pool.broken.items()]
    return tuple(notes)


def _grid_notes(target: Task, sources: Sequence[Source]) -> list[str]:
    """A note for each recorded spacing, of photographs each recorded size, that is not the target's."""
    in_pixels = target.kind != "scan"
    grids = [case.label.shape if in_pixels else case.spacing_mm for case in target.cases]
    setting, what, unit = ("size", "images", "pixels") if in_pixels else ("spacing_mm", "pixels", "mm")
    ours = np.mean(grids, axis=0)
    by_grid: dict[str, list[str]] = {}
    for source in sources:
        theirs = (source.preprocessing or {}).get(setting)
        if source.spatial_dims != target.ndim:
            continue  # it has no score, for this very reason
        if theirs is not None and not np.allclose(theirs, ours, rtol=0.05):
            by_grid.setdefault(_by(np.broadcast_to(theirs, target.ndim), unit), []).append(source.name)
    return [
        f"Trained on {what} of {grid}, while the target's are {_by(ours, unit)}: {', '.join(names)}."
        for grid, names in by_grid.items()
    ]


def _by(lengths: Any, unit: str) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths) + f" {unit}"


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("medtrans", "torch", "monai", "numpy")}

"""The expected accuracy of each source of a ranking: which metrics it takes, on which pixels, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Literal

import numpy as np

from medtrans.config import SamplerSettings
from medtrans.errors import ConfigError, MetricError, SamplingError
from medtrans.metrics.registry import Metric
from medtrans.sampling import sample_pixels
from medtrans.selection.expectation import Estimate, Expectation, shipped_expectation
from medtrans.selection.results import Missing
from medtrans.selection.scoring import Look, Values, look_at, looks_at_sample
from medtrans.sources import Source
from medtrans.tasks import Task
from medtrans.tasks.relations import NAMES, RELATIONS, Relations


@dataclass(frozen=True, eq=False)
class Expecting:
    """What it takes to tell the expected accuracy.

    Attributes:
        expectation: the fit.
        target: the new task.
        beside: metrics that are computed where the ranking looks, beside those asked for.
        looks: metrics that were fitted on other pixels than the ranking looks at, and where they look.
        undrawn: by label of such a metric, why its pixels cannot be drawn.
        relations: of structures, for the rule by names.
    """

    expectation: Expectation
    target: Task
    beside: tuple[Metric, ...]
    looks: tuple[Look, ...] = ()
    undrawn: Mapping[str, str] = field(default_factory=dict)
    relations: Relations = RELATIONS

    def of(
        self,
        source: Source,
        found: Values,
        lacking: Sequence[Missing],
        others: Sequence[tuple[Values, list[Missing]]],
    ) -> tuple[tuple[Estimate, ...], list[Missing]]:
        """The estimates of a source, from what its metrics gave or lack, ``others`` in the `looks`; and why some are
        missing.
        """
        found = {label: values for label, values in found.items() if label not in self.undrawn}
        lacking = [*lacking, *(Missing(source.name, label, why) for label, why in self.undrawn.items())]
        for look, (theirs, more) in zip(self.looks, others, strict=True):
            own = {metric.label for metric in look.metrics}
            found = {label: values for label, values in found.items() if label not in own} | theirs
            lacking = [*(it for it in lacking if it.metric not in own), *more]
        scores = {metric: mean(values) for metric, values in found.items()}
        values = self.expectation.values(scores, source.task, self.target.name, self.relations)
        absent = self.expectation.lacking(values)[:1]
        reasons = [Missing(source.name, self.expectation.name, _reason(name, lacking)) for name in absent]
        return self.expectation.estimates(values), reasons


def _reason(feature: str, lacking: Sequence[Missing]) -> str:
    """Why a feature of a source is not known; where its network cannot be run at all, every metric says so."""
    if feature == NAMES:
        return "the source does not say what task it was trained for"
    reasons = {it.metric: it.reason for it in lacking}
    return f"{feature}: {reasons.get(feature) or next(iter(reasons.values()))}"


def expecting(
    expectation: Expectation | Literal["shipped"] | None,
    target: Task,
    metrics: Sequence[Metric],
    sampler: SamplerSettings,
    seed: int,
    relations: Relations = RELATIONS,
) -> Expecting | None:
    """What it takes to tell the expected accuracy beside these metrics on pixels of this sampler.

    None: no fit is asked for, or none comes with medtrans for images of the target's kind.

    Raises:
        ConfigError: the fit is about other images, or needs a metric that this medtrans does not have.
    """
    photographs = target.kind == "photograph"
    if expectation == "shipped":
        expectation = None if target.kind == "image" else shipped_expectation(photographs=photographs)
    elif expectation is not None and expectation.photographs != photographs:
        theirs, ours = ("photographs", "scans") if expectation.photographs else ("scans", "photographs")
        raise ConfigError(f"expectation: was fitted on {theirs}, which says nothing about {ours}; give a fit on {ours}")
    if expectation is None:
        return None
    try:
        needed = expectation.metrics
    except MetricError as error:
        raise ConfigError(f"expectation: {error}; fit it again with `medtrans study fit`") from error
    own = () if _same_pixels(expectation.sampler, sampler) else tuple(it for it in needed if looks_at_sample(it))
    beside = tuple(it for it in needed if it not in own and it not in metrics)
    if not own:
        return Expecting(expectation, target, beside, relations=relations)
    try:
        theirs_too = sample_pixels(target.cases, **expectation.sampler.model_dump(), rng=np.random.default_rng(seed))
    except SamplingError as error:
        undrawn = dict.fromkeys((metric.label for metric in own), str(error))
        return Expecting(expectation, target, beside, relations=relations, undrawn=undrawn)
    return Expecting(
        expectation, target, beside, (Look(look_at(target, theirs_too, own, seed), own),), relations=relations
    )


def _same_pixels(one: SamplerSettings, other: SamplerSettings) -> bool:
    """Whether scores by both have the same expectation: repetitions are averaged."""
    return one.model_copy(update={"repetitions": other.repetitions}) == other

"""Expected accuracy: what studies say transfer from a source will give, from what is cheap to know, with an interval.

The JSON files beside this module are the fits that ship with medtrans, each made by ``medtrans study fit``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from medtrans.config import MEASURE_NAMES, SCORING, AccuracyMeasure, SamplerSettings, Settings
from medtrans.errors import ConfigError, MetricError
from medtrans.metrics.registry import Metric, Option, choose_metrics
from medtrans.selection.evidence import Name, Share
from medtrans.selection.evidence.files import read_model
from medtrans.tasks import TaskName, metric_label
from medtrans.tasks.relations import NAMES, RELATIONS, Relations, names_points

LEVEL = 0.9
"""How often the interval shall hold what transfer gives."""

_SOFTENING = 0.02  # so that the logit of 0 and of 1 is finite
_REMEDY = "take a file that `medtrans study fit` writes"
_AGAIN = "run `medtrans study fit` again on a study of this version"

LeftOut = Literal["structures", "structures and people"]
Finite = Annotated[float, Field(ge=-1e6, le=1e6)]


@dataclass(frozen=True)
class Estimate:
    """Expected accuracy of one source after transfer in one mode.

    Attributes:
        mode: ``head`` or ``full``.
        value: in [0, 1].
        low, high: ends of the interval that shall hold what transfer gives with probability `LEVEL`.
    """

    mode: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As people write it: ``0.71 [0.63, 0.78]``."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Feature(Settings):
    """One of the cheap things to know.

    Attributes:
        name: the label of a metric, or ``names``.
        options: of the metric, which its label tells too.
        logit: whether its logit is taken, as of numbers between 0 and 1.
        coefficient: of it, in the logit of the expected accuracy.
    """

    name: Name
    options: Annotated[dict[Name, Option], Field(max_length=32, default_factory=dict)]
    logit: bool
    coefficient: Finite

    @model_validator(mode="after")
    def _label_tells_the_options(self) -> Feature:
        if self.name != metric_label(*self.metric):
            raise ValueError(f"name: '{self.name}' does not tell the options {self.options}")
        return self

    @property
    def metric(self) -> tuple[str, dict[str, Option]]:
        """Name and options, as ``choose_metrics`` takes them."""
        return self.name.partition("(")[0], dict(self.options)

    def term(self, value: float) -> float:
        """What it adds to the logit."""
        return self.coefficient * (logit(value) if self.logit else value)


class ModeFit(Settings):
    r"""The fit of one mode: logit of the expected accuracy = intercept + sum of coefficient * feature.

    Attributes:
        mode: of transfer.
        features: of each source.
        intercept: of the logit.
        margin: half the interval, in logits.
        left_out: what the following was judged on without having seen it.
        coverage: share of the accuracies that lay within such an interval, mean over what was left out.
        spearman: mean over targets of the rank correlation with the truth, likewise.
        regret: accuracy of the best source minus that of the first by expected accuracy, mean over targets, likewise.
        error: mean absolute error, likewise.
        level_error: mean absolute error of a target's mean over its sources, likewise.
        n_clusters: of what was left out, which is what the interval rests on.
        n_targets, n_pairs: tasks, and pairs of a source and a target, that it was fitted on.
    """

    mode: Literal["head", "full"]
    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=32)]
    intercept: Finite
    margin: Annotated[float, Field(gt=0, le=100)]
    left_out: LeftOut
    coverage: Share
    spearman: Annotated[float, Field(ge=-1, le=1)]
    regret: Share
    error: Share
    level_error: Share
    n_clusters: Annotated[int, Field(ge=2)]
    n_targets: Annotated[int, Field(ge=1)]
    n_pairs: Annotated[int, Field(ge=1)]

    def estimate(self, values: Mapping[str, float]) -> Estimate:
        """From the values of its features, by name; KeyError where one is missing."""
        middle = self.intercept + sum(feature.term(values[feature.name]) for feature in self.features)
        ends = (expit(middle + shift) for shift in (0.0, -self.margin, self.margin))
        return Estimate(self.mode, *ends)


class Expectation(Settings):
    """What studies say about the accuracy that transfer will give.

    Attributes:
        version: of this format.
        scoring: of the metrics; a fit of other scores says nothing about today's.
        studies: that it was fitted on.
        made: when.
        domains: of their targets.
        photographs: whether they were about photographs; otherwise scans.
        measure: of accuracy.
        sampler: which pixels the metrics looked at.
        n_people: on whom the truth was judged; None: not recorded.
        n_sources: that were transferred.
        fits: by mode.
    """

    version: Literal[1] = 1
    scoring: int
    studies: Annotated[tuple[Name, ...], Field(min_length=1, max_length=255)]
    made: date
    domains: Annotated[tuple[Name, ...], Field(min_length=1, max_length=255)]
    photographs: bool = False
    measure: AccuracyMeasure = "dice"
    sampler: SamplerSettings
    n_people: Annotated[int, Field(ge=1)] | None
    n_sources: Annotated[int, Field(ge=1)]
    fits: Annotated[tuple[ModeFit, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _one_fit_a_mode(self) -> Expectation:
        if len({fit.mode for fit in self.fits}) < len(self.fits):
            raise ValueError("fits: a mode is there twice")
        return self

    @property
    def name(self) -> str:
        """What it tells, as people write it: ``expected Dice``."""
        return f"expected {MEASURE_NAMES[self.measure]}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that it needs, each once; MetricError for one that this medtrans does not have."""
        wanted = {it.name: it.metric for fit in self.fits for it in fit.features if it.name != NAMES}
        return choose_metrics(list(wanted.values())) if wanted else ()

    def values(
        self, scores: Mapping[str, float], source: TaskName | None, target: TaskName, relations: Relations = RELATIONS
    ) -> dict[str, float]:
        """What is known of the features of one source, by name.

        Args:
            scores: mean score of the source by metric.
            source: its task; None: unknown.
            target: the target's task.
            relations: for the rule by names.
        """
        return dict(scores) if source is None else {**scores, NAMES: names_points(source, target, relations)}

    def estimates(self, values: Mapping[str, float]) -> tuple[Estimate, ...]:
        """The expected accuracy of one source, in every mode all features of which are known."""
        known = (fit for fit in self.fits if all(feature.name in values for feature in fit.features))
        return tuple(fit.estimate(values) for fit in known)

    def lacking(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Names of the features that are not known."""
        names = dict.fromkeys(feature.name for fit in self.fits for feature in fit.features)
        return tuple(name for name in names if name not in values)


def logit(share: float) -> float:
    """Log odds of a number between 0 and 1, softened so that both ends are finite.

    >>> round(logit(0.5), 3), round(logit(0), 3), round(logit(1), 3)
    (0.0, -3.932, 3.932)
    """
    inside = min(max(share, 0.0), 1.0)
    return math.log((inside + _SOFTENING) / (1 + _SOFTENING - inside))


def expit(odds: float) -> float:
    """The inverse of `logit`, within [0, 1]."""
    share = 0.5 * (1 + math.tanh(odds / 2))
    return min(max(share * (1 + 2 * _SOFTENING) - _SOFTENING, 0.0), 1.0)


def read_expectation(path: str | Path) -> Expectation:
    """Read what ``medtrans study fit`` wrote; ConfigError for any other file, and one of other scores or metrics."""
    found = read_model(Path(path), Expectation, "a fit of the expected accuracy", _REMEDY)
    try:
        _ = found.metrics
    except MetricError as error:
        raise ConfigError(f"{path}: needs what this medtrans does not have: {error}; {_AGAIN}") from error
    if found.scoring != SCORING:
        raise ConfigError(
            f"{path}: was fitted to scores of another medtrans (scoring {found.scoring}, this one has {SCORING}); "
            f"{_AGAIN}"
        )
    return found


def shipped_expectation(*, photographs: bool) -> Expectation | None:
    """The fit on such images that comes with medtrans; None where there is none."""
    path = Path(__file__).with_name(f"expected-{'photographs' if photographs else 'scans'}.json")
    return read_expectation(path) if path.is_file() else None

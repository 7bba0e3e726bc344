"""Intervals for measures of agreement: a ranking of ten sources says less than its two digits suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medtrans.agreement.measures import Measure
from medtrans.errors import MetricError


@dataclass(frozen=True)
class Interval:
    """A measure of agreement with its bootstrap interval.

    Attributes:
        estimate: the measure on all sources.
        low: lower end of the interval.
        high: upper end.
        confidence: share of resamples between the two.
        n_resamples: resamples on which the measure had a value; one that ties all sources has none.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n_resamples: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    measure: Measure,
    scores: ArrayLike,
    truth: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    n_resamples: int = 1000,
) -> Interval:
    """Percentile interval of a measure over sources drawn with replacement; every resample has as many as there are.

    ``measure`` is any function of (scores, truth) in `medtrans.agreement.measures`, with its options bound if need be:
    ``functools.partial(footrule, first=3)``. A source drawn twice is tied with itself. Raises MetricError as the
    measure does, and when fewer than half of the resamples have a value.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    estimate = measure(scores, truth)
    values = []
    for _ in range(n_resamples):
        drawn = rng.integers(len(scores), size=len(scores))
        try:
            values.append(measure(scores[drawn], truth[drawn]))
        except MetricError:
            continue
    if 2 * len(values) < n_resamples:
        raise MetricError(f"scores: too few sources, {len(scores)}, for a bootstrap interval; compare more of them")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(low), float(high), confidence, len(values))


def mean_interval(
    values: ArrayLike, rng: np.random.Generator, *, confidence: float = 0.95, n_resamples: int = 1000
) -> Interval:
    """Percentile interval of the mean of n values, one per target, over targets drawn with replacement.

    It speaks of targets like these: targets that share a scan are not as independent as it takes them to be. Below
    three values low and high are NaN, and without any the estimate is too. Raises MetricError for NaN or infinity.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise MetricError("values: holds NaN or infinite values; leave those targets out")
    if len(values) < 3:
        return Interval(float(values.mean()) if len(values) else np.nan, np.nan, np.nan, confidence, 0)
    means = values[rng.integers(len(values), size=(n_resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high), confidence, n_resamples)

"""Intervals over targets: targets that share people are one group, and only groups are independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from medtrans.errors import MetricError

FEWEST_GROUPS = 4
"""Independent groups that an interval needs."""

CONFIDENCE = 0.95
"""How often an interval shall hold the truth."""

Statistic = Callable[[NDArray[np.float64]], float]
"""Of rows, one per target, shape (n, k)."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval.

    Attributes:
        estimate: the number, over all targets.
        low: lower end of the interval; NaN where there is none.
        high: upper end.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        """The number; and its interval, where it has one."""
        ends = "" if np.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.estimate:.3f}{ends}"


def mean(rows: NDArray[np.float64]) -> float:
    """Of all values."""
    return float(np.mean(rows))


def group_interval(values: ArrayLike, groups: ArrayLike | None, statistic: Statistic = mean) -> Interval:
    r"""The statistic over n targets and its 95 % interval, by leaving out one group of targets at a time.

    With T the statistic of all targets, T_g that without the G groups' g-th, and n_g the sizes of the groups, it is

    .. math:: T \pm t_{0.975, d} \sqrt{\frac{G - 1}{G} \sum_g (T_g - T)^2},
       \quad d = (G - 1) \sqrt{\frac{(\sum_g n_g)^2}{G \sum_g n_g^2}}

    the jackknife over groups with Student's t. For the mean of groups of one size it is the t interval of the groups'
    means, exact for normal ones; for unequal sizes d counts fewer degrees of freedom, as few groups decide. The
    interval is symmetric, so an end may lie where the statistic itself cannot.

    Coverage measured (``benchmarks/coverage.py``; of the percentile bootstrap over targets in brackets): 4, 8 and 16
    independent normal targets 0.95 (0.80, 0.89, 0.91), exponential ones, as skewed as targets hardly are, 0.89, 0.90,
    0.92 (0.75, 0.85, 0.90); 4 groups that correlate by 0.5 within, of 4 targets each 0.95 (0.72), of 1, 2, 4 and 9
    targets 0.94 (0.61). Whole groups drawn with replacement cover 0.79 with 4 of them, which is why that is not done.

    Args:
        values: shape (n,), or (n, k) for a statistic of k columns: one row per target.
        groups: shape (n,), the group of each target; None: unknown.
        statistic: of such rows.

    Returns:
        The ends are NaN below `FEWEST_GROUPS` groups, where these are unknown, and where the statistic has no value
        without some group; the estimate is NaN where the statistic has none (MetricError, NaN), or without targets.

    Raises:
        MetricError: values are NaN or infinite.
    """
    rows = np.asarray(values, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if not np.isfinite(rows).all():
        raise MetricError("values: holds NaN or infinite values; leave those targets out")
    estimate = _value(statistic, rows)
    names, numbers, sizes = np.unique([] if groups is None else groups, return_inverse=True, return_counts=True)
    count = len(names)
    if count < FEWEST_GROUPS:
        return Interval(estimate, np.nan, np.nan)
    without = np.array([_value(statistic, rows[numbers != group]) for group in range(count)])
    if not (np.isfinite(estimate) and np.isfinite(without).all()):
        return Interval(estimate, np.nan, np.nan)
    error = np.sqrt((count - 1) / count * np.sum((without - estimate) ** 2))
    freedom = (count - 1) * np.sqrt(sizes.sum() ** 2 / (count * np.sum(sizes**2)))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error)
    return Interval(estimate, estimate - margin, estimate + margin)


def replicate_interval(estimate: float, without: Sequence[float]) -> Interval:
    r"""The 95 % interval of a statistic by its G values without one person each (the jackknife over people).

    .. math:: T \pm t_{0.975, G - 1} \sqrt{\frac{G - 1}{G} \sum_p (T_{-p} - \bar T)^2}

    with :math:`\bar T` the mean of the values. For targets that share people: what makes :math:`T_{-p}` differ is that
    person alone. Where people are also labelled, a draw of labelled people goes with each of its members, which makes
    the interval wider than need be: of simulated studies with 6 and with 10 people it holds the truth in 0.99
    (``benchmarks/coverage.py``).

    Args:
        estimate: T, with everyone.
        without: :math:`T_{-p}`, one for each person.

    Returns:
        The ends are NaN below `FEWEST_GROUPS` people, and where the statistic has no value without one of them.
    """
    values = np.asarray(without, dtype=np.float64)
    if len(values) < FEWEST_GROUPS or not (np.isfinite(estimate) and np.isfinite(values).all()):
        return Interval(estimate, np.nan, np.nan)
    count = len(values)
    error = np.sqrt((count - 1) / count * np.sum((values - values.mean()) ** 2))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * error)
    return Interval(estimate, estimate - margin, estimate + margin)


def why_no_interval(n_people: int | None, n_groups: int | None) -> str:
    """Why a number over targets has no interval, as half a sentence; empty where the groups are enough.

    Args:
        n_people: on whom the targets are judged; None: unknown.
        n_groups: of targets that share no one.
    """
    if n_people is None or n_groups is None:
        return "who was scanned is not recorded"
    if n_groups >= FEWEST_GROUPS:
        return ""
    if n_people == 1:
        return "all is judged on one person"
    if n_groups == 1:
        return "all targets share people"
    return f"only {n_groups} groups of targets share no people, and it takes {FEWEST_GROUPS}"


def _value(statistic: Statistic, rows: NDArray[np.float64]) -> float:
    """The statistic, or NaN where it has no value for these."""
    if not len(rows):
        return float("nan")
    try:
        return statistic(rows)
    except MetricError:
        return float("nan")

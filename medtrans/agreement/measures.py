"""How close a metric's ranking of sources is to the empirical one.

Every measure takes ``scores``, what a metric says of n sources, and ``truth``, what transfer really gave (Dice, mIoU),
both shape (n,), n at least 2, higher is better in both. Ties never depend on the order of sources: each docstring says
how they count. Raises MetricError for other shapes, NaN or infinite values, and wherever the measure has no value.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import dcg_score, ndcg_score

from medtrans.errors import MetricError

Measure = Callable[[ArrayLike, ArrayLike], float]


def spearman(scores: ArrayLike, truth: ArrayLike) -> float:
    """Spearman's rho: Pearson correlation of the ranks, -1 to 1. Tied sources share their average rank."""
    return float(stats.spearmanr(*_ordered(scores, truth)).statistic)


def kendall(scores: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's tau-b, -1 to 1: concordant minus discordant pairs; a pair tied on either side leaves the count."""
    return float(stats.kendalltau(*_ordered(scores, truth)).statistic)


def weighted_kendall(scores: ArrayLike, truth: ArrayLike) -> float:
    """Weighted Kendall's tau, -1 to 1: exchanging the sources at places r and s weighs 1 / r + 1 / s.

    Mean of the values with places by score and by truth (Vigna, WWW 2015; SciPy's ``weightedtau``). Ties as in
    `kendall`; for places, sources tied on one side are ordered by the other.
    """
    return float(stats.weightedtau(*_ordered(scores, truth)).statistic)


def footrule(scores: ArrayLike, truth: ArrayLike, *, first: int | None = None) -> float:
    """Spearman's footrule: total displacement, the sum of ``|rank by score - rank by truth|``; lower is better.

    Rank 1 is the best, tied sources share their average rank, so 0 means the same order and n^2 / 2, rounded down, is
    the largest. With ``first=k`` only the metric's first k picks are summed; where the k-th place falls into a tie, the
    tied sources share the places that are left.
    """
    scores, truth = _checked(scores, truth)
    displacement = np.abs(stats.rankdata(-scores) - stats.rankdata(-truth))
    return float(_share_of_picks(scores, _places(first, len(scores))) @ displacement)


def dcg(scores: ArrayLike, truth: ArrayLike, *, first: int | None = None) -> float:
    """Discounted cumulative gain: the sum of truth / log2(place + 1) over the metric's places; higher is better.

    The gain is the truth itself (not 2^truth - 1), which must not be negative. Tied scores: the average over their
    orders. With ``first=k`` only the first k places count.
    """
    scores, truth = _gains(scores, truth)
    return float(dcg_score([truth], [scores], k=_places(first, len(scores))))


def ndcg(scores: ArrayLike, truth: ArrayLike, *, first: int | None = None) -> float:
    """`dcg` over that of the true order, 0 to 1. Raises MetricError when the truth is zero everywhere."""
    scores, truth = _gains(scores, truth)
    if not truth.any():
        raise MetricError("truth: is zero for every source, so no order gains anything; ndcg has no value")
    return float(ndcg_score([truth], [scores], k=_places(first, len(scores))))


def top_k_regret(scores: ArrayLike, truth: ArrayLike, *, k: int = 1) -> float:
    """Accuracy lost by trying only the metric's first k picks: best truth of all minus best truth among them.

    In units of the truth, 0 is best. Where the k-th place falls into a tie, the mean over all choices among the tied.
    """
    scores, truth = _checked(scores, truth)
    return float(truth.max() - _expected_best(scores, truth, _places(k, len(scores))))


def share_of_best(scores: ArrayLike, truth: ArrayLike, *, k: int = 1) -> float:
    """Best truth among the metric's first k picks, as a share of the best truth of all, 0 to 1; ties as `top_k_regret`.

    The truth must not be negative, and positive for some source.
    """
    scores, truth = _gains(scores, truth)
    if not truth.any():
        raise MetricError("truth: is zero for every source, so there is no best; share_of_best has no value")
    return float(_expected_best(scores, truth, _places(k, len(scores))) / truth.max())


def _share_of_picks(scores: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Probability that each source is among the first k when ties are broken at random, shape (n,)."""
    border = np.sort(scores)[-k]
    certain, tied = scores > border, scores == border
    return np.asarray(certain + tied * ((k - certain.sum()) / tied.sum()), dtype=np.float64)


def _expected_best(scores: NDArray[np.float64], truth: NDArray[np.float64], k: int) -> float:
    """Mean over all ways to break ties of the best truth among the first k picks."""
    border = np.sort(scores)[-k]
    certain = truth[scores > border]
    tied = np.sort(truth[scores == border])
    n_left = k - len(certain)
    largest = np.maximum(tied, certain.max(initial=-np.inf))
    ways = [comb(below, n_left - 1) for below in range(len(tied))]  # choices in which this one is the largest
    return float(largest @ (np.array(ways, dtype=float) / comb(len(tied), n_left)))


def _checked(scores: Any, truth: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = []
    for name, values in (("scores", scores), ("truth", truth)):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or len(array) < 2:
            raise MetricError(f"{name}: expected one value for each of two or more sources, found shape {array.shape}")
        if not np.isfinite(array).all():
            raise MetricError(f"{name}: holds NaN or infinite values; leave those sources out on both sides")
        pair.append(array)
    if len(pair[0]) != len(pair[1]):
        raise MetricError(f"scores, truth: {len(pair[0])} and {len(pair[1])} values; give both for the same sources")
    return pair[0], pair[1]


def _ordered(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = _checked(scores, truth)
    for name, array in zip(("scores", "truth"), pair, strict=True):
        if (array == array[0]).all():
            raise MetricError(f"{name}: all sources are tied, so there is no order to correlate")
    return pair


def _gains(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = _checked(scores, truth)
    if pair[1].min() < 0:
        raise MetricError("truth: holds negative values, which gain nothing; pass an accuracy such as Dice")
    return pair


def _places(k: int | None, n_sources: int) -> int:
    if k is None:
        return n_sources
    if not 1 <= k <= n_sources:
        raise MetricError(f"{k} picks of {n_sources} sources cannot be made; choose 1 to {n_sources}")
    return k

"""How far the truth of one target can be trusted: its agreement with itself over seeds, and its noise."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.agreement import spearman
from medtrans.errors import MetricError

FEWEST = 3
"""Sources with a truth that a target needs: two can only be in order or not."""

NOISE = 2.0
"""Differences below this many standard errors are called noise."""

FAILED = 0.1
"""Accuracy that the best source must reach, or transfer to the target failed: its order is one of near zeros."""

_VALUES = (
    "best",
    "between_seeds",
    "ceiling",
    "attainable",
    "noise",
    "standard_error",
    "spread",
    "gain_of_best",
    "n_like_best",
    "share_of_close_pairs",
)


def ceiling(accuracies: NDArray[np.float64]) -> dict[str, Any]:
    r"""How well the truth of one target agrees with itself, and which differences between its sources are noise.

    With r the mean Spearman correlation of the accuracies of two seeds, and n seeds,

    .. math:: r_n = \frac{n r}{1 + (n - 1) r}

    (Spearman-Brown) is the agreement to be expected of the mean of n seeds with the mean of n others.

    Args:
        accuracies: shape (n, S), n seeds and S sources.

    Returns:
        What can be told, NaN for the rest (the spread needs three sources, all that follows from noise two seeds).

        - between_seeds: r, what the truth of one seed reaches.
        - ceiling: r_n, the agreement of what metrics are compared with, the mean of n seeds, with itself; 0 for r <= 0,
          when the order is noise. It is how this package defines the ceiling: so well would a second study agree.
        - attainable: the square root of r_n, the most that can be expected of any metric: one that knows the truth
          without noise would still be compared with a truth that has some.
        - noise: standard deviation of an accuracy between seeds, pooled over sources, without what a seed adds to all.
        - standard_error: of the difference of two sources' means, noise * sqrt(2 / n).
        - spread: standard deviation of the sources' means; noise / sqrt(n) of it is to be expected from noise alone.
        - best: mean of the best source; below `FAILED`, seeds may agree on an order that means nothing.
        - gain_of_best: mean of the best source minus the mean of all, the most that a choice can gain.
        - n_like_best: how many other sources are within two standard errors of the best.
        - share_of_close_pairs: pairs of sources that are within two standard errors of each other.
        - n_seeds, n_sources: the shape.
        - verdict: the same in words.
    """
    n_seeds, n_sources = accuracies.shape
    row: dict[str, Any] = {**dict.fromkeys(_VALUES, np.nan), "n_seeds": n_seeds, "n_sources": n_sources, "verdict": ""}
    if n_sources < FEWEST or not n_seeds:
        return row | {"verdict": f"{n_sources} sources have a truth: too few to compare"}
    means = accuracies.mean(axis=0)
    best = float(means.max())
    row |= {"best": best, "spread": float(means.std(ddof=1)), "gain_of_best": best - float(means.mean())}
    if n_seeds < 2:
        return row | {"verdict": "one seed: how noisy the truth is cannot be said"}
    row |= _noise(accuracies)
    between_seeds = _between_seeds(accuracies)
    r = float(np.maximum(between_seeds, 0))  # NaN stays NaN
    of_mean = n_seeds * r / (1 + (n_seeds - 1) * r)
    row |= {"between_seeds": between_seeds, "ceiling": of_mean, "attainable": float(np.sqrt(of_mean))}
    if best < FAILED:
        return row | {"verdict": f"nothing transfers; the best source reaches {best:.3f}, so the order means little"}
    return row | {"verdict": _verdict(row["n_like_best"], n_sources, row["standard_error"])}


def _between_seeds(accuracies: NDArray[np.float64]) -> float:
    """Mean Spearman correlation of two seeds; NaN if in one of them all sources tie."""
    try:
        return float(np.mean([spearman(first, second) for first, second in combinations(accuracies, 2)]))
    except MetricError:
        return float("nan")


def _noise(accuracies: NDArray[np.float64]) -> dict[str, Any]:
    n_seeds, n_sources = accuracies.shape
    means = accuracies.mean(axis=0)
    residuals = accuracies - means - accuracies.mean(axis=1, keepdims=True) + means.mean()
    noise = float(np.sqrt((residuals**2).sum() / ((n_seeds - 1) * (n_sources - 1))))
    standard_error = noise * float(np.sqrt(2 / n_seeds))
    apart = np.abs(np.subtract.outer(means, means))[np.triu_indices(n_sources, 1)]
    return {
        "noise": noise,
        "standard_error": standard_error,
        "n_like_best": int((means >= means.max() - NOISE * standard_error).sum()) - 1,
        "share_of_close_pairs": float((apart <= NOISE * standard_error).mean()),
    }


def _verdict(n_like_best: int, n_sources: int, standard_error: float) -> str:
    noise = f"differences below {NOISE * standard_error:.3f} are noise"
    if n_like_best == 0:
        return f"the best source is clear; {noise}"
    if n_like_best == n_sources - 1:
        return f"no source can be told from the best; {noise}"
    return f"{n_like_best} of {n_sources - 1} other sources cannot be told from the best; {noise}"

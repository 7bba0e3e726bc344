"""How far the truth can be trusted: its agreement with itself over seeds, and the noise of each target."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtrans.agreement import Interval, spearman
from medtrans.errors import MetricError
from medtrans.studies.findings.people import ENDS, NO_REPLICATES, People, Replicates, with_ends
from medtrans.tasks import TaskName

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

FEWEST = 3
"""Sources with a truth that a target needs: two can only be in order or not."""

NOISE = 2.0
"""Differences below this many standard errors are called noise."""

FAILED = 0.1
"""Accuracy that the best source must reach, or transfer to the target failed: its order is one of near zeros."""

_VALUES = (
    "best",
    "between_seeds",
    "noise",
    "standard_error",
    "spread",
    "gain_of_best",
    "n_like_best",
    "share_of_close_pairs",
)


def ceiling(between_seeds: float, n_seeds: int) -> float:
    r"""How well a second study with n other seeds would agree with this one, by the correlation r of single seeds.

    .. math:: r_n = \frac{n r}{1 + (n - 1) r}

    (Spearman-Brown.) r must be the mean over the targets of the study, unclipped: r_n of single targets, whose r is a
    correlation over a dozen sources, is far too noisy to be averaged; cut at 0, pure noise would seem to agree.

    Args:
        between_seeds: r, mean over targets of the Spearman correlation of two seeds, -1 / (n - 1) to 1.
        n_seeds: n.

    Returns:
        At most 1; 0 for noise, and by chance also below it; NaN where seeds contradict each other (r at its lowest).
    """
    noise = 1 + (n_seeds - 1) * between_seeds
    return n_seeds * between_seeds / noise if noise > 0 else float("nan")


def ceiling_table(repeatabilities: pd.DataFrame, people: People, without: Replicates = NO_REPLICATES) -> pd.DataFrame:
    """What rankings can reach in each mode, from `repeatability_table`.

    Returns:
        Columns mode and n_targets; then, each with its 95 % interval over targets (``_low``, ``_high``; NaN for the
        reason in ``no_interval``):

        - between_seeds: mean Spearman correlation of two seeds, what the truth of one seed reaches.
        - ceiling: `ceiling` of it, the agreement of what metrics are compared with, the mean of n seeds, with itself.
        - attainable: its square root, 0 below 0: the most that can be expected of any metric. One that knows the truth
          without noise would still be compared with a truth that has some.
        - gain_of_best: mean over targets.

        - between_draws: where the labelled people were drawn anew, mean Spearman correlation of the truths of two draws
          (means over seeds). Each draw is judged on partly other people, so this is noise of both kinds.

        Then the median noise and spread over targets, and n_unclear: targets on which no source can be told from the
        best. All but the gain is NaN for one seed.
    """
    names = ("between_seeds", "ceiling", "attainable", "gain_of_best", "between_draws")
    rows = []
    for mode, group in repeatabilities.groupby("mode", sort=False):
        known = group.dropna(subset=["between_seeds"])
        others = without.where({"mode": mode})
        brown = partial(_ceiling_of, n_seeds=int(group["n_seeds"].max()))
        found = people.interval(known, ["between_seeds"], brown, others)
        row: dict[str, Any] = {"mode": mode, "n_targets": len(known)}
        row |= with_ends("between_seeds", people.interval(known, ["between_seeds"], replicates=others))
        row |= with_ends("ceiling", found)
        row |= with_ends("attainable", Interval(*np.sqrt(np.maximum([found.estimate, found.low, found.high], 0))))
        for name in ("gain_of_best", "between_draws"):
            row |= with_ends(name, people.interval(group, [name], replicates=others))
        row |= {name: float(group[name].median()) for name in ("noise", "spread")}
        row["n_unclear"] = int((group["n_like_best"] == group["n_sources"] - 1).sum())
        rows.append(row | {"no_interval": people.why_no_interval(known["target"].tolist(), others)})
    columns = [f"{name}{end}" for name in names for end in ENDS]
    return pd.DataFrame(rows, columns=["mode", "n_targets", *columns, "noise", "spread", "n_unclear", "no_interval"])


def repeatability_table(results: Results) -> pd.DataFrame:
    """`repeatability` of every target, one row per mode and target; then ``between_draws``.

    That is the mean Spearman correlation of this draw's truth with that of each other draw of the task, NaN where the
    labelled people were drawn once.
    """
    rows = []
    for mode in results.modes:
        truth = results.truth(mode)
        accuracies = np.stack([table.to_numpy(float) for table in results.truth_by_seed(mode).values()])
        for i, target in enumerate(results.targets):
            complete = ~np.isnan(accuracies[:, i]).any(axis=0)
            row = {"mode": mode, "target": target, **repeatability(accuracies[:, i, complete])}
            rows.append(row | {"between_draws": _between_draws(truth, target)})
    return pd.DataFrame(rows, columns=["mode", "target", *repeatability(np.empty((0, 0))), "between_draws"])


def repeatability(accuracies: NDArray[np.float64]) -> dict[str, Any]:
    """How well the seeds of one target agree, and which differences between its sources are noise.

    Args:
        accuracies: shape (n, S), n seeds and S sources.

    Returns:
        What can be told, NaN for the rest (the spread needs three sources, all that follows from noise two seeds).

        - between_seeds: mean Spearman correlation of the accuracies of two seeds.
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
    row["between_seeds"] = _between_seeds(accuracies)
    if best < FAILED:
        return row | {"verdict": f"nothing transfers; the best source reaches {best:.3f}, so the order means little"}
    return row | {"verdict": _verdict(row["n_like_best"], n_sources, row["standard_error"])}


def _ceiling_of(rows: NDArray[np.float64], n_seeds: int) -> float:
    """`ceiling` by the mean over targets."""
    return ceiling(float(rows.mean()), n_seeds)


def _between_seeds(accuracies: NDArray[np.float64]) -> float:
    """Mean Spearman correlation of two seeds; NaN if in one of them all sources tie."""
    try:
        return float(np.mean([spearman(first, second) for first, second in combinations(accuracies, 2)]))
    except MetricError:
        return float("nan")


def _between_draws(truth: pd.DataFrame, target: str) -> float:
    task = TaskName.of_target(target)
    found = []
    for other in truth.index:
        if other != target and TaskName.of_target(other) == task:
            both = truth.loc[[target, other]].dropna(axis=1).to_numpy(float)
            with suppress(MetricError):
                found.append(spearman(*both))
    return float(np.mean(found)) if found else float("nan")


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

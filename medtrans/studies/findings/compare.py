"""What the metrics said against what transfer gave, and how far the truth itself can be trusted.

The truth of a target is the mean accuracy over seeds of every candidate source that was transferred in all of them. A
source that a filter dropped counts as ranked last, tied with the other dropped ones, and so does a source without a
score: every measure is over the same candidates, with and without a filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from medtrans.agreement import (
    Interval,
    footrule,
    kendall,
    share_of_best,
    spearman,
    top_k_regret,
    weighted_kendall,
)
from medtrans.agreement.measures import Measure
from medtrans.errors import MetricError
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.ceiling import FEWEST, ceiling, repeatability_table
from medtrans.studies.findings.people import ENDS, People, with_ends

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results


def gain_first(scores: ArrayLike, truth: ArrayLike) -> float:
    """Truth of the first pick minus the mean truth, which is what a random pick gives; ties as `top_k_regret`."""
    truth = np.asarray(truth, dtype=np.float64)
    return float(truth.max() - top_k_regret(scores, truth) - truth.mean())


MEASURES: Mapping[str, Measure] = {
    "spearman": spearman,
    "kendall": kendall,
    "weighted_kendall": weighted_kendall,
    **{f"footrule_{k}": partial(footrule, first=k) for k in range(1, 5)},
    "footrule": footrule,
    "regret": top_k_regret,
    "share_of_best": share_of_best,
    "gain_first": gain_first,
}
"""By column of `agreement_table`; the footrules are sums of displacements, lower is better, as is the regret."""

ONE_SEED = "spearman_one_seed"
_KEYS = ["mode", "sampler", "metric", "filter"]


def agreement_table(results: Results) -> pd.DataFrame:
    """Agreement of every metric with the truth, one row per mode, sampler, metric, filter and target.

    Returns:
        Those five columns, then `MEASURES`, ``spearman_one_seed`` (mean over seeds of the correlation with that seed's
        truth alone, to be held against ``between_seeds`` of `ceiling_table`), n_candidates (with a truth), n_unscored
        (of these, without a score), n_dropped (by the filter) and note: why there is no agreement, else empty.
        ``regret`` is the top-1 regret; with fewer than k candidates ``footrule_k`` is NaN.
    """
    rows = []
    for mode in results.modes:
        truth, by_seed = results.truth(mode).T, [table.T for table in results.truth_by_seed(mode).values()]
        for filter_name in results.filters:
            kept = results.kept(filter_name).T
            run = results.targets if filter_name == NO_FILTER else results.filtered(filter_name)
            for sampler in results.samplers:
                for metric in results.metrics:
                    scores = results.scores(sampler, metric).T
                    for target in results.targets:
                        seeds = [table[target] for table in by_seed]
                        row = agreement(scores[target], truth[target], kept[target], seeds)
                        if not row["note"] and target not in run:
                            row |= {**dict.fromkeys([*MEASURES, ONE_SEED], np.nan), "note": "the filter was not run"}
                        where = (mode, sampler, metric, filter_name)
                        rows.append({**dict(zip(_KEYS, where, strict=True)), "target": target, **row})
    counts = ["n_candidates", "n_unscored", "n_dropped", "note"]
    return pd.DataFrame(rows, columns=[*_KEYS, "target", *MEASURES, ONE_SEED, *counts])


def agreement(
    scores: pd.Series, truth: pd.Series, kept: pd.Series, truth_by_seed: list[pd.Series] | None = None
) -> dict[str, Any]:
    """One row of `agreement_table`, for one target; every argument is by source, NaN where there is none."""
    candidates = truth.dropna().index
    said, empirical = scores.reindex(candidates), truth[candidates].to_numpy(float)
    stays = kept.reindex(candidates, fill_value=True).to_numpy(bool)
    places = ranked_places(said.to_numpy(float), stays)
    note = _why_none(places, empirical, n_scored=int(np.isfinite(said.to_numpy(float)).sum()))
    row: dict[str, Any] = dict.fromkeys([*MEASURES, ONE_SEED], np.nan)
    if not note:
        row |= {name: _value(measure, places, empirical) for name, measure in MEASURES.items()}
        seeds = [seed.reindex(candidates).to_numpy(float) for seed in truth_by_seed or ()]
        row[ONE_SEED] = _mean([_value(spearman, places, seed) for seed in seeds])
    counts = {"n_candidates": len(candidates), "n_unscored": int(said.isna().sum()), "n_dropped": int((~stays).sum())}
    return {**row, **counts, "note": note}


def ranked_places(scores: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores replaced by their order, 1 for the lowest; 0 for sources that were dropped or have no score.

    >>> ranked_places(np.array([0.1, 0.5, np.nan, 0.9]), np.array([True, True, True, False]))
    array([1., 2., 0., 0.])
    """
    counted = kept & np.isfinite(scores)
    places = np.zeros(len(scores))
    places[counted] = rankdata(scores[counted], method="dense")
    return places


def summary_table(results: Results) -> pd.DataFrame:
    """`summary` of the study's own tables."""
    return summary(agreement_table(results), repeatability_table(results), results.people)


def summary(agreements: pd.DataFrame, repeatabilities: pd.DataFrame, people: People) -> pd.DataFrame:
    """Means over targets, by mode, sampler, metric and filter.

    Every measure of `agreement_table` has three columns: the mean, and its 95 % interval over targets with ``_low`` and
    ``_high``, NaN for the reason in ``no_interval``. ``share_of_ceiling`` has them too. n_targets counts the targets
    with an agreement, n_without those without, for the reasons in ``note``.
    """
    measures = [*MEASURES, ONE_SEED]
    rows = []
    for where, group in agreements.groupby(_KEYS, sort=False):
        judged = group[group["note"] == ""]
        row: dict[str, Any] = dict(zip(_KEYS, where, strict=True))
        row |= {"n_targets": len(judged), "n_without": len(group) - len(judged)}
        for name in measures:
            row |= with_ends(name, people.interval(judged, [name]))
        row |= with_ends("share_of_ceiling", share_of_ceiling(judged, repeatabilities, people))
        row["no_interval"] = people.why_no_interval(judged["target"].tolist())
        row["note"] = "; ".join(sorted(set(group["note"]) - {""}))
        rows.append(row)
    columns = [f"{name}{end}" for name in [*measures, "share_of_ceiling"] for end in ENDS]
    return pd.DataFrame(rows, columns=[*_KEYS, "n_targets", "n_without", *columns, "no_interval", "note"])


def share_of_ceiling(agreements: pd.DataFrame, repeatabilities: pd.DataFrame, people: People) -> Interval:
    """Mean Spearman correlation over targets as a share of the ceiling of the same targets, with its interval.

    It may exceed 1, since a metric without noise of its own can come nearer to the truth than another set of seeds
    would. NaN where the ceiling is not above 0.
    """
    columns = ["mode", "target", "between_seeds", "n_seeds"]
    pairs = agreements.merge(repeatabilities[columns], on=["mode", "target"])

    def share(rows: NDArray[np.float64]) -> float:
        spearman_mean, between_seeds = rows.mean(axis=0)
        possible = ceiling(between_seeds, int(pairs["n_seeds"].max()))
        return float(spearman_mean / possible) if possible > 0 else float("nan")

    return people.interval(pairs, ["spearman", "between_seeds"], share)


def _why_none(places: NDArray[np.float64], truth: NDArray[np.float64], *, n_scored: int) -> str:
    """Why a target has no agreement; empty where it has one."""
    if len(truth) < FEWEST:
        return f"fewer than {FEWEST} candidates have a truth"
    if n_scored < FEWEST:
        return f"fewer than {FEWEST} candidates have a score" if n_scored else "no candidate has a score"
    if (places == places[0]).all():
        return "all scores tie"
    return "the truth of all candidates ties" if (truth == truth[0]).all() else ""


def _value(measure: Measure, scores: ArrayLike, truth: ArrayLike) -> float:
    """The measure, or NaN where it has no value for these."""
    try:
        return measure(scores, truth)
    except MetricError:
        return float("nan")


def _mean(values: list[float]) -> float:
    """The mean of those that are not NaN; NaN if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")

"""What the metrics said against what transfer gave, and how far the truth itself can be trusted.

The truth of a target is the mean accuracy over seeds of every candidate source that was transferred in all of them. A
source that a filter dropped counts as ranked last, tied with the other dropped ones, and so does a source without a
score: every measure is over the same candidates, with and without a filter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from medtrans.selection.evidence import STATIC
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.baselines import BASELINES, CHANCE, baseline_scores, chance_agreement
from medtrans.studies.findings.ceiling import FEWEST, ceiling, repeatability_table
from medtrans.studies.findings.expectation import expected_scores
from medtrans.studies.findings.people import ENDS, NO_REPLICATES, People, Replicates, with_ends
from medtrans.tasks.relations import NAMES

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

EXPECTED = "expected_accuracy"
"""What the ranking by expected accuracy is called among the metrics."""

LEADS: Mapping[str, str] = {"ahead": "spearman", "pick_ahead": "gain_first"}
"""Columns that say how far a way is above the baseline that is best by a measure, and that measure."""

Best = Mapping[str, Mapping[str, str]]
"""By column of `LEADS` and mode, a baseline."""

ONE_SEED = "spearman_one_seed"
_KEYS = ["mode", "sampler", "metric", "filter"]


def agreement_table(results: Results) -> pd.DataFrame:
    """Agreement of every metric with the truth, one row per mode, sampler, metric, filter and target; then baselines.

    Returns:
        Those five columns, then `MEASURES`, ``spearman_one_seed`` (mean over seeds of the correlation with that seed's
        truth alone, to be held against ``between_seeds`` of `ceiling_table`), n_candidates (with a truth), n_unscored
        (of these, without a score), n_dropped (by the filter) and note: why there is no agreement, else empty.
        ``regret`` is the top-1 regret; with fewer than k candidates ``footrule_k`` is NaN. Of ``baselines.BASELINES``
        the sampler is empty and the filter none.
    """
    rows = []
    for mode in results.modes:
        truth, by_seed = results.truth(mode).T, [table.T for table in results.truth_by_seed(mode).values()]
        for way, scores in _ways(results, mode):
            filter_name = way["filter"]
            kept = results.kept(filter_name).T
            run = results.targets if filter_name == NO_FILTER else results.filtered(filter_name)
            for target in results.targets:
                seeds = [table[target] for table in by_seed]
                row = agreement(scores[target], truth[target], kept[target], seeds)
                if not row["note"] and target not in run:
                    row |= {**dict.fromkeys([*MEASURES, ONE_SEED], np.nan), "note": "the filter was not run"}
                rows.append({**way, "target": target, **row})
        rows += [_chance_row(mode, target, truth[target]) for target in results.targets]
    counts = ["n_candidates", "n_unscored", "n_dropped", "note"]
    return pd.DataFrame(rows, columns=[*_KEYS, "target", *MEASURES, ONE_SEED, *counts])


def _ways(results: Results, mode: str) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Every way to rank sources but chance: its keys, and its scores, source x target."""
    for filter_name in results.filters:
        for sampler in results.samplers:
            for metric in results.metrics:
                way = {"mode": mode, "sampler": sampler, "metric": metric, "filter": filter_name}
                yield way, results.scores(sampler, metric).T
    expected = expected_scores(results, mode)
    if expected.notna().any(axis=None):
        way = {"mode": mode, "sampler": results.samplers[0], "metric": EXPECTED, "filter": NO_FILTER}
        yield way, expected.T
    for baseline in (NAMES, STATIC):
        way = {"mode": mode, "sampler": "", "metric": baseline, "filter": NO_FILTER}
        yield way, baseline_scores(results, baseline, mode).T


def _chance_row(mode: str, target: str, truth: pd.Series) -> dict[str, Any]:
    known = truth.dropna().to_numpy(float)
    row = agreement(truth, truth, truth.notna())  # of the truth with itself: why there would be none
    if not row["note"]:
        row |= {**dict.fromkeys([*MEASURES, ONE_SEED], np.nan), **chance_agreement(known), ONE_SEED: 0.0}
    where = {"mode": mode, "sampler": "", "metric": CHANCE, "filter": NO_FILTER}
    return {**where, "target": target, **row, "n_unscored": 0, "n_dropped": 0}


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
    replicates = [Replicates.of(results, make) for make in (agreement_table, repeatability_table)]
    return summary(agreement_table(results), repeatability_table(results), results.people, *replicates)


def summary(
    agreements: pd.DataFrame,
    repeatabilities: pd.DataFrame,
    people: People,
    without: Replicates = NO_REPLICATES,
    truth_without: Replicates = NO_REPLICATES,
) -> pd.DataFrame:
    """Means over targets, by mode, sampler, metric and filter.

    Every measure of `agreement_table` has three columns: the mean, and its 95 % interval over targets, or over people
    where targets share them, with ``_low`` and ``_high``, NaN for the reason in ``no_interval``. ``share_of_ceiling``
    has them too, and so have ``ahead``, by how much the mean Spearman correlation exceeds that of ``baseline``, the
    best of those that need no label and no run, and ``pick_ahead``, by how much more the first pick gives than that of
    ``pick_baseline`` (NaN for baselines themselves). n_targets counts the targets with an agreement, n_without those
    without, for the reasons in ``note``.

    Args:
        agreements: `agreement_table`.
        repeatabilities: `repeatability_table`.
        people: of the study.
        without: the agreements without each person.
        truth_without: the repeatabilities likewise.
    """
    best = best_baselines(agreements)
    agreements, without = with_ahead(agreements, best), without.map(partial(with_ahead, best=best))
    rows = []
    for where, group in agreements.groupby(_KEYS, sort=False):
        keys = dict(zip(_KEYS, where, strict=True))
        judged, others = group[group["note"] == ""], without.where({**keys, "note": ""})
        row: dict[str, Any] = {**keys, "n_targets": len(judged), "n_without": len(group) - len(judged)}
        for name in [*MEASURES, ONE_SEED]:
            row |= with_ends(name, people.interval(judged, [name], replicates=others))
        for lead in LEADS:
            row |= with_ends(lead, people.interval(judged, [lead], replicates=others))
        truths = truth_without.where({"mode": keys["mode"]})
        row |= with_ends("share_of_ceiling", share_of_ceiling(judged, repeatabilities, people, others, truths))
        row["baseline"] = best["ahead"].get(str(keys["mode"]), "")
        row["pick_baseline"] = best["pick_ahead"].get(str(keys["mode"]), "")
        row["no_interval"] = people.why_no_interval(judged["target"].tolist(), others)
        row["note"] = "; ".join(sorted(set(group["note"]) - {""}))
        rows.append(row)
    columns = [f"{name}{end}" for name in [*MEASURES, ONE_SEED, *LEADS, "share_of_ceiling"] for end in ENDS]
    columns = [*_KEYS, "n_targets", "n_without", *columns, "baseline", "pick_baseline", "no_interval", "note"]
    return pd.DataFrame(rows, columns=columns)


def best_baselines(agreements: pd.DataFrame) -> Best:
    """The baselines with the highest mean Spearman correlation, and those whose first picks gain most."""
    rows = agreements[agreements["metric"].isin(BASELINES)]
    found = {}
    for lead, measure in LEADS.items():
        means = rows.groupby(["mode", "metric"], sort=False)[measure].mean().dropna().reset_index()
        best = means.sort_values(measure, kind="stable").groupby("mode").last()
        found[lead] = {str(mode): str(metric) for mode, metric in best["metric"].items()}
    return found


def with_ahead(agreements: pd.DataFrame, best: Best) -> pd.DataFrame:
    """With the columns of `LEADS`: the measure minus that of the mode's best baseline on the same target."""
    where = pd.MultiIndex.from_frame(agreements[["mode", "target"]])
    is_baseline = agreements["metric"].isin(BASELINES)
    leads = {}
    for lead, measure in LEADS.items():
        rows = agreements[agreements["metric"] == agreements["mode"].map(best[lead])]
        theirs = rows.set_index(["mode", "target"])[measure].reindex(where).to_numpy(float)
        leads[lead] = (agreements[measure] - theirs).mask(is_baseline)
    return agreements.assign(**leads)


def share_of_ceiling(
    agreements: pd.DataFrame,
    repeatabilities: pd.DataFrame,
    people: People,
    without: Replicates = NO_REPLICATES,
    truth_without: Replicates = NO_REPLICATES,
) -> Interval:
    """Mean Spearman correlation over targets as a share of the ceiling of the same targets, with its interval.

    It may exceed 1, since a metric without noise of its own can come nearer to the truth than another set of seeds
    would. NaN where the ceiling is not above 0.
    """
    pairs = _with_truths(agreements, repeatabilities)
    both = {
        name: _with_truths(table, truth_without.tables[name])
        for name, table in without.tables.items()
        if name in truth_without.tables
    }

    def share(rows: NDArray[np.float64]) -> float:
        spearman_mean, between_seeds = rows.mean(axis=0)
        possible = ceiling(between_seeds, int(pairs["n_seeds"].max()))
        return float(spearman_mean / possible) if possible > 0 else float("nan")

    return people.interval(pairs, ["spearman", "between_seeds"], share, Replicates(both))


def _with_truths(agreements: pd.DataFrame, repeatabilities: pd.DataFrame) -> pd.DataFrame:
    columns = ["mode", "target", "between_seeds", "n_seeds"]
    return agreements.merge(repeatabilities[columns], on=["mode", "target"])


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

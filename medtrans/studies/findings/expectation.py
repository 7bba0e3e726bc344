"""Fit the expected accuracy to studies: a ridge regression on what is cheap to know, judged on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from medtrans.agreement import FEWEST_GROUPS, cluster_quantile, spearman, top_k_regret
from medtrans.agreement.measures import Measure
from medtrans.config import SCORING, MetricSettings
from medtrans.errors import MetricError, StudyError, did_you_mean
from medtrans.metrics.registry import Option
from medtrans.selection.expectation import (
    LEVEL,
    Expectation,
    Feature,
    ModeFit,
    expit,
    logit,
    read_expectation,
)
from medtrans.studies.findings.baselines import baseline_scores
from medtrans.studies.findings.people import People
from medtrans.tasks import TaskName, metric_label, n_tasks
from medtrans.tasks.relations import NAMES

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

FEATURES: Mapping[str, tuple[str, ...]] = {"head": ("head_dice",), "full": ("head_dice", "zero_shot_dice", "h_score")}
"""By mode, what the shipped fit knows of a source; chosen on configs/study_nichart_tuning.yaml."""

SHARES = ("head_dice", "probe_dice", "whole_zero_shot_dice", "zero_shot_dice")
"""Metrics between 0 and 1 whose logit is taken."""

_ABOUT: Mapping[str, Callable[[Results], object]] = {
    "measure": lambda results: results.measure,
    "kind of images": lambda results: results.job.photographs,
    "first sampler": lambda results: results.job.samplers[results.samplers[0]],
}
"""What studies that are fitted together must have in common."""

_PENALTY = 0.01  # of the ridge, as a share of the number of pairs, on features of unit variance
_FEWEST_CLUSTERS = 3  # one is left out, and of the others one more, to see how wide an interval has to be


def fit_expectation(studies: Sequence[Results], features: Sequence[str] | None = None) -> Expectation:
    """Fit the expected accuracy in every mode to the pairs of source and target of some studies.

    Each mode is a ridge regression of the logit of the accuracy (mean over seeds) on the features; None: those of
    `FEATURES`. What is told of it
    (coverage, agreement, error) and the width of the interval come from `cross_fitted` predictions: of pairs whose
    structure was left out of the fit and, where targets fall into groups that share no people, everyone of their group.

    The interval is conformal (Vovk et al., "Algorithmic learning in a random world", 2005): half its width is the
    `cluster_quantile` of the absolute residuals, in logits, at the level `LEVEL`. Clusters are the structures, or the
    groups of people where there are fewer of these but at least `FEWEST_GROUPS`. They are few, so that it holds more or
    less often than that is told too: the coverage is of intervals that are made without the cluster they are judged on.

    Raises:
        StudyError: the studies differ in what they are about, a feature is missing in one, or there are too few
            targets of different structures.
    """
    first = studies[0]
    _check_alike(studies)
    modes = [mode for mode in first.modes if all(mode in results.modes for results in studies)]
    if not modes:
        raise StudyError(f"{first.job.output}: no way of transfer has results in every study; run them first")
    by_mode = {mode: FEATURES[mode] if features is None else tuple(features) for mode in modes}
    for results in studies:
        _check_features(results, dict.fromkeys(name for names in by_mode.values() for name in names))
    people = [results.people.by_target.get(target) for results in studies for target in results.targets]
    known = None if None in people or not people else len(frozenset().union(*(it for it in people if it)))
    return Expectation(
        scoring=SCORING,
        studies=tuple(results.name for results in studies),
        made=date.today(),
        domains=tuple(sorted({TaskName.of_target(it).domain for results in studies for it in results.targets})),
        photographs=first.job.photographs,
        measure=first.measure,
        sampler=first.job.samplers[first.samplers[0]],
        n_people=known,
        n_sources=len({(results.job.pool_path, name) for results in studies for name in results.sources}),
        fits=tuple(_fit_mode(studies, mode, names) for mode, names in by_mode.items()),
    )


def pairs(studies: Sequence[Results], mode: str, features: Sequence[str]) -> pd.DataFrame:
    """One row per source and target of some studies that has a truth and all features.

    Columns: target (with the number of its study), source, structure, people (a number for each group of targets that
    share no one with others; 0 for all where that is not known), the features and accuracy. Features are as the
    regression takes them, logits of shares; the metrics' are those by the study's first sampler.
    """
    tables: list[pd.DataFrame] = []
    judged: dict[str, frozenset[str]] = {}
    for i, results in enumerate(studies):
        columns = {name: _feature(results, name, mode) for name in features} | {"accuracy": results.truth(mode)}
        table = pd.DataFrame({name: it.rename_axis("target").stack() for name, it in columns.items()}).dropna()
        table = table.rename_axis(["target", "source"]).reset_index()
        table["structure"] = [TaskName.of_target(target).structure for target in table["target"]]
        table["target"] = [f"{i}:{target}" for target in table["target"]]
        judged |= {f"{i}:{target}": people for target, people in results.people.by_target.items()}
        tables.append(table)
    stacked = pd.concat(tables, ignore_index=True)
    targets = list(dict.fromkeys(stacked["target"]))
    groups = People(judged).groups(targets) if targets else None
    by_target = {} if groups is None else dict(zip(targets, groups.tolist(), strict=True))
    return stacked.assign(people=[by_target.get(target, 0) for target in stacked["target"]])


def cross_fitted(table: pd.DataFrame, features: Sequence[str]) -> NDArray[np.float64]:
    """Logit of the expected accuracy of every row of `pairs`, by a fit without its structure and its people.

    People are left out where there are several groups of them. NaN where that leaves nothing to fit.
    """
    predicted = np.full(len(table), np.nan)
    structures, people = table["structure"].to_numpy(), table["people"].to_numpy()
    several = len(set(people)) > 1
    for structure, group in dict.fromkeys(zip(structures, people, strict=True)):
        out = (structures == structure) & (people == group)
        rest = table[(structures != structure) & ((people != group) | (not several))]
        if len(rest):
            coefficients, intercept = _regress(rest, features)
            predicted[out] = table.loc[out, list(features)].to_numpy(float) @ coefficients + intercept
    return predicted


def expected_scores(results: Results, mode: str, expectation: Expectation | None = None) -> pd.DataFrame:
    """Expected accuracy of a study's own pairs, target x source; NaN where it cannot be told.

    As the given fit, or that which the study names as ``expectation``. Where there is none, as fitted to the study
    itself, every pair by `cross_fitted`.
    """
    empty = pd.DataFrame(np.nan, index=list(results.targets), columns=list(results.sources))
    if expectation is None and results.job.expectation is not None:
        expectation = read_expectation(results.job.expectation)
    fit = next((it for it in expectation.fits if it.mode == mode), None) if expectation else None
    names = FEATURES[mode] if expectation is None else tuple(it.name for it in fit.features) if fit else ()
    if not names or any(name not in (*results.metrics, NAMES) for name in names):
        return empty
    table = pairs([results], mode, names)
    if fit:
        odds = table[list(names)].to_numpy(float) @ np.array([it.coefficient for it in fit.features]) + fit.intercept
    elif table["structure"].nunique() < _FEWEST_CLUSTERS:
        return empty
    else:
        odds = cross_fitted(table, names)
    table["target"] = table["target"].str.removeprefix("0:")
    wide = table.assign(value=[expit(it) for it in odds]).pivot(index="target", columns="source", values="value")
    return wide.reindex(index=empty.index, columns=empty.columns)


def _fit_mode(studies: Sequence[Results], mode: str, features: Sequence[str]) -> ModeFit:
    table = pairs(studies, mode, features)
    if (n_structures := table["structure"].nunique()) < _FEWEST_CLUSTERS:
        raise StudyError(
            f"mode {mode}: {n_structures} structures with a truth and all features; a fit is judged on structures that "
            f"it has not seen, so give studies of at least {_FEWEST_CLUSTERS}"
        )
    try:
        margin, coverage = _margin(table, features), left_out_coverage(table, features)
    except MetricError as error:
        raise StudyError(
            f"mode {mode}: without the structures and people that a fit is judged on, too little is left to fit; give "
            "studies of more structures or people"
        ) from error
    coefficients, intercept = _regress(table, features)
    options = _options(studies[0])
    return ModeFit(
        mode=mode,
        features=tuple(
            Feature(name=name, options=options.get(name, {}), logit=name in SHARES, coefficient=float(it))
            for name, it in zip(features, coefficients, strict=True)
        ),
        intercept=intercept,
        margin=margin,
        left_out="structures and people" if table["people"].nunique() > 1 else "structures",
        coverage=coverage,
        n_clusters=table[_cluster_column(table)].nunique(),
        n_targets=n_tasks(table["target"]),
        n_pairs=len(table),
        **_left_out_agreement(table, cross_fitted(table, features)),
    )


def left_out_coverage(table: pd.DataFrame, features: Sequence[str]) -> float:
    """How often the accuracy lies in an interval that is made without its cluster, mean over clusters."""
    column, predicted = _cluster_column(table), cross_fitted(table, features)
    residuals = np.abs(_odds(table) - predicted)
    shares = []
    for cluster in table[column].unique():
        out = (table[column] == cluster).to_numpy() & np.isfinite(residuals)
        margin = _margin(table[table[column] != cluster], features, column)
        if out.any():
            shares.append(float((residuals[out] <= margin).mean()))
    return float(np.mean(shares))


def _margin(table: pd.DataFrame, features: Sequence[str], column: str | None = None) -> float:
    """Half the width of the interval, in logits."""
    residuals = np.abs(_odds(table) - cross_fitted(table, features))
    known = np.isfinite(residuals)
    clusters = table[column or _cluster_column(table)].to_numpy()
    return max(cluster_quantile(residuals[known], clusters[known], level=LEVEL), 1e-6)


def _cluster_column(table: pd.DataFrame) -> str:
    """The coarser of what pairs share: the structure, or the people where these are groups enough."""
    groups = table["people"].nunique()
    return "people" if FEWEST_GROUPS <= groups < table["structure"].nunique() else "structure"


def _left_out_agreement(table: pd.DataFrame, predicted: NDArray[np.float64]) -> dict[str, float]:
    """Agreement and error of predictions with the truth."""
    known = table.assign(expected=[expit(it) for it in predicted])[np.isfinite(predicted)]
    means = known.groupby("target")[["expected", "accuracy"]].mean()
    return {
        "spearman": _over_targets(known, spearman),
        "regret": _over_targets(known, top_k_regret),
        "error": float((known["expected"] - known["accuracy"]).abs().mean()),
        "level_error": float((means["expected"] - means["accuracy"]).abs().mean()),
    }


def _over_targets(table: pd.DataFrame, measure: Measure) -> float:
    """Mean of a measure over the targets where it has a value."""
    found = []
    for _, rows in table.groupby("target"):
        try:
            found.append(measure(rows["expected"], rows["accuracy"]))
        except MetricError:
            continue
    return float(np.mean(found)) if found else 0.0


def _feature(results: Results, name: str, mode: str) -> pd.DataFrame:
    """A feature as the regression takes it, target x source."""
    if name == NAMES:
        return baseline_scores(results, NAMES, mode)
    scores = results.scores(results.samplers[0], name)
    return scores.map(logit, na_action="ignore") if name in SHARES else scores


def _odds(table: pd.DataFrame) -> NDArray[np.float64]:
    return table["accuracy"].map(logit).to_numpy(float)


def _regress(table: pd.DataFrame, features: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """Coefficients of the features and intercept, by a ridge on features of unit variance."""
    values = table[list(features)].to_numpy(float)
    scale = np.maximum(values.std(axis=0), 1e-9)
    ridge = Ridge(alpha=_PENALTY * len(table)).fit(values / scale, _odds(table))
    return np.asarray(ridge.coef_ / scale), float(ridge.intercept_)


def _options(results: Results) -> dict[str, dict[str, Option]]:
    """Options of the study's metrics, by label."""
    told = [it for it in results.job.metrics if isinstance(it, MetricSettings)]
    return {metric_label(it.name, it.options): it.options for it in told}


def _check_alike(studies: Sequence[Results]) -> None:
    first, *others = studies
    for results in others:
        for what, about in _ABOUT.items():
            if about(results) != about(first):
                raise StudyError(f"{results.job.output}: differs from {first.job.output} in its {what}; fit them apart")


def _check_features(results: Results, features: Iterable[str]) -> None:
    for name in features:
        if name not in (*results.metrics, NAMES):
            raise StudyError(
                f"{results.job.output}: has no metric '{name}', which the fit needs; "
                f"{did_you_mean(name, results.metrics)} Add it to the study's metrics and run that again: "
                "only the scores are done anew"
            )

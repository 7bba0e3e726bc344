"""Fit the expected accuracy to studies: a ridge regression on what is cheap to know, judged on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from medtrans.agreement import spearman, top_k_regret
from medtrans.agreement.measures import Measure
from medtrans.config import SCORING
from medtrans.errors import MetricError, StudyError, did_you_mean
from medtrans.selection.expectation import (
    LEVEL,
    NAMES,
    Expectation,
    Feature,
    ModeFit,
    expit,
    logit,
    read_expectation,
)
from medtrans.studies.findings.baselines import baseline_scores
from medtrans.tasks import TaskName

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

FEATURES = ("probe_dice", "whole_zero_shot_dice")
"""What the shipped fit knows of a source; chosen on configs/study_nichart_tuning.yaml."""

SHARES = ("probe_dice", "whole_zero_shot_dice", "zero_shot_dice")
"""Metrics between 0 and 1 whose logit is taken."""

_ABOUT: Mapping[str, Callable[[Results], object]] = {
    "measure": lambda results: results.measure,
    "kind of images": lambda results: results.job.photographs,
    "first sampler": lambda results: results.job.samplers[results.samplers[0]],
}
"""What studies that are fitted together must have in common."""

_PENALTY = 0.01  # of the ridge, as a share of the number of pairs, on features of unit variance
_FEWEST_CLUSTERS = 3


def fit_expectation(studies: Sequence[Results], features: Sequence[str] = FEATURES) -> Expectation:
    """Fit the expected accuracy in every mode to the pairs of source and target of some studies.

    Each mode is a ridge regression of the logit of the accuracy (mean over seeds) on the features. What is told of it
    (coverage, agreement, error) and the width of the interval come from predictions of pairs whose cluster was left out
    of the fit: all targets of the same structure. The interval is conformal (Vovk et al., "Algorithmic learning in a
    random world", 2005): half its width is the quantile of the absolute residuals, in logits, at the level `LEVEL`,
    every cluster weighing the same. Structures are few, so that it holds more or less often than that is told too: the
    coverage is of intervals whose width comes from the other clusters.

    Raises:
        StudyError: the studies differ in what they are about, a feature is missing in one, or there are too few
            targets of different structures.
    """
    first = studies[0]
    _check_alike(studies)
    for results in studies:
        _check_features(results, features)
    modes = [mode for mode in first.modes if all(mode in results.modes for results in studies)]
    people = [results.people.by_target.get(target) for results in studies for target in results.targets]
    known = None if None in people or not people else len(frozenset().union(*(it for it in people if it)))
    return Expectation(
        scoring=SCORING,
        studies=tuple(results.job.output.resolve().name for results in studies),
        made=date.today(),
        domains=tuple(sorted({TaskName.of_target(it).domain for results in studies for it in results.targets})),
        photographs=first.job.photographs,
        measure=first.measure,
        sampler=first.job.samplers[first.samplers[0]],
        n_people=known,
        fits=tuple(_fit_mode([pairs(it, mode, features) for it in studies], mode, features) for mode in modes),
    )


def pairs(results: Results, mode: str, features: Sequence[str] = FEATURES) -> pd.DataFrame:
    """One row per source and target with a truth and all features: target, source, cluster, features, accuracy.

    Features are as the regression takes them, logits of shares; the metrics' are those by the study's first sampler.
    """
    columns = {name: _feature(results, name, mode) for name in features} | {"accuracy": results.truth(mode)}
    table = pd.DataFrame({name: it.rename_axis("target").stack() for name, it in columns.items()}).dropna()
    table = table.rename_axis(["target", "source"]).reset_index()
    table["cluster"] = [TaskName.of_target(target).structure for target in table["target"]]
    return table


def cross_fitted(table: pd.DataFrame, features: Sequence[str]) -> NDArray[np.float64]:
    """Logit of the expected accuracy of every pair, with its cluster left out of the fit."""
    predicted = np.full(len(table), np.nan)
    clusters = table["cluster"].to_numpy()
    for cluster in dict.fromkeys(clusters):
        out = clusters == cluster
        coefficients, intercept = _regress(table[~out], features)
        predicted[out] = table.loc[out, list(features)].to_numpy(float) @ coefficients + intercept
    return predicted


def expected_scores(results: Results, mode: str) -> pd.DataFrame:
    """Expected accuracy of a study's own pairs, target x source; NaN where it cannot be told.

    As the fit that the study names as ``expectation``. Where it names none, as fitted to the study itself, every pair
    with its cluster left out.
    """
    empty = pd.DataFrame(np.nan, index=list(results.targets), columns=list(results.sources))
    if results.job.expectation is None:
        names: tuple[str, ...] = FEATURES
        known = all(name in results.metrics for name in names)
        table = pairs(results, mode, names) if known else empty.melt().assign(cluster="")
        if table["cluster"].nunique() < _FEWEST_CLUSTERS:
            return empty
        odds = cross_fitted(table, names)
    else:
        fit = next((it for it in read_expectation(results.job.expectation).fits if it.mode == mode), None)
        names = tuple(feature.name for feature in fit.features) if fit else ()
        if fit is None or any(name not in (*results.metrics, NAMES) for name in names):
            return empty
        table = pairs(results, mode, names)
        odds = table[list(names)].to_numpy(float) @ np.array([it.coefficient for it in fit.features]) + fit.intercept
    wide = table.assign(value=[expit(it) for it in odds]).pivot(index="target", columns="source", values="value")
    return wide.reindex(index=empty.index, columns=empty.columns)


def _fit_mode(tables: Sequence[pd.DataFrame], mode: str, features: Sequence[str]) -> ModeFit:
    table = pd.concat(tables, ignore_index=True)
    n_clusters = table["cluster"].nunique()
    if n_clusters < _FEWEST_CLUSTERS:
        raise StudyError(
            f"mode {mode}: {n_clusters} structures with a truth and all features; a fit is judged on structures that "
            f"it has not seen, so give studies of at least {_FEWEST_CLUSTERS}"
        )
    left_out = cross_fitted(table, features)
    residuals = np.abs(table["accuracy"].map(logit).to_numpy() - left_out)
    margin = _conformal_margin(residuals, table["cluster"].to_numpy())
    coefficients, intercept = _regress(table, features)
    expected = np.array([expit(it) for it in left_out])
    truth = table["accuracy"].to_numpy()
    return ModeFit(
        mode=mode,
        features=tuple(
            Feature(name=name, logit=name in SHARES, coefficient=float(it))
            for name, it in zip(features, coefficients, strict=True)
        ),
        intercept=intercept,
        margin=margin,
        coverage=_left_out_coverage(residuals, table["cluster"].to_numpy()),
        spearman=_over_targets(table["target"], expected, truth, spearman),
        regret=_over_targets(table["target"], expected, truth, top_k_regret),
        error=float(np.abs(expected - truth).mean()),
        n_targets=table["target"].nunique(),
        n_pairs=len(table),
    )


def _feature(results: Results, name: str, mode: str) -> pd.DataFrame:
    """A feature as the regression takes it, target x source."""
    if name == NAMES:
        return baseline_scores(results, NAMES, mode)
    scores = results.scores(results.samplers[0], name)
    return scores.map(logit, na_action="ignore") if name in SHARES else scores


def _regress(table: pd.DataFrame, features: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """Coefficients of the features and intercept, by a ridge on features of unit variance."""
    values, odds = table[list(features)].to_numpy(float), table["accuracy"].map(logit).to_numpy(float)
    scale = np.maximum(values.std(axis=0), 1e-9)
    ridge = Ridge(alpha=_PENALTY * len(table)).fit(values / scale, odds)
    return np.asarray(ridge.coef_ / scale), float(ridge.intercept_)


def _conformal_margin(residuals: NDArray[np.float64], clusters: NDArray[np.object_]) -> float:
    """The `LEVEL` quantile of absolute residuals of which every cluster has the same share."""
    _, numbers, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    order = np.argsort(residuals)
    mass = np.cumsum(1 / sizes[numbers[order]]) / len(sizes)
    place = int(np.searchsorted(mass, LEVEL))
    return float(max(residuals[order[min(place, len(order) - 1)]], 1e-6))


def _left_out_coverage(residuals: NDArray[np.float64], clusters: NDArray[np.object_]) -> float:
    """How often the accuracy lies in an interval whose width was taken from the other clusters."""
    inside = np.zeros(len(residuals), dtype=bool)
    for cluster in np.unique(clusters):
        out = clusters == cluster
        inside[out] = residuals[out] <= _conformal_margin(residuals[~out], clusters[~out])
    return float(inside.mean())


def _over_targets(
    targets: pd.Series, expected: NDArray[np.float64], truth: NDArray[np.float64], measure: Measure
) -> float:
    """Mean of a measure over the targets where it has a value."""
    found = []
    for target in targets.unique():
        of = (targets == target).to_numpy()
        try:
            found.append(measure(expected[of], truth[of]))
        except MetricError:
            continue
    return float(np.mean(found)) if found else 0.0


def _check_alike(studies: Sequence[Results]) -> None:
    first, *others = studies
    for results in others:
        for what, about in _ABOUT.items():
            if about(results) != about(first):
                raise StudyError(f"{results.job.output}: differs from {first.job.output} in its {what}; fit them apart")


def _check_features(results: Results, features: Sequence[str]) -> None:
    for name in features:
        if name not in (*results.metrics, NAMES):
            raise StudyError(
                f"{results.job.output}: has no metric '{name}', which the fit needs; "
                f"{did_you_mean(name, results.metrics)} Add it to the study's metrics and run that again: "
                "only the scores are done anew"
            )

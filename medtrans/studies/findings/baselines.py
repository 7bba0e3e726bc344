"""Ways to choose a source that need no label and no run of a model: what a metric has to beat to be useful.

Chance is the expectation of a random order; `names` the rule by names; the static order is how good each source was on
the study's other targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtrans.selection.evidence import STATIC
from medtrans.tasks import TaskName
from medtrans.tasks.relations import NAMES, names_points

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

CHANCE = "chance"
BASELINES = (CHANCE, NAMES, STATIC)
"""What they are called in the column of metrics; they look at no pixels, so their sampler is empty."""


def chance_agreement(truth: NDArray[np.float64]) -> dict[str, float]:
    r"""Every measure of `agreement_table` as it is expected of a random order of n sources.

    Correlations are 0; the footrule of one pick is the mean of ``|i - j|`` over all places,
    :math:`(n^2 - 1) / (3 n)`, that of all n as many times; the first pick gives the mean truth.
    """
    n, best, mean = len(truth), float(truth.max()), float(truth.mean())
    one = (n**2 - 1) / (3 * n)
    picks = {f"footrule_{k}": k * one if k <= n else np.nan for k in range(1, 5)}
    share = mean / best if best > 0 and truth.min() >= 0 else np.nan
    return {
        **dict.fromkeys(("spearman", "kendall", "weighted_kendall", "gain_first"), 0.0),
        **picks,
        "footrule": n * one,
        "regret": best - mean,
        "share_of_best": share,
    }


def baseline_scores(results: Results, name: str, mode: str) -> pd.DataFrame:
    """What a baseline but chance says of every source, target x source; higher is said to transfer better."""
    if name == NAMES:
        relations = results.job.relations.table()
        rows = [
            [
                names_points(TaskName.of_source(source), TaskName.of_target(target), relations)
                for source in results.sources
            ]
            for target in results.targets
        ]
        return pd.DataFrame(rows, index=list(results.targets), columns=list(results.sources))
    return static_order(results, mode)


def static_order(results: Results, mode: str) -> pd.DataFrame:
    """How much better than the mean source each one is on the study's other targets, target x source.

    Other targets are those of other tasks, judged on people that this one is not judged on; where there are none, on
    the same people, which flatters the order. On each of them the mean of its sources is taken off, as not all sources
    are transferred to all targets.
    """
    rows = {target: _elsewhere(results, target, mode) for target in results.targets}
    return pd.DataFrame(rows).T.reindex(index=list(results.targets), columns=list(results.sources))


def _elsewhere(results: Results, target: str, mode: str) -> pd.Series:
    """By source."""
    others = [it for it in results.targets if TaskName.of_target(it) != TaskName.of_target(target)]
    truth = results.truth(mode).loc[others]
    judged = results.people.by_target.get(target, frozenset())
    by_person = results.frames["by_person"]
    rows = by_person[(by_person["mode"] == mode) & by_person["target"].isin(others) & ~by_person["person"].isin(judged)]
    if len(rows):
        truth = rows.pivot_table(index="target", columns="source", values=results.measure, aggfunc="mean")
    return truth.sub(truth.mean(axis=1), axis=0).mean(axis=0)

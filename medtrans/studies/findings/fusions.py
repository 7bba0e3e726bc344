"""Which sources are fused for a target: the first picks by each metric, by truth, and at random."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import pandas as pd

from medtrans.config import StudyJob
from medtrans.errors import StudyError
from medtrans.studies.engine.pieces import Piece, transfer_modes
from medtrans.studies.findings.results import Results

TRUTH, RANDOM = "truth", "random"
"""The choosers beside the metrics: what transfer really gave, and chance."""


def plan_fusions(job: StudyJob, results: Results) -> list[Piece]:
    """The sets of 2 .. largest sources that some chooser picks for a target, each set once a mode and seed.

    `picks` knows only sources that were transferred with every seed, so nothing is fused that failed alone.
    """
    if job.many_to_one is None:
        return []
    return [
        Piece("fuse", sources, target, mode, seed)
        for target in job.target_groups()
        for mode in transfer_modes(job)
        for sources in _picked_sets(picks(results, target, mode).values())
        for seed in job.seeds
    ]


def _picked_sets(orders: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The first 2, 3 ... names of each order, sorted, each set once.

    >>> _picked_sets([("c", "a", "b"), ("a", "c")])
    [('a', 'c'), ('a', 'b', 'c')]
    """
    sets = {tuple(sorted(order[:k])) for order in orders for k in range(2, len(order) + 1)}
    return sorted(sets, key=lambda names: (len(names), names))


def picks(results: Results, target: str, mode: str) -> dict[str, tuple[str, ...]]:
    """The first sources for a target by each chooser, best first: at most ``many_to_one.largest`` of them.

    Choosers are the metrics of ``many_to_one.metrics`` (by the first sampler, mean over repetitions), ``truth`` (mean
    accuracy over seeds in this mode) and ``random``. Only sources that were transferred in every seed are chosen, and
    by a metric only those it has a score for; ties go by name. A chooser without any source has an empty tuple.

    Raises:
        StudyError: the study compares no fusions.
    """
    return picks_by_target(results, mode, (target,))[target]


def picks_by_target(results: Results, mode: str, targets: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """`picks` of several targets at once."""
    settings = results.job.many_to_one
    if settings is None:
        raise StudyError("this study fuses no sources; set many_to_one in a new study")
    truths = results.truth(mode).T
    scores = {metric: results.scores(results.samplers[0], metric).T for metric in settings.metric_labels}
    found = {}
    for target in targets:
        truth = truths[target].dropna()
        orders = {metric: best_first(table[target].reindex(truth.index)) for metric, table in scores.items()}
        orders |= {TRUTH: best_first(truth), RANDOM: random_order(truth.index, target, results.job.seed)}
        found[target] = {chooser: order[: settings.largest] for chooser, order in orders.items()}
    return found


def best_first(values: pd.Series) -> tuple[str, ...]:
    """Names by falling value, ties by name; those without a value are left out.

    >>> best_first(pd.Series({"b": 0.5, "c": 0.9, "a": 0.5, "d": float("nan")}))
    ('c', 'a', 'b')
    """
    return tuple(values.dropna().sort_index().sort_values(ascending=False, kind="stable").index)


def random_order(sources: pd.Index, target: str, seed: int) -> tuple[str, ...]:
    """A fixed random order; that of any two sources does not depend on which others there are."""

    def ticket(source: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{target}\n{source}".encode()).digest()

    return tuple(sorted(sources, key=ticket))

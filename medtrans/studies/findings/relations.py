"""What sources of each relation to the target gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from medtrans.tasks import TaskName
from medtrans.tasks.relations import BY_NAME, Relation, relation

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results


def relation_table(results: Results, mode: str, relate: Relation = relation) -> pd.DataFrame:
    """`by_relation` of a study's truth in this mode."""
    return by_relation(results.truth(mode), relate)


def by_relation(truth: pd.DataFrame, relate: Relation = relation) -> pd.DataFrame:
    """Mean accuracy of the sources of each relation, target by target.

    Args:
        truth: target x source, names of tasks on both sides, a source's with its architecture or without, a target's
            with the number of its draw or without; NaN where not transferred.
        relate: of (source, target): `relation`, `domain_relation`, `structure_relation`, `relatedness` or your own.

    Returns:
        Target x relation, NaN where a target has no source of it; the columns are the relations that occur, those of
        `BY_NAME` in their order, others by name.
    """
    named = truth.rename_axis(index="target", columns="source")
    pairs = named.melt(ignore_index=False, value_name="accuracy").dropna().reset_index()
    pairs["relation"] = [
        relate(TaskName.of_source(source), TaskName.of_target(target))
        for source, target in zip(pairs["source"], pairs["target"], strict=True)
    ]
    table = pairs.pivot_table(index="target", columns="relation", values="accuracy", aggfunc="mean")
    known = [name for name in BY_NAME if name in table.columns]
    order = [*known, *sorted(set(table.columns) - set(known))]
    return table.reindex(index=truth.index, columns=order)

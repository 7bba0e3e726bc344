"""How a source's task relates to the target's: by modality and structure, and by what the structures are made of.

The taxonomy is small and explicit. Brain matter is CSF, GM and WM; a tumour is NCR, ED and ET, of which TC holds NCR
and ET, and WT all three; a lesion of multiple sclerosis is neither, but as abnormal as a tumour. A structure of
another name consists of itself alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from medtrans.tasks import TaskName, canonical_modality

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

SAME = "same"
OTHER_MODALITY = "same structure, other modality"
OTHER_STRUCTURE = "other structure, same modality"
BOTH_OTHER = "both other"
RELATIONS = (SAME, OTHER_MODALITY, OTHER_STRUCTURE, BOTH_OTHER)

PARTS = {
    "TC": frozenset({"NCR", "ET"}),
    "WT": frozenset({"NCR", "ED", "ET"}),
}
"""Structures that consist of others; any other one consists of itself."""

WHOLES = {
    "brain matter": frozenset({"CSF", "GM", "WM"}),
    "tumour": frozenset({"NCR", "ED", "ET"}),
    "lesion": frozenset({"lesion"}),
}
"""What the parts together make up."""

KINDS = {"brain matter": "brain matter", "tumour": "abnormal", "lesion": "abnormal"}
"""Of the wholes: sources are related to targets of the same kind."""

_KIND_OF = {part: KINDS[name] for name, whole in WHOLES.items() for part in whole}

Relation = Callable[[TaskName, TaskName], str]


def relation(source: TaskName, target: TaskName) -> str:
    """One of `RELATIONS`; the domain does not count, and names of one contrast (T1CE, T1POST) are the same modality.

    >>> relation(TaskName.parse("a/T1/GM"), TaskName.parse("b/T2/GM"))
    'same structure, other modality'
    """
    structure = parts(source.structure) == parts(target.structure)
    modality = canonical_modality(source.modality) == canonical_modality(target.modality)
    if structure:
        return SAME if modality else OTHER_MODALITY
    return OTHER_STRUCTURE if modality else BOTH_OTHER


def domain_relation(source: TaskName, target: TaskName) -> str:
    """``same domain`` or ``other domain``."""
    return "same domain" if source.domain == target.domain else "other domain"


def parts(structure: str) -> frozenset[str]:
    """What a structure is made of; several joined by ``+`` are made of all their parts.

    >>> sorted(parts("TC+ED"))
    ['ED', 'ET', 'NCR']
    """
    names = structure.split("+")
    return frozenset().union(*(PARTS.get(name, {name}) for name in names))


def structure_relation(source: TaskName, target: TaskName) -> str:
    """How the source's structure lies to the target's.

    Returns:
        ``same``; ``bigger``: it contains the target's; ``smaller``: it is contained in it; ``overlapping``;
        ``complementary``: they share no part of the one whole both belong to, as CSF and GM do; or
        ``not complementary``: parts of different wholes, or of none that is known.
    """
    ours, theirs = parts(source.structure), parts(target.structure)
    if ours == theirs:
        return "same"
    if ours > theirs:
        return "bigger"
    if ours < theirs:
        return "smaller"
    if ours & theirs:
        return "overlapping"
    return "complementary" if any(ours | theirs <= whole for whole in WHOLES.values()) else "not complementary"


def kind(structure: str) -> str:
    """``brain matter`` or ``abnormal`` (tumours and lesions); empty for what is neither, or both.

    >>> kind("ET"), kind("GM+WM"), kind("skull")
    ('abnormal', 'brain matter', '')
    """
    found = {_KIND_OF.get(part, "") for part in parts(structure)}
    return found.pop() if len(found) == 1 else ""


def relatedness(source: TaskName, target: TaskName) -> str:
    """``related``: both brain matter, both abnormal, or the same structure; ``unrelated``; or ``unknown``."""
    if parts(source.structure) == parts(target.structure):
        return "related"
    ours, theirs = kind(source.structure), kind(target.structure)
    if not ours or not theirs:
        return "unknown"
    return "related" if ours == theirs else "unrelated"


def relation_table(results: Results, mode: str, relate: Relation = relation) -> pd.DataFrame:
    """`by_relation` of a study's truth in this mode."""
    return by_relation(results.truth(mode), relate)


def by_relation(truth: pd.DataFrame, relate: Relation = relation) -> pd.DataFrame:
    """Mean accuracy of the sources of each relation, target by target.

    Args:
        truth: target x source, names of tasks on both sides, a source's with its architecture or without; NaN where not
            transferred.
        relate: of (source, target): `relation`, `domain_relation`, `structure_relation`, `relatedness` or your own.

    Returns:
        Target x relation, NaN where a target has no source of it; the columns are the relations that occur, those of
        `RELATIONS` in their order, others by name.
    """
    named = truth.rename_axis(index="target", columns="source")
    pairs = named.melt(ignore_index=False, value_name="accuracy").dropna().reset_index()
    pairs["relation"] = [
        relate(TaskName.of_source(source), TaskName.of_target(target))
        for source, target in zip(pairs["source"], pairs["target"], strict=True)
    ]
    table = pairs.pivot_table(index="target", columns="relation", values="accuracy", aggfunc="mean")
    known = [name for name in RELATIONS if name in table.columns]
    order = [*known, *sorted(set(table.columns) - set(known))]
    return table.reindex(index=truth.index, columns=order)

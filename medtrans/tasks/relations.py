"""How a source's task relates to the target's, by its name: by modality and structure, and by what structures are of.

The table `RELATIONS` is small and explicit; users add to it. A structure of a name that is not there consists of itself
alone and is related to nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from medtrans.tasks.names import TaskName, canonical_modality

SAME = "same"
OTHER_MODALITY = "same structure, other modality"
OTHER_STRUCTURE = "other structure, same modality"
BOTH_OTHER = "both other"
BY_NAME = (SAME, OTHER_MODALITY, OTHER_STRUCTURE, BOTH_OTHER)

Relation = Callable[[TaskName, TaskName], str]
"""Of source and target, in a word."""

NAMES = "names"
"""What the rule by names is called among metrics."""

SAME_STRUCTURE_POINTS, RELATED_POINTS, SAME_MODALITY_POINTS = 2.0, 1.0, 0.5


@dataclass(frozen=True)
class Relations:
    """What structures are made of and belong to.

    Attributes:
        parts: of structures that consist of others; any other one consists of itself. A part with the name of its whole
            is the rest of it: ``WM: [WM, lesion]`` is white matter that is labelled with the lesions in it.
        wholes: what parts together make up: two of the same whole complement each other.
        groups: of structures that are alike; two of the same group are related.
    """

    parts: Mapping[str, frozenset[str]]
    wholes: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]]

    def extended(
        self,
        parts: Mapping[str, Iterable[str]],
        wholes: Mapping[str, Iterable[str]],
        groups: Mapping[str, Iterable[str]],
    ) -> Relations:
        """With more of them; an entry of a name that is there takes its place."""
        return Relations(_with(self.parts, parts), _with(self.wholes, wholes), _with(self.groups, groups))

    def parts_of(self, structure: str) -> frozenset[str]:
        """What a structure is made of; several joined by ``+`` are made of all their parts.

        >>> sorted(RELATIONS.parts_of("TC+ED"))
        ['ED', 'ET', 'NCR']
        """
        return frozenset().union(*(self.parts.get(name, {name}) for name in structure.split("+")))

    def groups_of(self, structure: str) -> frozenset[str]:
        """The groups that all parts of a structure belong to; empty for one that is in none, or of several kinds.

        >>> sorted(RELATIONS.groups_of("GM")), sorted(RELATIONS.groups_of("GM+WM")), RELATIONS.groups_of("skull")
        (['brain matter', 'grey matter'], ['brain matter'], frozenset())
        """
        parts = self.parts_of(structure)
        return frozenset(name for name, members in self.groups.items() if parts <= members)


RELATIONS = Relations(
    parts={"TC": frozenset({"NCR", "ET"}), "WT": frozenset({"NCR", "ED", "ET"})},
    wholes={
        "brain matter": frozenset({"CSF", "GM", "WM"}),
        "tumour": frozenset({"NCR", "ED", "ET"}),
        "brain": frozenset(
            {"hippocampus", "amygdala", "thalamus", "putamen", "caudate", "pallidum", "ventricles", "brainstem"}
            | {"cerebellar-GM", "cerebellar-WM", "cortex", "WM"}
        ),
    },
    groups={
        "brain matter": frozenset({"CSF", "GM", "WM"}),
        "grey matter": frozenset(
            {"GM", "cortex", "cerebellar-GM", "hippocampus", "amygdala", "thalamus", "putamen", "caudate", "pallidum"}
        ),
        "white matter": frozenset({"WM", "cerebellar-WM", "brainstem"}),
        "fluid": frozenset({"CSF", "ventricles"}),
        "abnormal": frozenset({"NCR", "ED", "ET", "lesion"}),
    },
)
"""Of the structures of the data sets that medtrans reads."""


def names_points(source: TaskName, target: TaskName, relations: Relations = RELATIONS) -> float:
    """The rule by names: 2 for the same structure or 1 for a related one, and 0.5 for the same modality.

    It needs no image and no run; 0 to 2.5, higher is said to transfer better. The domain does not count.

    >>> names_points(TaskName.parse("a/T1/GM"), TaskName.parse("b/T2/WM"))
    1.0
    """
    modality = canonical_modality(source.modality) == canonical_modality(target.modality)
    if relations.parts_of(source.structure) == relations.parts_of(target.structure):
        structure = SAME_STRUCTURE_POINTS
    else:
        structure = RELATED_POINTS if relatedness(source, target, relations) == "related" else 0.0
    return structure + SAME_MODALITY_POINTS * modality


def relation(source: TaskName, target: TaskName, relations: Relations = RELATIONS) -> str:
    """One of `BY_NAME`; the domain does not count, and names of one contrast (T1CE, T1POST) are the same modality.

    >>> relation(TaskName.parse("a/T1/GM"), TaskName.parse("b/T2/GM"))
    'same structure, other modality'
    """
    structure = relations.parts_of(source.structure) == relations.parts_of(target.structure)
    modality = canonical_modality(source.modality) == canonical_modality(target.modality)
    if structure:
        return SAME if modality else OTHER_MODALITY
    return OTHER_STRUCTURE if modality else BOTH_OTHER


def domain_relation(source: TaskName, target: TaskName) -> str:
    """``same domain`` or ``other domain``."""
    return "same domain" if source.domain == target.domain else "other domain"


def structure_relation(source: TaskName, target: TaskName, relations: Relations = RELATIONS) -> str:
    """How the source's structure lies to the target's.

    Returns:
        ``same``; ``bigger``: it contains the target's; ``smaller``: it is contained in it; ``overlapping``;
        ``complementary``: they share no part of the one whole both belong to, as CSF and GM do; or
        ``not complementary``: parts of different wholes, or of none that is known.
    """
    ours, theirs = relations.parts_of(source.structure), relations.parts_of(target.structure)
    if ours == theirs:
        return "same"
    if ours > theirs:
        return "bigger"
    if ours < theirs:
        return "smaller"
    if ours & theirs:
        return "overlapping"
    together = any(ours | theirs <= whole for whole in relations.wholes.values())
    return "complementary" if together else "not complementary"


def relatedness(source: TaskName, target: TaskName, relations: Relations = RELATIONS) -> str:
    """``related``: of one group, or the same structure; ``unrelated``; or ``unknown``."""
    if relations.parts_of(source.structure) == relations.parts_of(target.structure):
        return "related"
    ours, theirs = relations.groups_of(source.structure), relations.groups_of(target.structure)
    if not ours or not theirs:
        return "unknown"
    return "related" if ours & theirs else "unrelated"


def _with(known: Mapping[str, frozenset[str]], more: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {**known, **{name: frozenset(members) for name, members in more.items()}}

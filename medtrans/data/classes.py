"""The classes of a task: which values of which label maps show them, and which cases do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtrans.data.layouts import Dataset, Structure
from medtrans.errors import DataError
from medtrans.tasks import BACKGROUND, IGNORE_LABEL, Case

_NAMED = 10  # as many subjects without a structure are named in a note


@dataclass(frozen=True)
class Classes:
    """Structures in the order of their class numbers.

    Attributes:
        structures: by name.
        has_background: whether class 0 is what none of them shows; otherwise the first structure is class 0.
    """

    structures: Mapping[str, Structure]
    has_background: bool

    @classmethod
    def of(cls, files: Dataset, structure: str) -> Classes:
        """The classes of a task by its structure; raises DataError as ``Dataset.classes``, and for too many."""
        found = files.classes(structure)
        if len(found) >= IGNORE_LABEL:
            raise DataError(f"{files.root}: {len(found)} structures in one task; at most {IGNORE_LABEL - 1} can be")
        return cls(found, structure != files.every_class)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes 0 .. K-1."""
        return (BACKGROUND, *self.structures) if self.has_background else tuple(self.structures)

    @property
    def label_maps(self) -> tuple[str, ...]:
        """Names of the label maps that show them, each once."""
        return tuple(dict.fromkeys(structure.label_map for structure in self.structures.values()))

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the structures."""
        return [structure.note for structure in self.structures.values() if structure.note]

    def number(self, case_id: str, labels: Mapping[str, NDArray[np.unsignedinteger]]) -> NDArray[np.uint8]:
        """Class numbers, or ``IGNORE_LABEL``, from a case's label maps by name (of one shape).

        Raises:
            DataError: two structures overlap.
        """
        names = tuple(self.structures)
        found = np.zeros(next(iter(labels.values())).shape, np.uint8)  # 0: background, 1 .. : structures
        for label_map, label in labels.items():
            shown = self._table(case_id, label_map, label)[label]
            clash = (found > 0) & (shown > 0) & (shown != IGNORE_LABEL)
            if clash.any():
                raise _overlap(case_id, names[shown[clash][0] - 1])
            found = np.where(shown > 0, shown, found)
        return found if self.has_background else np.where(found == IGNORE_LABEL, found, found - np.uint8(1))

    def _table(self, case_id: str, label_map: str, label: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
        """Value in a label map to 1 + place among the structures, 0 for none of them."""
        values = (value for structure in self.structures.values() for value in structure.values)
        table = np.zeros(1 + max(IGNORE_LABEL, int(label.max()), *values), np.uint8)
        table[IGNORE_LABEL] = IGNORE_LABEL
        for number, (name, structure) in enumerate(self.structures.items(), start=1):
            if structure.label_map == label_map:
                shared = [value for value in structure.values if table[value]]
                if shared and np.isin(label, shared).any():
                    raise _overlap(case_id, name)
                table[list(structure.values)] = number
        return table

    def absences(self, cases: Sequence[Case], root: str | Path) -> list[str]:
        """Notes on what no case, or not every subject, shows.

        Of all classes of a data set, some need not appear.

        Raises:
            DataError: no case shows a structure that was asked for by name, or any at all.
        """
        shown: dict[str, set[int]] = {}
        for case in cases:
            present = np.flatnonzero(np.bincount(case.label.ravel(), minlength=1))
            shown.setdefault(case.subject, set()).update(present.tolist())
        numbered = {name: number for number, name in enumerate(self.names) if name in self.structures}
        if not self.has_background:
            return _classes_without_pixels(numbered, set().union(*shown.values()), root)
        notes = []
        for name, number in numbered.items():
            absent = [subject for subject, present in shown.items() if number not in present]
            if len(absent) == len(shown):
                raise DataError(
                    f"structure '{name}' is empty in all chosen cases from {root}; "
                    "choose other cases, slices or structure"
                )
            if absent:
                notes.append(f"{name} is absent from {len(absent)} of {len(shown)} subjects: {_listed(absent)}.")
        return notes


def _classes_without_pixels(numbered: Mapping[str, int], present: Iterable[int], root: str | Path) -> list[str]:
    missing = [name for name, number in numbered.items() if number not in present]
    if len(missing) == len(numbered):
        raise DataError(f"{root}: every pixel of the chosen cases is ignored; are they of a split without labels?")
    return [f"No chosen case shows {', '.join(missing)}."] if missing else []


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _overlap(case_id: str, name: str) -> DataError:
    return DataError(f"case '{case_id}': '{name}' overlaps another structure of the task; choose disjoint ones")

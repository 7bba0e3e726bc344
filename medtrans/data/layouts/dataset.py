"""What a layout finds in a folder: an index of files, no voxels read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import DataError, did_you_mean
from medtrans.tasks import IGNORE_LABEL, Kind, spelled

LABEL = "label"
"""Name of the label map in data sets that have one per case."""


@dataclass(frozen=True)
class ImageFile:
    """One modality of a case: a file, or one channel (last axis) of a 4-D file."""

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case: images by modality, label maps by name; and the video, if it is a frame of one."""

    id: str
    images: Mapping[str, ImageFile]
    labels: Mapping[str, Path]
    video: str = ""


@dataclass(frozen=True)
class Structure:
    """Something that can be segmented: the values that show it in a label map."""

    values: tuple[int, ...]
    label_map: str = LABEL
    note: str = ""  # what a reader of the task should know


@dataclass(frozen=True)
class Dataset:
    """The cases under a folder, and what can be asked of them.

    Attributes:
        root: the folder.
        cases: in natural order (``subject-2`` before ``subject-10``), unlabelled ones included.
        structures: by name; a region such as WT is the union of several values.
        codings: for each label map, the ways its values may be written: value in the file to value in ``structures``.
        notes: what a reader should know, one sentence each.
        kind: of its images; photographs have one label map of class indices each. `open_dataset` states it.
        every_class: name of the task of all structures, in their order and without a background; None: there is none.
        suspect: for photographs, what label maps look like instead of what they should be, half a sentence with what to
            do, from how often each of the values 0 .. 255 occurs in them; empty where nothing is suspect.
        skips_misfits: whether a photograph of another size than its label map is left out with a warning, because the
            data set is known to have such; otherwise it is an error.
    """

    root: Path
    cases: tuple[CaseFiles, ...]
    structures: Mapping[str, Structure]
    codings: Mapping[str, tuple[Mapping[int, int], ...]]
    notes: tuple[str, ...] = ()
    kind: Kind = "scan"
    every_class: str | None = None
    suspect: Callable[[NDArray[np.int64]], str] = lambda counts: ""
    skips_misfits: bool = False

    def __post_init__(self) -> None:
        if not self.cases:
            raise DataError(f"{self.root}: no cases of this layout found; check the root folder and the format")

    @property
    def photographs(self) -> bool:
        """Whether its images are photographs."""
        return self.kind == "photograph"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Every modality that some case has, in order of first appearance."""
        return tuple(dict.fromkeys(modality for case in self.cases for modality in case.images))

    def classes(self, structure: str) -> dict[str, Structure]:
        """The classes of a task by name, without the background: all, one structure, or several joined by ``+``.

        Names are written as `spelled` says, ``traffic-light``, or as they are.
        """
        if structure == self.every_class:
            return dict(self.structures)
        written = _by_spelling(self.structures)
        names = [structure] if structure in written else structure.split("+")
        for name in names:
            if name not in written:
                known = [*map(spelled, self.structures), *([self.every_class] if self.every_class else [])]
                raise DataError(f"structure '{name}' is not in {self.root}; {did_you_mean(name, known)}")
        names = [written[name] for name in names]
        if len(set(names)) < len(names):
            raise DataError(f"structure '{structure}' names one structure twice; name each once")
        return {name: self.structures[name] for name in names}

    def choose(self, ids: Sequence[str] | None, label_maps: Iterable[str]) -> list[CaseFiles]:
        """The cases with these ids, in the order asked for; None: every case that has the label maps."""
        needed = set(label_maps)
        if ids is None:
            chosen = [case for case in self.cases if needed <= case.labels.keys()]
            if not chosen:
                raise DataError(f"{self.root}: none of {len(self.cases)} cases has a label map; add label files")
            return chosen
        if not ids:
            raise DataError(f"{self.root}: the list of cases is empty; name at least one, or leave it out for all")
        by_id = {case.id: case for case in self.cases}
        for case_id in ids:
            if case_id not in by_id:
                raise DataError(f"case '{case_id}' is not in {self.root}; {did_you_mean(case_id, by_id)}")
            for name in sorted(needed - by_id[case_id].labels.keys()):
                raise DataError(f"case '{case_id}' has no {name} map in {self.root}; add it or leave the case out")
        return [by_id[case_id] for case_id in dict.fromkeys(ids)]

    def image(self, case: CaseFiles, modality: str) -> ImageFile:
        """The case's file of one modality, whose name is written likewise; raises DataError where it has none."""
        if modality in case.images:  # at once, as a data set may have many cases
            return case.images[modality]
        found = _by_spelling(self.modalities).get(modality)
        if found is not None and found in case.images:
            return case.images[found]
        if found is None:
            known = map(spelled, self.modalities)
            raise DataError(f"modality '{modality}' is not in {self.root}; {did_you_mean(modality, known)}")
        raise DataError(f"case '{case.id}' has no {modality} image in {self.root}; add it or leave the case out")


def _by_spelling(names: Iterable[str]) -> dict[str, str]:
    """The names by how they are written in a task; as they are, and as `spelled` says where that means one of them."""
    there = list(names)
    spellings = Counter(map(spelled, there))
    return {spelled(name): name for name in there if spellings[spelled(name)] == 1} | {name: name for name in there}


def coded_structures(
    values: Mapping[str, tuple[int, ...]], ignore: Sequence[int] = ()
) -> tuple[dict[str, Structure], dict[int, int]]:
    """Structures and coding of a described data set: the values that it names, numbered 1.. in ascending order."""
    named = sorted({value for of in values.values() for value in of} - {0})
    numbers = (number for number in count(1) if number != IGNORE_LABEL)
    coding = {0: 0} | dict(zip(named, numbers, strict=False)) | dict.fromkeys(ignore, IGNORE_LABEL)
    return {name: Structure(tuple(coding[value] for value in of)) for name, of in values.items()}, coding


def coding_for(path: Path, values: Sequence[int], codings: Sequence[Mapping[int, int]]) -> Mapping[int, int]:
    """The first coding that explains all values of a label map; where none does, DataError names the unexpected one."""
    coding = next((coding for coding in codings if coding.keys() >= set(values)), None)
    if coding is None:
        known = set().union(*codings)
        stray = [value for value in values if value not in known]
        expected = " or ".join(str(sorted(coding)) for coding in codings)
        raise DataError(f"{path}: unexpected label value {(stray or values)[-1]}; expected only {expected}")
    return coding


def natural_order(text: object) -> list[Any]:
    """Sort key that compares digits as numbers: subject-2 before subject-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(text)) if part]


def visible_files(root: Path) -> list[Path]:
    """Every file below a folder in natural order, without those in, or named as, hidden ones (``._x``, ``.git/x``)."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; check the root folder")
    found = (path for path in root.rglob("*") if not _is_hidden(path.relative_to(root)) and path.is_file())
    return sorted(found, key=natural_order)


def add_once(files: dict[str, Any], key: str, value: Any, case_id: str) -> None:
    """``files[key] = value``; raises DataError where the case already has such a file."""
    if key in files:
        raise DataError(
            f"case '{case_id}': more than one {key} file below the root; give one copy of the data set as root"
        )
    files[key] = value


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

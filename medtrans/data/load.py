"""From a task's name and a folder to its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medtrans.config import DataSettings, PreprocessingSettings
from medtrans.data.files import check_same_grid, read_image, read_label
from medtrans.data.layouts import CaseFiles, Dataset, Structure, open_dataset
from medtrans.data.preprocessing import Prepared, preprocess
from medtrans.data.slices import slice_cases
from medtrans.errors import ConfigError, DataError
from medtrans.tasks import IGNORE_LABEL, Case, Task, TaskName

_AS_IN_FILE = PreprocessingSettings()


def load_task(
    name: str | TaskName,
    root: str | Path,
    *,
    cases: Sequence[str] | None = None,
    format: str | None = None,
    slices: int | Sequence[int] | None = None,
    preprocessing: PreprocessingSettings = _AS_IN_FILE,
    partition_file: Path | None = None,
) -> Task:
    """Read the labelled cases of a task; only files of its modality and structure are opened.

    ``name`` is ``domain/modality/structure``; structures joined by ``+`` become the classes 1.. in that order, and must
    not overlap. ``cases`` are ids (None: every labelled case). ``slices``, for two dimensions: how many slices of each
    volume to take, at equal steps of the structure's cumulative area, or their indices along the last axis after
    reorientation (None: every slice that holds brain). ``format`` and ``partition_file``: see ``open_dataset``.

    Raises DataError, one line, for whatever is wrong with the files; ConfigError for settings that make no sense.

    >>> load_task("open-ms/FLAIR/lesion", "open-ms", cases=["patient07"], slices=4)     # doctest: +SKIP
    """
    task_name = TaskName.parse(name) if isinstance(name, str) else name
    if slices is not None and preprocessing.dimensions == 3:
        raise ConfigError("slices are for two dimensions; leave them out, or set dimensions to 2")
    files = open_dataset(task_name.domain, root, format, partition_file)
    classes = files.classes(task_name.structure)
    chosen = files.choose(cases, (structure.label_map for structure in classes.values()))
    loaded: list[Case] = []
    notes = [*files.notes, *(structure.note for structure in classes.values() if structure.note)]
    for case in chosen:
        prepared = _prepared(files, case, task_name.modality, classes, preprocessing)
        new, new_notes = _cases_of(case.id, prepared, slices, preprocessing.dimensions)
        loaded += new
        notes += [f"case '{case.id}': {note}" for note in (*prepared.notes, *new_notes)]
    notes += _absences(loaded, tuple(classes), root)
    return Task(task_name, tuple(loaded), ("background", *classes), tuple(dict.fromkeys(notes)))


def load_task_from(
    name: str | TaskName, settings: DataSettings, preprocessing: PreprocessingSettings = _AS_IN_FILE
) -> Task:
    """``load_task`` with the settings of a job."""
    return load_task(
        name,
        settings.root,
        cases=settings.cases,
        format=settings.format,
        slices=settings.slices,
        preprocessing=preprocessing,
        partition_file=settings.partition_file,
    )


def _prepared(
    files: Dataset, case: CaseFiles, modality: str, classes: Mapping[str, Structure], settings: PreprocessingSettings
) -> Prepared:
    source = files.image(case, modality)
    image = read_image(source.path, source.channel)
    target = np.zeros(image.voxels.shape, np.uint8)
    for label_map in dict.fromkeys(structure.label_map for structure in classes.values()):
        label = read_label(case.labels[label_map], files.codings[label_map])
        check_same_grid(case.id, image, label)
        for number, (name, structure) in enumerate(classes.items(), start=1):
            if structure.label_map != label_map:
                continue
            shown = np.isin(label.voxels, structure.values, kind="table")
            if (target[shown] > 0).any():
                raise DataError(
                    f"case '{case.id}': '{name}' overlaps another structure of the task; choose disjoint ones"
                )
            target[shown] = number
        target[label.voxels == IGNORE_LABEL] = IGNORE_LABEL
    return preprocess(image, target, settings)


def _cases_of(
    case_id: str, volume: Prepared, slices: int | Sequence[int] | None, dimensions: int
) -> tuple[list[Case], tuple[str, ...]]:
    if dimensions == 2:
        return slice_cases(case_id, volume, slices)
    return [Case(case_id, volume.image[None], volume.label, volume.spacing_mm)], ()


def _absences(cases: Sequence[Case], class_names: Sequence[str], root: str | Path) -> list[str]:
    """Notes on subjects without a structure; DataError where no case shows it."""
    subjects = dict.fromkeys(case.subject for case in cases)
    notes = []
    for number, name in enumerate(class_names, start=1):
        showing = {case.subject for case in cases if (case.label == number).any()}
        if not showing:
            raise DataError(
                f"structure '{name}' is empty in all chosen cases from {root}; choose other cases, slices or structure"
            )
        absent = [subject for subject in subjects if subject not in showing]
        if absent:
            notes.append(f"{name} is absent from {len(absent)} of {len(subjects)} subjects: {', '.join(absent)}.")
    return notes

"""From a task's name and a folder to its cases."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtrans.config import DataSettings, PreprocessingSettings
from medtrans.data.classes import Classes
from medtrans.data.files import check_same_grid, coding_for, read_image, read_label
from medtrans.data.layouts import CaseFiles, Dataset, open_dataset
from medtrans.data.photographs import preprocess_photograph, read_class_indices, read_photograph
from medtrans.data.preprocessing import Prepared, preprocess
from medtrans.data.slices import slice_cases
from medtrans.errors import ConfigError, DataError, MedtransWarning
from medtrans.tasks import Case, Task, TaskName

_AS_IN_FILE = PreprocessingSettings()


def load_task(
    name: str | TaskName,
    root: str | Path,
    *,
    cases: Sequence[str] | None = None,
    n_cases: int | None = None,
    format: str | None = None,
    slices: int | Sequence[int] | None = None,
    preprocessing: PreprocessingSettings = _AS_IN_FILE,
    partition_file: Path | None = None,
) -> Task:
    """Read the labelled cases of a task; only files of its modality and structure are opened.

    ``name`` is ``domain/modality/structure``; structures joined by ``+`` become the classes 1.. in that order, and must
    not overlap. The structure that stands for all classes of street scenes (``19-classes``) has no background: its
    classes are 0.. . ``cases`` are ids (None: every labelled case), ``n_cases`` how many of them to take, evenly spaced
    in their order. ``slices``, for two dimensions: how many slices of each volume to take, at equal steps of the
    structure's cumulative area, or their indices along the last axis after reorientation (None: every slice that holds
    brain). ``format`` and ``partition_file``: see ``open_dataset``.

    Raises DataError, one line, for whatever is wrong with the files; ConfigError for settings that make no sense.

    >>> load_task("open-ms/FLAIR/lesion", "open-ms", cases=["patient07"], slices=4)     # doctest: +SKIP
    """
    task_name = _parsed(name)
    files = open_dataset(task_name.domain, root, format, partition_file)
    _check_settings(files, slices, preprocessing)
    classes = Classes.of(files, task_name.structure)
    chosen, choice = _evenly_spaced(files.choose(cases, classes.label_maps), n_cases)
    if files.photographs:
        loaded, found = _photographs(files, chosen, task_name.modality, classes, preprocessing)
    else:
        loaded, found = _scans(files, chosen, task_name.modality, classes, slices, preprocessing)
    notes = (*files.notes, *classes.notes, *choice, *found, *classes.absences(loaded, root))
    return Task(task_name, tuple(loaded), classes.names, tuple(dict.fromkeys(notes)))


def load_task_from(
    name: str | TaskName, settings: DataSettings, preprocessing: PreprocessingSettings = _AS_IN_FILE
) -> Task:
    """``load_task`` with the settings of a job."""
    return load_task(
        name,
        settings.root,
        cases=settings.cases,
        n_cases=settings.n_cases,
        format=settings.format,
        slices=settings.slices,
        preprocessing=preprocessing,
        partition_file=settings.partition_file,
    )


def case_ids(name: str | TaskName, settings: DataSettings) -> list[str]:
    """Ids of the cases that ``load_task_from`` would load, from the list of files alone. Raises as ``load_task``."""
    task_name = _parsed(name)
    files = open_dataset(task_name.domain, settings.root, settings.format, settings.partition_file)
    labelled = files.choose(settings.cases, Classes.of(files, task_name.structure).label_maps)
    return [case.id for case in _evenly_spaced(labelled, settings.n_cases)[0]]


def _parsed(name: str | TaskName) -> TaskName:
    return TaskName.parse(name) if isinstance(name, str) else name


def _check_settings(files: Dataset, slices: int | Sequence[int] | None, settings: PreprocessingSettings) -> None:
    """Raise ConfigError for settings that make no sense for such files."""
    if not files.photographs:
        if settings.size is not None:
            raise ConfigError("size is for photographs; leave it out, or set spacing_mm to resample scans")
        if slices is not None and settings.dimensions == 3:
            raise ConfigError("slices are for two dimensions; leave them out, or set dimensions to 2")
        return
    if settings.dimensions == 3:
        raise ConfigError("photographs have two dimensions; set dimensions to 2")
    if settings.spacing_mm is not None:
        raise ConfigError("photographs have no millimetres; leave spacing_mm out, or set size to [height, width]")
    if slices is not None:
        raise ConfigError("photographs have no slices; leave them out, or set n_cases to take fewer images")


def _evenly_spaced(cases: list[CaseFiles], n: int | None) -> tuple[list[CaseFiles], list[str]]:
    """The middle ones of n equal parts of the list, and a note."""
    if n is None:
        return cases, []
    if n < 1:
        raise ConfigError(f"n_cases: {n} is not a number of cases; ask for at least one")
    if n >= len(cases):
        return cases, [f"{n} cases asked for, but there are only {len(cases)}."] if n > len(cases) else []
    chosen = ((np.arange(n) + 0.5) / n * len(cases)).astype(int)
    return [cases[i] for i in chosen], [f"{n} of {len(cases)} cases were taken, evenly spaced in their order."]


def _scans(
    files: Dataset,
    chosen: Sequence[CaseFiles],
    modality: str,
    classes: Classes,
    slices: int | Sequence[int] | None,
    settings: PreprocessingSettings,
) -> tuple[list[Case], list[str]]:
    """Volumes or their slices, and notes."""
    loaded: list[Case] = []
    notes: list[str] = []
    for case in chosen:
        prepared = _prepared(files, case, modality, classes, settings)
        new, new_notes = _cases_of(case.id, prepared, slices, settings.dimensions)
        loaded += new
        notes += [f"case '{case.id}': {note}" for note in (*prepared.notes, *new_notes)]
    return loaded, notes


def _prepared(
    files: Dataset, case: CaseFiles, modality: str, classes: Classes, settings: PreprocessingSettings
) -> Prepared:
    source = files.image(case, modality)
    image = read_image(source.path, source.channel)
    labels = {}
    for label_map in classes.label_maps:
        label = read_label(case.labels[label_map], files.codings[label_map])
        check_same_grid(case.id, image, label)
        labels[label_map] = label.voxels
    return preprocess(image, classes.number(case.id, labels), settings)


def _cases_of(
    case_id: str, volume: Prepared, slices: int | Sequence[int] | None, dimensions: int
) -> tuple[list[Case], tuple[str, ...]]:
    if dimensions == 2:
        return slice_cases(case_id, volume, slices)
    return [Case(case_id, volume.image[None], volume.label, volume.spacing_mm)], ()


def _photographs(
    files: Dataset,
    chosen: Sequence[CaseFiles],
    modality: str,
    classes: Classes,
    settings: PreprocessingSettings,
) -> tuple[list[Case], list[str]]:
    """Photographs, and notes on those left out."""
    (label_map,) = classes.label_maps
    loaded: list[Case] = []
    notes: list[str] = []
    counts = np.zeros(256, np.int64)  # of the values in all label maps
    odd: list[str] = []
    for case in chosen:
        pixels = read_photograph(files.image(case, modality).path)
        label = read_class_indices(case.labels[label_map])
        if misfit := _misfit(case, pixels, label):
            if not files.skips_misfits:
                raise DataError(f"{misfit}; were they resampled apart?")
            notes.append(f"{misfit}, so it was left out.")
            warnings.warn(notes[-1], MedtransWarning, stacklevel=3)
            continue
        occurring = np.bincount(label.ravel(), minlength=256)
        counts += occurring
        if files.suspect(occurring):
            odd.append(case.id)
        table = _coding(files, label_map, case.labels[label_map], occurring)
        number = classes.number(case.id, {label_map: table[label]})
        image, number = preprocess_photograph(pixels, number, settings.size)
        loaded.append(Case(case.id, image, number, (1.0, 1.0)))
    if not loaded:
        raise DataError(f"{files.root}: none of the chosen images has the size of its label map; choose other cases")
    if suspicion := files.suspect(counts):
        raise DataError(f"{files.root}: {suspicion}")
    if odd:
        notes.append(f"Alone, the labels of these images might be of another coding; look at them: {', '.join(odd)}.")
    return loaded, notes


def _misfit(case: CaseFiles, pixels: NDArray[np.uint8], label: NDArray[np.uint8]) -> str:
    """How the sizes of a photograph and its label map differ; nothing if they do not."""
    (height, width), (label_height, label_width) = pixels.shape[:2], label.shape
    if pixels.shape[:2] == label.shape:
        return ""
    return f"case '{case.id}': image is {width}x{height} pixels but its label map is {label_width}x{label_height}"


def _coding(files: Dataset, label_map: str, path: Path, counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Value in the file to value in the data set's structures, as a table; DataError for an unexpected value."""
    values, codings = np.flatnonzero(counts).tolist(), files.codings[label_map]
    if not any(coding.keys() >= set(values) for coding in codings) and (suspicion := files.suspect(counts)):
        raise DataError(f"{path}: {suspicion}")
    coding = coding_for(path, values, codings)
    table = np.zeros(256, np.uint8)
    table[list(coding)] = list(coding.values())
    return table

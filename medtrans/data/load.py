"""From a task's name and a folder to its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medtrans.config import DataSettings, PreprocessingSettings, checked
from medtrans.data.classes import Classes
from medtrans.data.layouts import CaseFiles, Dataset, open_dataset
from medtrans.data.photographs.read import read_photographs
from medtrans.data.scans.read import read_scans
from medtrans.errors import ConfigError
from medtrans.evenly import evenly
from medtrans.tasks import Task, TaskName

_AS_IN_FILE = PreprocessingSettings()


def load_task(
    name: str | TaskName,
    root: str | Path,
    *,
    cases: str | Sequence[str] | None = None,
    n_cases: int | None = None,
    draw: int = 1,
    format: str | None = None,
    slices: int | Sequence[int] | None = None,
    empty_slices: int | None = None,
    preprocessing: PreprocessingSettings | Mapping[str, Any] = _AS_IN_FILE,
    partition_file: Path | None = None,
) -> Task:
    """Read the labelled cases of a task; only files of its modality and structure are opened.

    ``name`` is ``domain/modality/structure``; structures joined by ``+`` become the classes 1.. in that order, and must
    not overlap. The structure that stands for all classes of street scenes (``19-classes``) has no background: its
    classes are 0.. . ``cases`` are ids (None: every labelled case), ``n_cases`` how many of them to take, evenly spaced
    in their order, and ``draw`` which: 2 takes the next case after each of draw 1, and so on. ``slices``, for two
    dimensions: how many slices of each volume to take, at equal steps of the structure's cumulative area, or their
    indices along the last axis after reorientation (None: every slice that shows the body). ``empty_slices``: how many
    to take beside a number of ``slices``, evenly spaced among those that show the body but not the structure: labels
    that cost nothing, without which a network finds the structure where there is none. ``format`` and
    ``partition_file``: see ``open_dataset``.

    Raises DataError, one line, for whatever is wrong with the files; ConfigError for settings that make no sense.

    >>> load_task("open-ms/FLAIR/lesion", "open-ms", cases=["patient07"], slices=4)     # doctest: +SKIP
    """
    task_name, preprocessing = _parsed(name), checked(preprocessing, PreprocessingSettings, "preprocessing")
    files = open_dataset(task_name.domain, root, format, partition_file)
    _check_settings(files, slices, empty_slices, preprocessing)
    classes = Classes.of(files, task_name.structure)
    ids = [cases] if isinstance(cases, str) else cases
    chosen, choice = _drawn(files.choose(ids, classes.label_maps), n_cases, draw)
    if files.photographs:
        loaded, found = read_photographs(files, chosen, task_name.modality, classes, preprocessing)
    else:
        loaded, found = read_scans(files, chosen, task_name.modality, classes, slices, empty_slices, preprocessing)
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
        draw=settings.draw,
        format=settings.format,
        slices=settings.slices,
        empty_slices=settings.empty_slices,
        preprocessing=preprocessing,
        partition_file=settings.partition_file,
    )


def case_subjects(name: str | TaskName, settings: DataSettings) -> dict[str, str]:
    """Who the cases that ``load_task_from`` would load show, by id, from the list of files alone. Raises as it does.

    That is the case itself, or the video that it is a frame of. Where no cases are named, those without an image of the
    task's modality are left out.
    """
    task_name = _parsed(name)
    files = open_dataset(task_name.domain, settings.root, settings.format, settings.partition_file)
    labelled = files.choose(settings.cases, Classes.of(files, task_name.structure).label_maps)
    chosen, _ = _drawn(labelled, settings.n_cases, settings.draw)
    return {case.id: case.video or case.id for case in chosen if settings.cases or task_name.modality in case.images}


def _parsed(name: str | TaskName) -> TaskName:
    return TaskName.parse(name) if isinstance(name, str) else name


def _check_settings(
    files: Dataset,
    slices: int | Sequence[int] | None,
    empty_slices: int | None,
    settings: PreprocessingSettings,
) -> None:
    """Raise ConfigError for settings that make no sense for such files."""
    if empty_slices is not None and not isinstance(slices, int):
        raise ConfigError(
            "empty_slices go with a number of slices that show the structure; set slices, or leave it out"
        )
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


def _drawn(cases: list[CaseFiles], n: int | None, draw: int) -> tuple[list[CaseFiles], list[str]]:
    """The middle ones of n equal parts of the list, each ``draw - 1`` places further on; and a note."""
    if n is None:
        return cases, []
    if n < 1:
        raise ConfigError(f"n_cases: {n} is not a number of cases; ask for at least one")
    if draw < 1:
        raise ConfigError(f"draw: {draw} is not the number of a draw; count from 1")
    if n >= len(cases) and draw == 1:
        return cases, [f"{n} cases asked for, but there are only {len(cases)}."] if n > len(cases) else []
    draws = [frozenset((evenly(len(cases), n) + k) % len(cases)) for k in range(draw)]
    if draws[-1] in draws[:-1]:
        raise ConfigError(
            f"draw {draw} of {n} out of {len(cases)} cases repeats draw {draws.index(draws[-1]) + 1}; ask for fewer "
            "draws, or give more cases"
        )
    which = "evenly spaced in their order" + (f", draw {draw}" if draw > 1 else "")
    return [cases[i] for i in sorted(draws[-1])], [f"{n} of {len(cases)} cases were taken, {which}."]

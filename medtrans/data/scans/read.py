"""Scans and their label maps as the cases of a task: volumes, or slices of them."""

from __future__ import annotations

from collections.abc import Sequence

from medtrans.config import PreprocessingSettings
from medtrans.data.classes import Classes
from medtrans.data.layouts import CaseFiles, Dataset
from medtrans.data.scans.files import check_same_grid, read_image, read_label
from medtrans.data.scans.preprocessing import Prepared, preprocess
from medtrans.data.scans.slices import slice_cases
from medtrans.tasks import Case


def read_scans(
    files: Dataset,
    chosen: Sequence[CaseFiles],
    modality: str,
    classes: Classes,
    slices: int | Sequence[int] | None,
    empty_slices: int | None,
    settings: PreprocessingSettings,
) -> tuple[list[Case], list[str]]:
    """Volumes or their slices, and notes."""
    loaded: list[Case] = []
    notes: list[str] = []
    for case in chosen:
        prepared = _prepared(files, case, modality, classes, settings)
        new, new_notes = _cases_of(case.id, prepared, slices, empty_slices, settings.dimensions)
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
    case_id: str, volume: Prepared, slices: int | Sequence[int] | None, empty_slices: int | None, dimensions: int
) -> tuple[list[Case], tuple[str, ...]]:
    if dimensions == 2:
        return slice_cases(case_id, volume, slices, empty_slices)
    return [Case(case_id, volume.image[None], volume.label, volume.spacing_mm, body_mask=volume.body)], ()

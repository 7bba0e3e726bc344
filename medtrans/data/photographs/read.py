"""Photographs and their label maps as the cases of a task."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtrans.config import PreprocessingSettings
from medtrans.data.classes import Classes
from medtrans.data.layouts import CaseFiles, Dataset
from medtrans.data.layouts.dataset import coding_for
from medtrans.data.photographs.files import preprocess_photograph, read_class_indices, read_photograph
from medtrans.errors import DataError, MedtransWarning
from medtrans.tasks import Case


def read_photographs(
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
        loaded.append(Case(case.id, image, number, (1.0, 1.0), kind="photograph"))
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

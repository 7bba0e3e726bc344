"""BraTS: one folder a subject, one file a modality, ``<subject>/<anything><separator><modality>.nii.gz``.

2023 writes hyphens, ``BraTS-GLI-00000-000-t1n.nii.gz``, and labels ET as 3; until 2022 it was underscores and 4.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from medtrans.data.layouts.dataset import (
    LABEL,
    CaseFiles,
    Dataset,
    ImageFile,
    Structure,
    add_once,
    natural_order,
    visible_files,
)
from medtrans.tasks import canonical_modality

MODALITIES = ("T1", "T1CE", "T2", "FLAIR")
STRUCTURES = {
    "NCR": Structure((1,)),  # necrotic and non-enhancing core
    "ED": Structure((2,)),  # oedema
    "ET": Structure((3,)),  # enhancing tumour
    "TC": Structure((1, 3)),  # tumour core
    "WT": Structure((1, 2, 3)),  # whole tumour
}
_NIFTI_SUFFIXES = (".nii.gz", ".nii")
_LABEL_WORDS = ("seg", "segm")  # one BraTS 2020 subject's label map is called W39_1998.09.19_Segm.nii


def index(root: Path) -> Dataset:
    """Index a BraTS 2023 folder: T1, T1CE, T2, FLAIR and NCR, ED, ET, TC, WT."""
    return tumour_dataset(root, separator="-", enhancing_value=3)


def tumour_dataset(root: Path, *, separator: str, enhancing_value: int) -> Dataset:
    """Index every subject's folder below ``root``; the coding holds for the whole data set and is never guessed."""
    coding = {0: 0, 1: 1, 2: 2, enhancing_value: 3}
    return Dataset(root, _cases(root, separator), STRUCTURES, {LABEL: (coding,)})


def _cases(root: Path, separator: str) -> tuple[CaseFiles, ...]:
    images: dict[str, dict[str, ImageFile]] = defaultdict(dict)
    labels: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in visible_files(root):
        word, subject = _last_word(path.name, separator), path.parent.name
        if word in _LABEL_WORDS:
            add_once(labels[subject], LABEL, path, subject)
        elif (modality := canonical_modality(word)) in MODALITIES:
            add_once(images[subject], modality, ImageFile(path), subject)
    subjects = sorted(images.keys() | labels.keys(), key=natural_order)
    return tuple(CaseFiles(subject, images[subject], labels[subject]) for subject in subjects)


def _last_word(file_name: str, separator: str) -> str:
    for suffix in _NIFTI_SUFFIXES:
        if file_name.lower().endswith(suffix):
            return file_name[: -len(suffix)].rpartition(separator)[2].lower()
    return ""

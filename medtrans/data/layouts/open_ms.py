"""open-ms: ``cross_sectional/MNI/patientNN/`` of the public database by Lesjak et al. (Neuroinformatics 2017).

Tissue maps are not part of that database; where ``derived/patientNN_tissue.nii.gz`` exists they are offered as CSF, GM
and WM.
"""

from __future__ import annotations

from pathlib import Path

from medtrans.data.layouts.dataset import (
    CaseFiles,
    Dataset,
    ImageFile,
    Structure,
    add_once,
    natural_order,
    visible_files,
)
from medtrans.errors import DataError

_MODALITIES = ("T1", "T1POST", "T2", "FLAIR")
_LESION, _TISSUE = "lesion", "tissue"
_NOTE = (
    "Tissue labels are derived (mixture model on T1, T2 and FLAIR; lesions counted as WM), not a clinical reference."
)
_STRUCTURES = {
    "lesion": Structure((1,), _LESION),
    "CSF": Structure((1,), _TISSUE, _NOTE),
    "GM": Structure((2,), _TISSUE, _NOTE),
    "WM": Structure((3,), _TISSUE, _NOTE),
}
_CODINGS = {_LESION: ({0: 0, 1: 1},), _TISSUE: ({0: 0, 1: 1, 2: 2, 3: 3},)}


def index(root: Path) -> Dataset:
    """Index the patients; a file's modality is what stands before the first underscore of its name."""
    folder = root / "cross_sectional" / "MNI"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds cross_sectional/ as root")
    patients = sorted((path for path in folder.iterdir() if path.is_dir()), key=natural_order)
    cases = tuple(_case(patient, root / "derived") for patient in patients if not patient.name.startswith("."))
    return Dataset(root, tuple(case for case in cases if case.images), _STRUCTURES, _CODINGS)


def _case(patient: Path, derived: Path) -> CaseFiles:
    found: dict[str, ImageFile] = {}
    labels: dict[str, Path] = {}
    for path in visible_files(patient):
        first_word = path.name.partition("_")[0]
        if first_word in _MODALITIES:
            add_once(found, first_word, ImageFile(path), patient.name)
        elif path.name.startswith("GOLD_STANDARD_"):
            add_once(labels, _LESION, path, patient.name)
    tissue = derived / f"{patient.name}_tissue.nii.gz"
    if tissue.exists():
        labels[_TISSUE] = tissue
    images = {modality: found[modality] for modality in _MODALITIES if modality in found}
    return CaseFiles(patient.name, images, labels)

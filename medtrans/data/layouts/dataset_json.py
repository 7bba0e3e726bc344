"""Folders described by a ``dataset.json``: nnU-Net (both versions) and the Medical Segmentation Decathlon.

nnU-Net keeps one file a modality, ``imagesTr/<case>_0000.nii.gz``; the Decathlon one 4-D file a case. Both keep label
maps in ``labelsTr/``, and both say in the file what the channels and the label values mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtrans.data.layouts.dataset import (
    LABEL,
    CaseFiles,
    Dataset,
    ImageFile,
    coded_structures,
    visible_files,
)
from medtrans.errors import DataError
from medtrans.tasks import canonical_modality


def read_dataset_json(root: Path) -> Dataset:
    """Index the training cases; names of modalities such as T1gd or t2f become T1CE, FLAIR."""
    path = root / "dataset.json"
    content = _read(path)
    try:
        modalities = _modalities(content, path)
        values, ignore = _values(content["labels"])
        ending = content.get("file_ending", ".nii.gz")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: key {error} is missing or not as nnU-Net or the Decathlon write it; repair it"
        ) from error
    cases = tuple(_case(root, label, ending, modalities) for label in _labels(root, ending))
    structures, coding = coded_structures(values, ignore)
    return Dataset(root, cases, structures, {LABEL: (coding,)})


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); repair it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with modalities and labels; repair it")
    return content


def _modalities(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Channel number to modality; nnU-Net 2 calls the key channel_names."""
    names = content["channel_names"] if "channel_names" in content else content["modality"]
    written: dict[str, str] = {}
    for name in names.values():
        modality = canonical_modality(name)
        if modality in written:
            raise DataError(f"{path}: channels '{written[modality]}' and '{name}' are both {modality}; rename one")
        written[modality] = name
    return {int(channel): canonical_modality(name) for channel, name in names.items()}


def _values(labels: Mapping[str, Any]) -> tuple[dict[str, tuple[int, ...]], list[int]]:
    """Structure to label values, and values to ignore. nnU-Net 2 writes name: value(s), the others value: name."""
    if all(key.isdigit() for key in labels):
        labels = {name: int(value) for value, name in labels.items()}
    values = {name: tuple(map(int, of)) if isinstance(of, list) else (int(of),) for name, of in labels.items()}
    ignore = list(values.pop("ignore", ()))
    return {name: of for name, of in values.items() if of != (0,)}, ignore


def _labels(root: Path, ending: str) -> list[Path]:
    return [path for path in visible_files(root / "labelsTr") if path.name.endswith(ending)]


def _case(root: Path, label: Path, ending: str, modalities: Mapping[int, str]) -> CaseFiles:
    case_id = label.name.removesuffix(ending)
    whole = root / "imagesTr" / label.name
    if whole.exists():
        images = {name: ImageFile(whole, channel) for channel, name in modalities.items()}
    else:
        paths = {name: root / "imagesTr" / f"{case_id}_{channel:04d}{ending}" for channel, name in modalities.items()}
        images = {name: ImageFile(path) for name, path in paths.items() if path.exists()}
    return CaseFiles(case_id, images, {LABEL: label})

"""Folders described by a ``dataset.json``: nnU-Net (both versions) and the Medical Segmentation Decathlon.

nnU-Net keeps one file a modality, ``imagesTr/<case>_0000.nii.gz``; the Decathlon one 4-D file a case. Both keep label
maps in ``labelsTr/``, and both say in the file what the channels and the label values mean.
"""

from __future__ import annotations

import json
import re
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

_DIGITS = 9  # of a label value or channel, at most


def read_dataset_json(root: Path) -> Dataset:
    """Index the training cases; names of modalities such as T1gd or t2f become T1CE, FLAIR."""
    path = root / "dataset.json"
    content = _read(path)
    modalities = _modalities(content, path)
    values, ignore = _values(content, path)
    ending = content.get("file_ending", ".nii.gz")
    if not (isinstance(ending, str) and ending.startswith(".")):
        raise DataError(f"{path}: key 'file_ending' is {ending!r}, no text such as .nii.gz; repair it")
    labels, notes = _labels(root, ending, content.get("numTraining"))
    cases = tuple(_case(root, case_id, label, ending, modalities) for case_id, label in labels.items())
    structures, coding = coded_structures(values, ignore)
    return Dataset(root, cases, structures, {LABEL: (coding,)}, notes)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); repair it") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with modalities and labels; repair it")
    return content


def _modalities(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Channel number to modality; nnU-Net 2 calls the key channel_names."""
    key = "channel_names" if "channel_names" in content else "modality"
    names = content.get(key)
    if isinstance(names, list):
        names = {str(channel): name for channel, name in enumerate(names)}
    if not (isinstance(names, dict) and names and all(isinstance(name, str) and name for name in names.values())):
        raise DataError(
            f'{path}: key \'{key}\' must name the channels by number, as {{"0": "T1", "1": "T2"}}; repair it'
        )
    if not all(channel.isdecimal() and len(channel) <= _DIGITS for channel in names):
        raise DataError(f"{path}: key '{key}': channels are numbered 0, 1 ..; found {', '.join(names)}; repair it")
    written: dict[str, str] = {}
    for name in names.values():
        modality = canonical_modality(name)
        if modality in written:
            raise DataError(f"{path}: channels '{written[modality]}' and '{name}' are both {modality}; rename one")
        written[modality] = name
    return {int(channel): canonical_modality(name) for channel, name in names.items()}


def _values(content: Mapping[str, Any], path: Path) -> tuple[dict[str, tuple[int, ...]], list[int]]:
    """Structure to label values, and values to ignore. nnU-Net 2 writes name: value(s), the others value: name."""
    labels = content.get("labels")
    if not (isinstance(labels, dict) and labels):
        raise DataError(
            f'{path}: key \'labels\' must give each structure its value, as {{"background": 0, "lesion": 1}}; repair it'
        )
    if all(key.isdecimal() for key in labels):
        labels = {str(name): value for value, name in labels.items()}
    values = {name: tuple(_value(one, name, path) for one in _listed(of)) for name, of in labels.items()}
    ignore = list(values.pop("ignore", ()))
    return {name: of for name, of in values.items() if of != (0,)}, ignore


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _value(value: object, name: str, path: Path) -> int:
    """A label value, which may be written as a text or as 1.0."""
    text = str(value).removesuffix(".0")
    if isinstance(value, bool) or not text.isdecimal() or len(text) > _DIGITS:
        raise DataError(
            f"{path}: key 'labels': the value of '{name}' is {str(value)[:40]!r}, no whole number; repair it"
        )
    return int(text)


def _labels(root: Path, ending: str, announced: object) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Label maps by case, and notes where these are other files than there are, or than are announced."""
    folder = root / "labelsTr"
    found: dict[str, Path] = {}
    other = []
    for path in visible_files(folder):
        case_id = path.name.removesuffix(ending)
        if not path.name.endswith(ending):
            other.append(path.relative_to(folder).as_posix())
        elif case_id in found:
            both = " and ".join(it.relative_to(root).as_posix() for it in (found[case_id], path))
            raise DataError(f"{root}: case '{case_id}' has two label maps, {both}; keep one of them there")
        else:
            found[case_id] = path
    notes = []
    if other:
        notes.append(f"{len(other)} files in labelsTr do not end with {ending} and are not read: {other[0]} first.")
    if isinstance(announced, int) and announced != len(found):
        notes.append(f"dataset.json announces {announced} training cases, but labelsTr holds {len(found)} label maps.")
    return found, tuple(notes)


def _case(root: Path, case_id: str, label: Path, ending: str, modalities: Mapping[int, str]) -> CaseFiles:
    def channel_files(of: str) -> dict[str, Path]:
        return {name: root / "imagesTr" / f"{of}_{channel:04d}{ending}" for channel, name in modalities.items()}

    whole = root / "imagesTr" / label.name
    if not whole.exists():
        images = {name: ImageFile(path) for name, path in channel_files(case_id).items() if path.exists()}
        return CaseFiles(case_id, images, {LABEL: label})
    numbered = re.fullmatch(r"(.+)_\d{4}", case_id)
    if numbered and len(modalities) > 1 and all(path.exists() for path in channel_files(numbered[1]).values()):
        raise DataError(
            f"{label}: a label map is of all channels and carries no channel number; rename it to {numbered[1]}{ending}"
        )
    return CaseFiles(case_id, {name: ImageFile(whole, channel) for channel, name in modalities.items()}, {LABEL: label})

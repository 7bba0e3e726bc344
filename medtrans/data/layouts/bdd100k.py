"""BDD100K semantic segmentation: JPEG images of the 10k set and one-channel masks of trainIds, in either layout.

Current: ``images/10k/<split>/<name>.jpg`` and ``labels/sem_seg/masks/<split>/<name>.png``. Legacy:
``seg/images/<split>/<name>.jpg`` and ``seg/labels/<split>/<name>_train_id.png``. Colour maps are not read: the colours
of wall and fence are exchanged between tables.
"""

from __future__ import annotations

from pathlib import Path

from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, ImageFile, add_once, visible_files
from medtrans.data.layouts.street_classes import FROM_TRAIN_IDS, street_dataset
from medtrans.errors import DataError
from medtrans.tasks import RGB

_LAYOUTS = (  # folder of the images, of the label maps, end of a label map's name
    ("images/10k", "labels/sem_seg/masks", ".png"),
    ("seg/images", "seg/labels", "_train_id.png"),
)
_OUTER = (".", "bdd100k", "bdd100k_seg", "bdd100k_seg/bdd100k")  # archives bring these folders along
_WHAT_TO_DO = "fetch the masks again, or map them to trainIds"


def index(root: Path) -> Dataset:
    """Index the images of all splits; those of the test split come without a label map."""
    for outer in _OUTER:
        for images, labels, ending in _LAYOUTS:
            folder = root / outer / images
            if folder.is_dir():
                cases = _cases(folder, root / outer / labels, ending)
                note = f"Labels are read from {labels}/."
                return street_dataset(root, cases, FROM_TRAIN_IDS, _WHAT_TO_DO, notes=(note,))
    raise DataError(f"{root}: no such folder, or neither images/10k/ nor seg/images/ in it; give bdd100k/ as root")


def _cases(images: Path, labels: Path, ending: str) -> list[CaseFiles]:
    found: dict[str, CaseFiles] = {}
    for path in visible_files(images):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            label = labels / path.relative_to(images).with_name(path.stem + ending)
            case = CaseFiles(path.stem, {RGB: ImageFile(path)}, {LABEL: label} if label.exists() else {})
            add_once(found, path.stem, case, path.stem)
    return list(found.values())

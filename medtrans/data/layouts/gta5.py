"""GTA5 (Playing for Data): ``images/00001.png`` and ``labels/00001.png``, palette images whose index is the labelId."""

from __future__ import annotations

from pathlib import Path

from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, ImageFile, visible_files
from medtrans.data.layouts.street_classes import FROM_LABEL_IDS, street_dataset
from medtrans.errors import DataError
from medtrans.tasks import IGNORE_LABEL, RGB

_CODING = {**FROM_LABEL_IDS, 34: IGNORE_LABEL}  # a licence plate
_WRONG = (15188, 17705)  # the label does not fit its image, or is invalid
_BLANK = (range(2154, 2159), range(4634, 4638), range(7115, 7120), range(9683, 9689), range(12050, 12055))
_LEFT_OUT = frozenset(_WRONG).union(*_BLANK)
_WHAT_TO_DO = "fetch the original label maps again"


def index(root: Path) -> Dataset:
    """Index all pairs but those that are known to be blank or wrong.

    Whether an image has the size of its label map is seen when it is read: some have not.
    """
    if not (root / "images").is_dir():
        raise DataError(f"{root / 'images'}: no such folder; give the folder that holds images/ and labels/ as root")
    images = [path for path in visible_files(root / "images") if path.suffix.lower() == ".png"]
    good = [path for path in images if not (path.stem.isdecimal() and int(path.stem) in _LEFT_OUT)]
    cases = [_case(root, path) for path in good]
    n_out = len(images) - len(good)
    note = f"Left out as known to be blank or not to fit their labels: {n_out} of {len(images)} images."
    notes = (note,) if n_out else ()
    return street_dataset(root, cases, _CODING, _WHAT_TO_DO, notes=notes, skips_misfits=True)


def _case(root: Path, image: Path) -> CaseFiles:
    label = root / "labels" / image.name
    return CaseFiles(image.stem, {RGB: ImageFile(image)}, {LABEL: label} if label.exists() else {})

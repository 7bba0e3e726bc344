"""Cityscapes: ``{leftImg8bit,gtFine}/{train,val}/<city>/<city>_<sequence>_<frame>_<type>.png``; a city is a domain.

The labels of the test split are withheld. ``gtFine_labelTrainIds.png`` is not part of the data set: its tools make it.
"""

from __future__ import annotations

import re
from pathlib import Path

from medtrans.data.layouts.dataset import CaseFiles, Dataset, ImageFile, add_once, visible_files
from medtrans.data.layouts.street_classes import FROM_LABEL_IDS, FROM_TRAIN_IDS, street_dataset
from medtrans.errors import DataError, did_you_mean
from medtrans.tasks import RGB

_IMAGE = re.compile(r"((?P<city>.+)_\d{6}_\d{6})_leftImg8bit\.png")
_LABELLED = ("train", "val")
_IDS, _TRAIN_IDS = "labelIds", "labelTrainIds"  # as file names write them
_CODINGS = {_IDS: FROM_LABEL_IDS, _TRAIN_IDS: FROM_TRAIN_IDS}
_WHAT_TO_DO = {
    _IDS: "fetch the files again, or name them ..._gtFine_labelTrainIds.png if that is what they are",
    _TRAIN_IDS: "make the files again, or name them ..._gtFine_labelIds.png if that is what they are",
}


def index(root: Path, city: str | None = None) -> Dataset:
    """Index the images of one city of the train and val splits, or of all (None).

    Labels are read from ``labelTrainIds`` where every labelled image has such a file, otherwise from ``labelIds``.
    """
    folder = root / "leftImg8bit"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds leftImg8bit/ and gtFine/ as root")
    images = _images(folder, _LABELLED)
    cities = {_city(path) for path in images.values()}
    if city is not None and city not in cities and images:
        if city in {_city(path) for path in _images(folder, ("test",)).values()}:
            raise DataError(f"{folder}: city '{city}' is in the test split, whose labels are withheld; choose another")
        raise DataError(f"{folder}: no images of city '{city}' in train or val; {did_you_mean(city, cities)}")
    cases = [_case(root, name, path) for name, path in images.items() if city in (None, _city(path))]
    labelled = [case for case in cases if case.labels]
    kind = _TRAIN_IDS if labelled and all(_TRAIN_IDS in case.labels for case in labelled) else _IDS
    notes = [f"Labels are read from the files gtFine_{kind}.png."]
    others = sum(kind not in case.labels for case in labelled)
    if others:
        notes.append(f"{others} of {len(labelled)} labelled images have no such file and are left out.")
    if city is None:
        notes.append(f"The images are of all cities: {', '.join(sorted(cities))}.")
    return street_dataset(root, cases, _CODINGS[kind], _WHAT_TO_DO[kind], label_map=kind, notes=tuple(notes))


def _images(folder: Path, splits: tuple[str, ...]) -> dict[str, Path]:
    """Images by name, ``<city>_<sequence>_<frame>``."""
    found: dict[str, Path] = {}
    for split in splits:
        for path in visible_files(folder / split) if (folder / split).is_dir() else ():
            if match := _IMAGE.fullmatch(path.name):
                add_once(found, match[1], path, match[1])
    return found


def _city(image: Path) -> str:
    match = _IMAGE.fullmatch(image.name)
    return match["city"] if match else ""


def _case(root: Path, name: str, image: Path) -> CaseFiles:
    folder = root / "gtFine" / image.relative_to(root / "leftImg8bit").parent
    paths = {kind: folder / f"{name}_gtFine_{kind}.png" for kind in _CODINGS}
    labels = {kind: path for kind, path in paths.items() if path.exists()}
    return CaseFiles(name, {RGB: ImageFile(image)}, labels)

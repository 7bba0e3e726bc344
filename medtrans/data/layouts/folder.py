"""Any other folder, described by a file in it: ``medtrans.yaml``, or a ``dataset.json`` of nnU-Net or the Decathlon."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import field_validator

from medtrans.config import Settings, load_settings
from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, ImageFile, coded_structures, natural_order
from medtrans.data.layouts.dataset_json import read_dataset_json
from medtrans.errors import ConfigError, DataError


class Description(Settings):
    """The content of ``medtrans.yaml``.

    Attributes:
        images: path of an image relative to the folder, with ``{case}`` for the case's id and, unless the files are
            4-D, ``{modality}``.
        labels: path of a label map, with ``{case}``.
        modalities: names; or name and how file names write it; for 4-D files names in the order of the channels.
        structures: name and value, or values, in the label map. Values that are listed nowhere are errors.
        ignore: values to leave out of sampling, training and scoring.
    """

    images: str
    labels: str
    modalities: tuple[str, ...] | dict[str, str]
    structures: dict[str, int | tuple[int, ...]]
    ignore: tuple[int, ...] = ()

    @field_validator("images", "labels")
    @classmethod
    def _names_the_case(cls, pattern: str) -> str:
        if "{case}" not in pattern:
            raise ValueError("must hold {case}, the place of a case's id")
        if Path(pattern).is_absolute():
            raise ValueError("must be relative to the folder that it describes")
        return pattern


def index(root: Path) -> Dataset:
    """Index a described folder; ``medtrans.yaml`` goes before ``dataset.json``."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; check the root folder")
    if (root / "medtrans.yaml").exists():
        return _described(root, root / "medtrans.yaml")
    if (root / "dataset.json").exists():
        return read_dataset_json(root)
    raise DataError(f"{root}: neither medtrans.yaml nor dataset.json describes it; write one, or name another format")


def _described(root: Path, path: Path) -> Dataset:
    description = load_settings(path, Description)
    images: dict[str, dict[str, ImageFile]] = {}
    for modality, image_pattern, channel in _image_patterns(path, description):
        for case_id, image_path in _find(root, image_pattern).items():
            images.setdefault(case_id, {})[modality] = ImageFile(image_path, channel)
    labels = _find(root, description.labels)
    cases = tuple(
        CaseFiles(case_id, images[case_id], {LABEL: labels[case_id]} if case_id in labels else {})
        for case_id in sorted(images, key=natural_order)
    )
    values = {name: (of,) if isinstance(of, int) else of for name, of in description.structures.items()}
    structures, coding = coded_structures(values, description.ignore)
    return Dataset(root, cases, structures, {LABEL: (coding,)})


def _image_patterns(path: Path, description: Description) -> Iterator[tuple[str, str, int | None]]:
    """Modality, pattern of its files, and channel in them, for each modality."""
    named, pattern = description.modalities, description.images
    if "{modality}" in pattern:
        words = named if isinstance(named, dict) else {name: name for name in named}
        yield from ((name, pattern.replace("{modality}", word), None) for name, word in words.items())
    elif isinstance(named, dict):
        raise ConfigError(f"{path}: key 'images' must hold {{modality}}; or list 'modalities' in the order of channels")
    else:
        yield from ((name, pattern, channel) for channel, name in enumerate(named))


def _find(root: Path, pattern: str) -> dict[str, Path]:
    """The files that fit a pattern, by case id; ``{case}`` is any text without a slash, the same in all places."""
    first, *others = (re.escape(part) for part in pattern.split("{case}"))
    expression = re.compile(
        "(?P<case>[^/]+)".join([first, others[0]]) + "".join(rf"(?P=case){part}" for part in others[1:])
    )
    wildcard = "*".join(glob.escape(part) for part in pattern.split("{case}"))
    paths = (path for path in root.glob(wildcard) if not path.name.startswith("."))
    matches = ((expression.fullmatch(path.relative_to(root).as_posix()), path) for path in paths)
    return {match["case"]: path for match, path in matches if match}

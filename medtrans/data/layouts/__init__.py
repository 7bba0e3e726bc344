"""Where the files of known data sets lie: one module a layout, each with ``index(root) -> Dataset``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medtrans.data.layouts import bdd100k, brats, camvid, cityscapes, fets, folder, gta5, iseg, open_ms
from medtrans.data.layouts.dataset import CaseFiles, Dataset, ImageFile, Structure
from medtrans.errors import ConfigError, did_you_mean

__all__ = ["FORMATS", "CaseFiles", "Dataset", "ImageFile", "Structure", "open_dataset"]

_LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "iseg": iseg.index,
    "fets": fets.index,
    "brats-2023": brats.index,
    "open-ms": open_ms.index,
    "cityscapes": cityscapes.index,
    "bdd100k": bdd100k.index,
    "gta5": gta5.index,
    "camvid": camvid.index,
    "folder": folder.index,
}

_WITH_PARTS: dict[str, Callable[[Path, str | None], Dataset]] = {  # cityscapes-aachen
    "cityscapes": cityscapes.index,
    "camvid": camvid.index,
}

FORMATS = tuple(_LAYOUTS)
"""Names of the layouts that can be read."""


def open_dataset(
    domain: str, root: str | Path, format: str | None = None, partition_file: Path | None = None
) -> Dataset:
    """Index the files of a domain without reading a voxel.

    ``format`` defaults to the layout that the domain's name starts with, else to ``folder``. In a FeTS layout a domain
    that ends with a number, ``fets-22``, is that institution of the partitioning file. ``cityscapes-aachen`` is a city
    of Cityscapes, ``camvid-0001TP`` a sequence of CamVid.
    """
    name = format or _format_of(domain)
    if name not in _LAYOUTS:
        raise ConfigError(f"unknown format '{name}'; {did_you_mean(name, FORMATS)}")
    if name == "fets":
        return fets.index(Path(root), fets.institution_of(domain), partition_file)
    if partition_file is not None:
        raise ConfigError(f"partition_file is for FeTS only, not for format '{name}'; leave it out")
    if name in _WITH_PARTS and domain.startswith(f"{name}-"):
        return _WITH_PARTS[name](Path(root), domain.removeprefix(f"{name}-"))
    return _LAYOUTS[name](Path(root))


def _format_of(domain: str) -> str:
    return next((name for name in FORMATS if domain.startswith(name)), "folder")

"""Where the files of known data sets lie: one module a layout, each with an ``index`` that `Layout` names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medtrans.config import LAYOUTS, layout_named, layout_of
from medtrans.data.layouts import fets
from medtrans.data.layouts.dataset import CaseFiles, Dataset, ImageFile, Structure
from medtrans.errors import ConfigError

__all__ = ["FORMATS", "CaseFiles", "Dataset", "ImageFile", "Structure", "open_dataset"]

FORMATS = tuple(LAYOUTS)
"""Names of the layouts that medtrans brings along."""


def open_dataset(
    domain: str, root: str | Path, format: str | None = None, partition_file: Path | None = None
) -> Dataset:
    """Index the files of a domain without reading a voxel.

    ``format`` defaults to the layout that the domain's name starts with, else to ``folder``. In a FeTS layout a domain
    that ends with a number, ``fets-22``, is that institution of the partitioning file. ``cityscapes-aachen`` is a city
    of Cityscapes, ``camvid-0001TP`` a sequence of CamVid.
    """
    layout = layout_of(domain) if format is None else layout_named(format)
    part = layout.part_of(domain)
    if partition_file is None:
        found = layout.index(Path(root), part)
    elif layout.name == "fets":
        found = fets.index(Path(root), part, partition_file)
    else:
        raise ConfigError(f"partition_file is for FeTS only, not for format '{layout.name}'; leave it out")
    return replace(found, kind=layout.kind)

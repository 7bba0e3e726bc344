"""The layouts of data sets: one table that configuration and readers share. Others join by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from medtrans.errors import ConfigError, did_you_mean
from medtrans.plugins import with_plugins
from medtrans.tasks import Kind

if TYPE_CHECKING:
    from medtrans.data.layouts.dataset import Dataset

ENTRY_POINT_GROUP = "medtrans.layouts"


@dataclass(frozen=True)
class Layout:
    """Where the files of a kind of data set lie.

    Third parties register theirs by an entry point of the group ``medtrans.layouts`` that loads to a `Layout`::

        [project.entry-points."medtrans.layouts"]
        my_layout = "my_package:MY_LAYOUT"

    Attributes:
        name: what users write as ``format``, and what the domains of such tasks begin with.
        kind: of its images.
        index: from the root folder, and the part of the data set that a domain names after the layout's name and a
            hyphen (``aachen`` of ``cityscapes-aachen``; None: nothing), to its files. No voxel is read. It raises
            DataError.
    """

    name: str
    kind: Kind
    index: Callable[[Path, str | None], Dataset]

    def part_of(self, domain: str) -> str | None:
        """What a domain names beside the layout.

        >>> layout_named("fets").part_of("fets-22"), layout_named("fets").part_of("our-clinic")
        ('22', None)
        """
        return domain[len(self.name) :].partition("-")[2] or None if domain.startswith(self.name) else None


def _own(module: str, *, parts: bool = False) -> Callable[[Path, str | None], Dataset]:
    """The ``index`` of a module of ``medtrans.data.layouts``, loaded when a data set is opened."""

    def index(root: Path, part: str | None) -> Dataset:
        found: Dataset = import_module(f"medtrans.data.layouts.{module}").index(root, *([part] if parts else []))
        return found

    return index


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("iseg", "scan", _own("iseg")),
        Layout("fets", "scan", _own("fets", parts=True)),
        Layout("brats-2023", "scan", _own("brats")),
        Layout("open-ms", "scan", _own("open_ms")),
        Layout("cityscapes", "photograph", _own("cityscapes", parts=True)),
        Layout("bdd100k", "photograph", _own("bdd100k")),
        Layout("gta5", "photograph", _own("gta5")),
        Layout("camvid", "photograph", _own("camvid", parts=True)),
        Layout("folder", "scan", _own("folder")),
    )
}
"""The layouts that ship with medtrans, by name."""

DESCRIBED = LAYOUTS["folder"]
"""The layout of any folder that describes itself."""


def available_layouts() -> dict[str, Layout]:
    """Built-in layouts and those of installed packages, by name; a broken one is left out with a MedtransWarning."""
    return with_plugins(LAYOUTS, entry_points(group=ENTRY_POINT_GROUP), Layout)


def layout_named(name: str) -> Layout:
    """The layout of that name; raises ConfigError with the nearest name when there is none."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    known = available_layouts()
    if name not in known:
        raise ConfigError(f"unknown format '{name}'; {did_you_mean(name, known)}")
    return known[name]


def layout_of(domain: str) -> Layout:
    """The layout with the longest name that a domain's begins with, else that of folders that describe themselves."""
    named = [layout for name, layout in available_layouts().items() if domain.startswith(name)]
    return max(named, key=lambda layout: len(layout.name), default=DESCRIBED)

"""A folder of sources."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from medtrans.errors import BundleError, MedtransWarning, did_you_mean, reason
from medtrans.sources.bundle import METADATA_FILE, WEIGHTS_FILE, Source, read_bundle
from medtrans.sources.files import unreadable
from medtrans.tasks import TaskName


class Pool:
    """All bundles under a folder, read without their weights.

    A source's name is its folder relative to the pool. Hidden folders are left out: unfinished training lies there.
    A bundle that is broken or refused, or a folder that cannot be read, is left out with a `MedtransWarning`, and
    `broken` says why.

    Attributes:
        root: the folder.
        sources: the readable sources, by name.
        broken: name and reason of everything that was left out.

    Raises:
        BundleError: there is no such folder, or no source in it can be read.
    """

    root: Path
    sources: tuple[Source, ...]
    broken: Mapping[str, str]

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise BundleError(f"pool '{self.root}': no such folder; train sources into it, or check the path")
        sources: dict[str, Source] = {}
        broken: dict[str, str] = {}
        for folder, failure in sorted(_bundle_folders(self.root).items()):
            name = folder.relative_to(self.root).as_posix()
            try:
                sources[name] = _read(folder, name, failure)
            except Exception as error:  # whatever a stranger's files lead to, the others are read
                broken[name] = reason(error)
                warnings.warn(f"source {name!r} is left out: {broken[name]}", MedtransWarning, stacklevel=2)
        if not sources:
            raise BundleError(f"pool '{self.root}': {_why_empty(self.root, broken)}")
        self.sources = tuple(sources[name] for name in sorted(sources))
        self.broken = MappingProxyType(broken)

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, name: str | TaskName) -> Source:
        """The source of that name; raises BundleError for others."""
        name = str(name)
        for source in self.sources:
            if source.name == name:
                return source
        if name in self.broken:
            raise BundleError(f"source '{name}' is left out: {self.broken[name]}")
        raise BundleError(f"pool '{self.root}' has no source '{name}'; {did_you_mean(name, self.names)}")

    def __repr__(self) -> str:
        return f"Pool({str(self.root)!r}: {len(self.sources)} sources, {len(self.broken)} left out)"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the readable sources, in order."""
        return tuple(source.name for source in self.sources)


def _why_empty(root: Path, broken: Mapping[str, str]) -> str:
    if broken:
        return f"none of its {len(broken)} bundles can be read; {next(iter(broken.values()))}"
    if _holds_bundle(root):
        return "is a bundle itself; give the folder above"
    return "holds no MONAI bundles; train sources into it, or check the path"


def _read(folder: Path, name: str, failure: OSError | None) -> Source:
    try:
        if failure is not None:
            raise failure
        return read_bundle(folder, name)
    except OSError as error:
        raise unreadable(Path(error.filename or folder), error) from error


def _bundle_folders(root: Path) -> dict[Path, OSError | None]:
    """Folders that hold a bundle, or the pieces of one, and those that cannot be searched, with the error.

    A link is followed to a bundle, but no further.
    """
    found: dict[Path, OSError | None] = {}

    def fail(error: OSError) -> None:
        found[Path(error.filename or root)] = error

    for folder, subfolders, _ in os.walk(root, onerror=fail):
        further = []
        for path in (Path(folder) / name for name in subfolders if not name.startswith(".")):
            try:
                if _holds_bundle(path):
                    found[path] = None
                else:
                    further.append(path.name)
            except OSError as error:
                found[path] = error
        subfolders[:] = further
    return found


def _holds_bundle(folder: Path) -> bool:
    return any((folder / file).exists() for file in (METADATA_FILE, WEIGHTS_FILE))

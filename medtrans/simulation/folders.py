"""Folders of simulated data: complete or absent, and marked with what they hold."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medtrans.errors import DataError

MARKER = "simulation.json"
"""Written last, with every parameter; a folder that holds it is complete."""


def check_numbers(*, seed: int, **counts: int) -> None:
    """Raise DataError for a count below 1 or a negative seed."""
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"{name} is {count}: simulate at least 1")
    if seed < 0:
        raise DataError(f"seed is {seed}: use 0 or a positive number")


def complete_or_absent(root: Path, parameters: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Fill ``root`` with what ``write`` writes: a temporary folder beside it first, renamed once complete.

    A folder whose marker states these very ``parameters`` is kept as it is; DataError for one with anything else in it.
    """
    stated = json.dumps(parameters, indent=2) + "\n"
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        _check_same(root, stated)
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".partial", dir=root.parent))
    try:
        write(partial)
        (partial / MARKER).write_text(stated, encoding="utf-8")
        partial.chmod(0o755)  # mkdtemp makes folders that only their owner can read
        if root.exists():
            root.rmdir()
        partial.rename(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return root


def _check_same(root: Path, stated: str) -> None:
    marker = root / MARKER
    if not marker.is_file():
        raise DataError(f"{root}: is not empty and holds no {MARKER}; choose an empty folder to simulate into")
    if marker.read_text(encoding="utf-8") != stated:
        raise DataError(f"{root}: holds a simulation with other parameters, see {MARKER} there; choose another folder")

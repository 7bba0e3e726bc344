"""Files of arrays that pieces of a study leave for each other: written whole or not at all, read without trust."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import StudyError


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name: the whole file or none.

    Raises:
        StudyError: the file cannot be written.
    """
    partial = file.with_name(f".{uuid4().hex[:8]}.{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, allow_pickle=False, **arrays)
        partial.replace(file)
    except OSError as error:
        raise not_writable(file, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_arrays(file: Path) -> dict[str, NDArray[Any]] | None:
    """What ``write_arrays`` wrote; None where there is no such file, or it is damaged or holds anything else."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def not_writable(file: Path, error: OSError) -> StudyError:
    """What to raise where the system does not let a file be written."""
    return StudyError(f"{file}: cannot be written ({error.strerror or error}); free the disk or choose another output")

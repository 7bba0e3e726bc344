"""The tables of a study as files for other programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from medtrans.csv_text import csv_text
from medtrans.errors import StudyError
from medtrans.studies.findings.results import Results


def export_csv(results: Results, folder: Path) -> None:
    """Write each table as a CSV file of its name; numbers are written so that they read back equal.

    Raises:
        StudyError: a file cannot be written.
    """
    _export(
        results, folder, "csv", lambda frame, path: path.write_text(csv_text(frame), encoding="utf-8", newline="\n")
    )


def export_parquet(results: Results, folder: Path) -> None:
    """Write each table as a Parquet file of its name.

    Raises:
        StudyError: pyarrow is not installed, or a file cannot be written.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise StudyError("Parquet files need pyarrow; run 'pip install medtrans[parquet]', or export CSV") from error
    _export(results, folder, "parquet", lambda frame, path: frame.to_parquet(path, engine="pyarrow", index=False))


def _export(results: Results, folder: Path, suffix: str, write: Callable[[pd.DataFrame, Path], object]) -> None:
    for table, frame in results.frames.items():
        path = folder / f"{table}.{suffix}"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(frame, temporary)
            temporary.replace(path)
        except OSError as error:
            raise StudyError(
                f"{path}: cannot be written ({error.strerror}); choose another folder or free space"
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

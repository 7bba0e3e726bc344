"""FeTS 2021 and 2022: BraTS folders, and a CSV file that says which institution a subject comes from."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

from medtrans.data.layouts.brats import tumour_dataset
from medtrans.data.layouts.dataset import Dataset, visible_files
from medtrans.errors import DataError

_COLUMNS = {"partition_id", "subject_id"}  # 2022 has them in this order, 2021 in the other: read by name


def index(root: Path, part: str | None = None, partition_file: Path | None = None) -> Dataset:
    """Index the subjects of the institution whose number ``part`` ends with, or of all (no CSV file is needed).

    ``partition_file`` defaults to the first CSV file below ``root``, by name, that has the two columns. A number does
    not mean the same institution in the two CSV files of a year, nor in the two years.
    """
    institution = institution_of(part or "")
    dataset = tumour_dataset(root, separator="_", enhancing_value=4)
    if institution is None:
        return dataset
    path = partition_file or _first_partition_file(root)
    members = _institutions(path)
    if institution not in members.values():
        known = ", ".join(map(str, sorted(set(members.values()))))
        raise DataError(f"{path}: no institution {institution}; it has {known}")
    wanted = {subject for subject, partition in members.items() if partition == institution}
    cases = tuple(case for case in dataset.cases if case.id in wanted)
    if not cases:
        raise DataError(f"{root}: none of the {len(wanted)} subjects of institution {institution} is here; fetch them")
    missing = len(wanted) - len(cases)
    note = f"{missing} of the {len(wanted)} subjects of institution {institution} are not in the root folder."
    return replace(dataset, cases=cases, notes=(note,) if missing else ())


def institution_of(part: str) -> int | None:
    """Institution that a part of the data set ends with: 22 for ``22`` or ``2022-22``, None for ``2022``."""
    match = re.fullmatch(r"(?:.*-)?(\d{1,3})", part)
    return int(match[1]) if match else None


def _first_partition_file(root: Path) -> Path:
    tables = [path for path in visible_files(root) if path.suffix.lower() == ".csv"]
    for path in sorted(tables, key=lambda path: path.name):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            if {name.strip().lower() for name in next(csv.reader(file), [])} >= _COLUMNS:
                return path
    raise DataError(f"{root}: no CSV file with Partition_ID and Subject_ID; add partitioning_1.csv or name the file")


def _institutions(path: Path) -> dict[str, int]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [{key.strip().lower(): value for key, value in row.items() if key} for row in csv.DictReader(file)]
        return {row["subject_id"].strip(): int(row["partition_id"]) for row in rows}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (KeyError, ValueError, AttributeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of Partition_ID (integers) and Subject_ID; give another file") from error

"""What a store says about its study as a whole: the settings, what the results depend on, the versions, the begin."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medtrans.config import SCORING, StudyJob, differences
from medtrans.errors import StudyError
from medtrans.studies.engine.pieces import Kind


def write_header(connection: sqlite3.Connection, job: StudyJob) -> None:
    """Begin a study."""
    row = (job.model_dump_json(), json.dumps(job.identity()), json.dumps(_versions()), now())
    connection.execute("INSERT INTO study (job, identity, versions, began) VALUES (?, ?, ?, ?)", row)


EXTENDABLE: Mapping[str, Kind] = {"metrics": "score", "filters": "filter"}
"""Settings that a study may go on with changed, and the kind of its pieces that are then to be done again."""


def update_header(connection: sqlite3.Connection, path: Path, job: StudyJob) -> list[Kind]:
    """Go on with a study: its folders and its executor may be others now, and the versions of packages too.

    Its metrics and filters as well, as they take a small part of the time: returns the kinds of pieces that are to be
    done again for that. What was trained and transferred does not depend on them.

    Raises:
        StudyError: the results would depend on other settings than those so far.
    """
    identity, before = map(json.loads, connection.execute("SELECT identity, versions FROM study").fetchone())
    now_it_is = json.loads(json.dumps(job.identity()))
    changed = [key for key in EXTENDABLE if identity[key] != now_it_is[key]]
    _check_unchanged(path, identity | {key: now_it_is[key] for key in changed}, job)
    row = (job.model_dump_json(), json.dumps(now_it_is), json.dumps(with_updates(before, _versions())))
    connection.execute("UPDATE study SET job = ?, identity = ?, versions = ?", row)
    return [EXTENDABLE[key] for key in changed]


def read_header(connection: sqlite3.Connection, path: Path) -> tuple[StudyJob, dict[str, str], str]:
    """The study, the versions of packages, and when it began in UTC.

    Raises:
        StudyError: the settings are of another version of medtrans.
    """
    job, versions, began = connection.execute("SELECT job, versions, began FROM study").fetchone()
    try:
        return StudyJob.model_validate_json(job), json.loads(versions), began
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise StudyError(
            f"{path}: this medtrans cannot read the study's settings (key '{key}'); use the version that wrote them"
        ) from error


def with_updates(before: Mapping[str, str], latest: Mapping[str, str]) -> dict[str, str]:
    """Versions of a study that went on with others.

    >>> with_updates({"torch": "2.12", "numpy": "2.4"}, {"torch": "2.13", "numpy": "2.4"})
    {'torch': '2.12, then 2.13', 'numpy': '2.4'}
    """
    return dict(before) | {
        name: f"{before[name]}, then {new}" if name in before else new
        for name, new in latest.items()
        if before.get(name, "").split(", then ")[-1] != new
    }


def now() -> str:
    """The time in UTC, fine enough to tell which of two pieces was finished first.

    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("medtrans", "torch", "monai", "numpy")}


def _check_unchanged(path: Path, identity: Mapping[str, Any], job: StudyJob) -> None:
    if identity.get("scoring") != SCORING:
        raise StudyError(
            f"{path}: was scored by an older medtrans, whose scores differ from today's, so it can be read but not "
            "continued; choose another output for a new study"
        )
    if changes := differences(_numbered(identity), _numbered(json.loads(json.dumps(job.identity())))):
        raise StudyError(
            f"{path}: the settings changed since the study began ({changes}); "
            "restore them, or choose another output for a new study"
        )


def _numbered(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of sources and targets by number, so that a difference names one instead of repeating all."""
    groups = {key: {str(i): group for i, group in enumerate(identity[key], 1)} for key in ("sources", "targets")}
    return {**identity, **groups}

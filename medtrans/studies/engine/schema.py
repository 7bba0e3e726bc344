"""What a study's SQLite file looks like, how it is recognised, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medtrans.config import MEASURE_NAMES
from medtrans.errors import StudyError

SCHEMA_VERSION = 2
"""Kept as ``PRAGMA user_version``."""

APPLICATION_ID = 0x6D656474  # "medt"
"""Kept as ``PRAGMA application_id``: marks the file as a study of medtrans."""

BUSY_SECONDS = 5.0
"""How long a locked database is waited for."""

TABLES: dict[str, tuple[str, ...]] = {
    "sources": ("source", *MEASURE_NAMES),
    "candidates": ("target", "filter", "source", "kept", "reason"),
    "scores": ("target", "source", "sampler", "metric", "repetition", "value"),
    "missing": ("target", "source", "sampler", "metric", "reason"),
    "transfers": ("target", "source", "mode", "seed", *MEASURE_NAMES),
    "fusions": ("target", "sources", "mode", "seed", *MEASURE_NAMES),
    "by_person": ("target", "source", "mode", "seed", "person", *MEASURE_NAMES),
}
"""Columns of the results, in order.

``sources``: accuracy of a source on its own training cases, NaN where unknown, by every measure. ``candidates``: what
each filter says about each candidate. ``scores``: one value per repetition; ``missing``: those that cannot be had, and
why. ``transfers``: accuracy on the target's test cases; source "" for mode scratch. ``fusions``: the sources' sorted
names joined by " + ". ``by_person``: accuracy of a transfer on each judged person who shows the structure, alone.
"""

PEOPLE_TABLES = ("people", "labelled")
"""Who each target is judged on, and who is labelled for it. Stores of earlier versions lack these and by_person."""

PEOPLE = ("target", "person")
"""Columns of both."""

PIECES = ("key", "kind", "status", "error", "seconds", "parts", "attempts", "finished")
"""Columns of the pieces that were tried: status ``done`` or ``failed``, ``parts`` as JSON, ``finished`` in UTC."""

_REAL = (*MEASURE_NAMES, "value", "seconds")
_INTEGER = ("kept", "repetition", "seed", "attempts")
_VALUES = (*MEASURE_NAMES, "value", "kept", "reason")  # the other columns say what a row is about

DTYPES = {**dict.fromkeys(_REAL, "float64"), **dict.fromkeys(_INTEGER, "int64"), "kept": "bool"}
"""Of the columns that hold no text."""

_STUDY = """CREATE TABLE study (
    job TEXT NOT NULL, identity TEXT NOT NULL, versions TEXT NOT NULL, began TEXT NOT NULL
)"""
_PIECES = """CREATE TABLE pieces (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')), error TEXT NOT NULL, seconds REAL NOT NULL,
    parts TEXT NOT NULL, attempts INTEGER NOT NULL, finished TEXT NOT NULL
)"""
_PEOPLE = "CREATE TABLE IF NOT EXISTS {} (target TEXT, person TEXT, PRIMARY KEY (target, person)) WITHOUT ROWID"
_RUNNING = "CREATE TABLE running (worker INTEGER PRIMARY KEY, key TEXT NOT NULL, started REAL NOT NULL)"

TRIED = """INSERT INTO pieces (key, kind, status, error, seconds, parts, attempts, finished)
VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET
    status = excluded.status, error = excluded.error, seconds = excluded.seconds, parts = excluded.parts,
    attempts = attempts + 1, finished = excluded.finished
WHERE status = 'failed' OR excluded.status = 'done'"""
"""Notes one more attempt at a piece: key, kind, status, error, seconds, parts, finished. What is done stays done."""


def columns_of(table: str) -> tuple[str, ...]:
    """Of a table of results, of people or of "pieces", in order."""
    return {**dict.fromkeys(PEOPLE_TABLES, PEOPLE), "pieces": PIECES, **TABLES}[table]


def identifying(table: str) -> tuple[str, ...]:
    """The columns that no two rows of a table share all of."""
    return ("key",) if table == "pieces" else tuple(column for column in columns_of(table) if column not in _VALUES)


def create(connection: sqlite3.Connection) -> None:
    """Make all tables and mark the file; inside a transaction of the caller's."""
    for statement in (_STUDY, _PIECES, _RUNNING):
        connection.execute(statement)
    for table, columns in TABLES.items():
        definitions = ", ".join(map(_definition, columns))
        connection.execute(
            f"CREATE TABLE {table} ({definitions}, piece INTEGER NOT NULL REFERENCES pieces (id), "
            f"PRIMARY KEY ({_listed(identifying(table))})) WITHOUT ROWID"
        )
        connection.execute(f"CREATE INDEX {table}_by_piece ON {table} (piece)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def create_people(connection: sqlite3.Connection) -> None:
    """Make the tables of people where they are missing; inside a transaction of the caller's."""
    for table in PEOPLE_TABLES:
        connection.execute(_PEOPLE.format(table))


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Whether the file has a table of that name."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def select(table: str) -> str:
    """All rows of a table of results, of people or of "pieces", sorted by what they are about."""
    return f"SELECT {_listed(columns_of(table))} FROM {table} ORDER BY {_listed(identifying(table))}"  # noqa: S608 - our names


def delete(table: str) -> str:
    """What a piece found; takes the piece's id."""
    return f"DELETE FROM {table} WHERE piece = ?"  # noqa: S608 - our names


def insert(table: str) -> str:
    """One row of a table of results; takes its columns, then the piece's id."""
    return f"INSERT INTO {table} VALUES ({', '.join('?' * (len(TABLES[table]) + 1))})"  # noqa: S608 - our names


def delete_kind(table: str) -> str:
    """What pieces of a kind found; takes the kind."""
    return f"DELETE FROM {table} WHERE piece IN (SELECT id FROM pieces WHERE kind = ?)"  # noqa: S608 - our names


def delete_people(table: str) -> str:
    """Who belonged to a target; takes its name."""
    return f"DELETE FROM {table} WHERE target = ?"  # noqa: S608 - our names


def insert_person(table: str) -> str:
    """Takes the target's name and the person."""
    return f"INSERT INTO {table} VALUES (?, ?)"  # noqa: S608 - our names


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether the file is new, or its making was cut short."""
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StudyError for a file that is no study, or of another medtrans whose tables differ."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StudyError(f"{path}: is not a medtrans study but another program's database; check the path")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"{path}: was written by a newer medtrans (schema {version}, this one reads {SCHEMA_VERSION}); "
            "update medtrans"
        )
    if version < SCHEMA_VERSION:
        raise StudyError(
            f"{path}: was written by an earlier medtrans, which kept Dice alone (schema {version}, this one reads "
            f"{SCHEMA_VERSION}); choose another output and run the study again, or use the version that wrote it"
        )


_SAID = {
    sqlite3.SQLITE_BUSY: "is locked by another program; close that, then run this again",
    sqlite3.SQLITE_LOCKED: "is locked by another program; close that, then run this again",
    sqlite3.SQLITE_FULL: "the disk is full; free space, then run this again (finished pieces are kept)",
    sqlite3.SQLITE_NOTADB: "is not a medtrans study; check the path",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a copy, or choose another output for a new study",
    sqlite3.SQLITE_READONLY: "cannot be written; check the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the permissions of the file and its folder",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StudyErrors that say what to do; but not those that are mistakes of ours."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits tell kinds of the same error apart
        said = _SAID.get(code, f"SQLite says '{error}'; check the file and its disk")
        raise StudyError(f"{path}: {said}") from error


def _definition(column: str) -> str:
    kind = "REAL" if column in _REAL else "INTEGER" if column in _INTEGER else "TEXT"
    return f'"{column}" {kind}{"" if column in _VALUES else " NOT NULL"}'


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)

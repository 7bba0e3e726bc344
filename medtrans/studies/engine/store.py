"""A study on disk: one SQLite file, to which every finished piece is added whole or not at all."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from medtrans.config import StudyJob
from medtrans.errors import StudyError
from medtrans.studies.engine import schema
from medtrans.studies.engine.header import now, read_header, update_header, write_header
from medtrans.studies.engine.pieces import Kind, Outcome, Piece
from medtrans.studies.engine.schema import PEOPLE_TABLES, SCHEMA_VERSION, TABLES

__all__ = ["SCHEMA_VERSION", "TABLES", "Store"]

LOCK_SECONDS = 1.0
"""How long another ``study run`` is waited for; a look whether one runs takes the lock for a moment."""


class Store:
    """The results of a study, in a context.

    One process writes (``open``), any number read meanwhile (``read``); a store belongs to the thread that made it.
    Every change is one transaction: killed at any moment, the file holds all pieces recorded before, and no part of
    another. After a power loss the last few may be missing (never in part): they are then done again.

    Attributes:
        path: the SQLite file.
        job: the study; its paths and executor are those of the last run.
        began: when, in UTC.
        versions: of the packages that the numbers depend on.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock | None) -> None:
        self.path = path
        self.job, self.versions, self.began = read_header(connection, path)
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path, job: StudyJob) -> Store:
        """Begin the study, or go on with it; no other process can while it is open.

        Raises:
            StudyError: the study began with other settings, another ``study run`` is at it, the file is not a study,
                is damaged, locked or of another medtrans, or cannot be written.
        """
        with ExitStack() as on_error, schema.explained(path):
            lock = _locked(path)
            on_error.callback(lock.release)
            connection = sqlite3.connect(path, timeout=schema.BUSY_SECONDS, isolation_level=None)
            on_error.callback(connection.close)
            _begin_or_resume(connection, path, job)
            store = cls(path, connection, lock)
            on_error.pop_all()
        return store

    @classmethod
    def read(cls, path: Path) -> Store:
        """Look into a study without changing it, also while it runs.

        Raises:
            StudyError: there is no such file, or it is not a study, damaged, locked, or of another medtrans.
        """
        if not path.is_file():
            raise StudyError(f"{path}: no such study; start it with 'medtrans study run', or check the path")
        with ExitStack() as on_error, schema.explained(path):
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=schema.BUSY_SECONDS, isolation_level=None)
            on_error.callback(connection.close)
            if schema.is_empty(connection):
                raise StudyError(f"{path}: the study has not begun; start it with 'medtrans study run'")
            schema.check(connection, path)
            store = cls(path, connection, lock=None)
            on_error.pop_all()
        return store

    def close(self) -> None:
        """Let go of the study: it is one file again, without the write-ahead log beside it."""
        if self._lock is not None:
            with suppress(sqlite3.Error):  # while somebody reads, the log stays
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def done(self) -> set[str]:
        """Keys of the finished pieces."""
        return {key for (key,) in self._rows("SELECT key FROM pieces WHERE status = 'done'")}

    def failures(self) -> dict[str, str]:
        """Error of each piece that was tried in vain, by key."""
        return dict(self._rows("SELECT key, error FROM pieces WHERE status = 'failed' ORDER BY key"))

    def record(self, piece: Piece, outcome: Outcome) -> None:
        """Add what a piece found, in place of what it found before.

        Raises:
            StudyError: the file cannot be written; it holds what it held before.
        """
        with self._transaction() as connection:
            number = _tried(connection, piece, "done", "", outcome.seconds, outcome.parts)
            for table in TABLES:
                connection.execute(schema.delete(table), (number,))
            for table, rows in outcome.rows.items():
                connection.executemany(schema.insert(table), [(*map(_plain, row), number) for row in rows])

    def record_failure(self, piece: Piece, error: str, seconds: float) -> None:
        """Note why a piece found nothing. A piece that is finished stays so."""
        with self._transaction() as connection:
            _tried(connection, piece, "failed", error, seconds, {})

    def record_people(self, table: str, by_target: Mapping[str, Collection[str]]) -> None:
        """Note who belongs to each target, in place of what was noted before; of other targets that stays.

        The table is one of ``PEOPLE_TABLES``: "people" are those that a target is judged on, "labelled" those labelled.
        """
        with self._transaction() as connection:
            for target, people in by_target.items():
                connection.execute(schema.delete_people(table), (target,))
                connection.executemany(schema.insert_person(table), [(target, person) for person in people])

    def start(self, worker: int, piece: Piece) -> None:
        """Tell readers what a worker is at."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO running VALUES (?, ?, ?)", (worker, piece.key, time.time()))

    def stop(self, worker: int) -> None:
        """Tell readers that a worker is idle."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM running WHERE worker = ?", (worker,))

    def running(self) -> list[tuple[int, str, float]]:
        """Worker, key of its piece and seconds since it began, by worker."""
        rows = self._rows("SELECT worker, key, started FROM running ORDER BY worker")
        return [(worker, key, max(0.0, time.time() - started)) for worker, key, started in rows]

    def is_running(self) -> bool:
        """Whether a ``study run`` is at this study, other than through this very store."""
        path = _lock_path(self.path)
        if self._lock is not None or not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # somebody else's study in a folder that cannot be written
            return bool(self.running())

    def frame(self, table: str) -> pd.DataFrame:
        """One table of results, of people or "pieces", with typed columns; sorted by what its rows are about.

        Of a table that an earlier version did not write, no rows.
        """
        columns = schema.columns_of(table)
        known = schema.has_table(self._connection, table)
        frame = pd.DataFrame(self._rows(schema.select(table)) if known else [], columns=list(columns))
        return frame.astype({column: schema.DTYPES[column] for column in columns if column in schema.DTYPES})

    def frames(self) -> dict[str, pd.DataFrame]:
        """All tables of results, those of people and "pieces", as they were at one moment."""
        with schema.explained(self.path):
            self._connection.execute("BEGIN")
            try:
                return {table: self.frame(table) for table in (*TABLES, *PEOPLE_TABLES, "pieces")}
            finally:
                self._connection.rollback()

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with schema.explained(self.path):
            return self._connection.execute(query).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with schema.explained(self.path), _transaction(self._connection):
            yield self._connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _locked(path: Path) -> FileLock:
    """The lock of a study, taken; the system releases it when the process dies."""
    lock = FileLock(_lock_path(path), thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise StudyError(
            f"{path}: another 'medtrans study run' is at this study; wait for it, or see 'medtrans study status'"
        ) from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be written ({error.strerror}); choose another output") from error
    return lock


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _begin_or_resume(connection: sqlite3.Connection, path: Path, job: StudyJob) -> None:
    is_new = schema.is_empty(connection)
    if not is_new:
        schema.check(connection, path)
    with suppress(sqlite3.OperationalError):  # on some disks it cannot be had: then readers and writer take turns
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    with _transaction(connection):
        if is_new:
            schema.create(connection)
            write_header(connection, job)
        else:
            for kind in update_header(connection, path, job):
                _forget(connection, kind)
            connection.execute("DELETE FROM running")
        schema.create_people(connection)


def _forget(connection: sqlite3.Connection, kind: Kind) -> None:
    """Pieces of this kind, and what they found, as if they had not been tried."""
    for table in TABLES:
        connection.execute(schema.delete_kind(table), (kind,))
    connection.execute("DELETE FROM pieces WHERE kind = ?", (kind,))


def _tried(
    connection: sqlite3.Connection,
    piece: Piece,
    status: Literal["done", "failed"],
    error: str,
    seconds: float,
    parts: Mapping[str, float],
) -> int:
    """Note one attempt at a piece; returns the piece's number."""
    texts = json.dumps({name: float(part) for name, part in parts.items()})
    connection.execute(schema.TRIED, (piece.key, piece.kind, status, error, float(seconds), texts, now()))
    number: int = connection.execute("SELECT id FROM pieces WHERE key = ?", (piece.key,)).fetchone()[0]
    return number


def _plain(value: Any) -> Any:
    """A number of NumPy as Python's, as SQLite would keep its bytes."""
    return value.item() if isinstance(value, np.generic) else value

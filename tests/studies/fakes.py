"""Pieces that find what a formula says, and some that misbehave; at module level, so that they travel."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pandas as pd

from medtrans.config import StudyJob
from medtrans.errors import TrainingError
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.store import TABLES, Store
from tests.studies.conftest import outcome_of

VICTIM = "score a/T1/WM on b/T1/WM"
BAD_SOURCE = "a/T1/WM"


def note(job: StudyJob, line: str) -> None:
    """Note a call where every process can."""
    with (job.output / "calls").open("a") as file:
        file.write(f"{line}\n")


def work(job: StudyJob, piece: Piece) -> Outcome:
    """Note the call, then find what the formula says."""
    note(job, piece.key)
    return outcome_of(piece)


def calls(job: StudyJob) -> list[str]:
    """Keys of the pieces that `work` was called for, in order."""
    path = job.output / "calls"
    return path.read_text().splitlines() if path.exists() else []


def slow(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, over three milliseconds."""
    time.sleep(0.003)
    return work(job, piece)


def real(job: StudyJob, piece: Piece) -> Outcome:
    """Note the call, then do the piece."""
    from medtrans.studies.engine.work import run_piece

    note(job, piece.key)
    return run_piece(job, piece)


def die_once(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, but one piece is killed the first time."""
    outcome = work(job, piece)
    if piece.key == VICTIM and calls(job).count(VICTIM) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome


def die_always(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, but one piece is killed each time."""
    outcome = work(job, piece)
    if piece.key == VICTIM:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome


def fail_to_train(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, but one source cannot be trained until a file allows it."""
    outcome = work(job, piece)
    if piece.key == f"train {BAD_SOURCE}" and not (job.output / "repaired").exists():
        raise TrainingError("structure 'WM' is empty; leave the case out")
    return outcome


def stumble(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, but one piece has a mistake in its program."""
    if piece.key == VICTIM:
        raise ValueError("two\nlines")
    return work(job, piece)


def interrupt(job: StudyJob, piece: Piece) -> Outcome:
    """As `work`, but the whole process, which must run its pieces in threads, is interrupted by Ctrl-C at one piece."""
    if piece.key == VICTIM and calls(job).count("interrupted") == 0:
        note(job, "interrupted")
        os.kill(os.getpid(), signal.SIGINT)
    return work(job, piece)


def tables(path: Path) -> dict[str, pd.DataFrame]:
    """All results of a store, in an order that depends on nothing but them."""
    with Store.read(path) as store:
        return {name: store.frame(name) for name in TABLES}


def assert_same_tables(path: Path, other: Path) -> None:
    """Whether two stores hold the same results, to the last bit."""
    theirs = tables(other)
    for name, frame in tables(path).items():
        pd.testing.assert_frame_equal(frame, theirs[name], check_exact=True, obj=name)

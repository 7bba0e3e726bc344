from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtrans.config import StudyJob
from medtrans.errors import StudyError
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.store import TABLES, Store
from tests.studies.conftest import SOURCES, TARGETS, JobMaker, outcome_of

SCORE = Piece("score", (SOURCES[0],), TARGETS[0])
TRAIN = Piece("train", (SOURCES[0],))


def tables(store: Store) -> dict[str, Any]:
    return {table: store.frame(table).to_dict("split") for table in TABLES}


# What is kept


def test_a_resumed_study_knows_what_is_done(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        assert store.done() == set()
        store.record(SCORE, outcome_of(SCORE))
        began = store.began
    with Store.open(tiny_job.store_path, tiny_job) as store:
        assert store.done() == {SCORE.key}
        assert store.began == began
        assert store.frame("scores").to_dict("records")[1] == {
            "target": TARGETS[0],
            "source": SOURCES[0],
            "sampler": "boundary",
            "metric": "h_score",
            "repetition": 1,
            "value": 0.5,
        }


def test_every_table_has_its_columns_and_types_even_when_empty(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        for table, columns in TABLES.items():
            assert tuple(store.frame(table).columns) == columns
        assert store.frame("scores").dtypes[["repetition", "value"]].tolist() == [np.int64, np.float64]
        assert store.frame("candidates").dtypes["kept"] == np.dtype(bool)


def test_the_order_of_the_pieces_leaves_no_trace(make_job: JobMaker, tmp_path: Path) -> None:
    jobs = [make_job(output=str(tmp_path / name)) for name in ("forwards", "backwards")]
    found = []
    for job, step in zip(jobs, (1, -1), strict=True):
        with Store.open(job.store_path, job) as store:
            for piece in list(chain(*plan(job)))[::step]:
                store.record(piece, outcome_of(piece))
            found.append(tables(store))
    assert found[0] == found[1]
    assert len(found[0]["transfers"]["data"]) == 50


def test_recording_again_replaces(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(TRAIN, outcome_of(TRAIN))
        store.record(SCORE, outcome_of(SCORE))
        before = tables(store)
        store.record(SCORE, outcome_of(SCORE))
        assert tables(store) == before
        names = TARGETS[0], SOURCES[0], "boundary", "h_score"
        store.record(SCORE, Outcome({"missing": [(*names, "no features")]}, 1.0, {}))
        assert store.frame("scores").empty
        assert len(store.frame("missing")) == 1
        assert len(store.frame("sources")) == 1
        assert store.frame("pieces").set_index("key")["attempts"].to_dict() == {SCORE.key: 3, TRAIN.key: 1}


def test_failed_then_done(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record_failure(TRAIN, "no foreground", 2.0)
        store.record_failure(SCORE, "no such file", 1.0)
        assert store.failures() == {SCORE.key: "no such file", TRAIN.key: "no foreground"}
        assert store.done() == set()
        store.record(SCORE, outcome_of(SCORE))
        assert store.failures() == {TRAIN.key: "no foreground"}
        assert store.done() == {SCORE.key}
        row = store.frame("pieces").set_index("key").loc[SCORE.key]
        assert (row["kind"], row["status"], row["error"], row["seconds"], row["attempts"]) == (
            "score",
            "done",
            "",
            1.0,
            2,
        )
        assert json.loads(row["parts"]) == {"data": 0.25, "training": 0.75}


def test_done_stays_done(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(TRAIN, outcome_of(TRAIN))
        store.record_failure(TRAIN, "a copy of it was killed", 1.0)
        assert store.done() == {TRAIN.key}
        assert store.failures() == {}


def test_numbers_of_numpy_are_numbers(tiny_job: StudyJob) -> None:
    piece = Piece("transfer", (SOURCES[0],), TARGETS[0], "head", 1)
    row = (TARGETS[0], SOURCES[0], "head", np.int64(1), np.float32(0.5), 0.25, np.float64(0.75))
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(piece, Outcome({"transfers": [row]}, np.float32(2.0), {"data": np.float32(0.5)}))
        assert store.frame("transfers").loc[0, ["seed", "dice", "pixel_accuracy"]].tolist() == [1, 0.5, 0.75]
        assert store.frame("pieces").loc[0, ["seconds", "parts"]].tolist() == [2.0, '{"data": 0.5}']


def test_an_error_in_the_middle_of_a_piece_leaves_nothing(tiny_job: StudyJob) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        yield from outcome_of(SCORE).rows["scores"][:2]
        raise RuntimeError("interrupted")

    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(TRAIN, outcome_of(TRAIN))
        before = tables(store)
        broken: Any = {"missing": [(TARGETS[0], SOURCES[0], "boundary", "leep", "a reason")], "scores": rows()}
        with pytest.raises(RuntimeError, match="interrupted"):
            store.record(SCORE, Outcome(broken, 1.0, {}))
        assert tables(store) == before
        assert store.done() == {TRAIN.key}
        store.record(SCORE, outcome_of(SCORE))
        assert store.done() == {TRAIN.key, SCORE.key}


def test_killed_in_the_middle_of_a_piece(tiny_job: StudyJob) -> None:
    """The process dies inside a transaction: what it recorded before is there, the lock is free, the study goes on."""
    script = textwrap.dedent("""
        import json, os, signal, sys
        from pathlib import Path
        from medtrans.config import StudyJob
        from medtrans.studies.engine.pieces import Outcome, Piece
        from medtrans.studies.engine.store import Store

        def rows():
            yield ("a/T1/WM", 0.9, 0.8, 0.95)
            os.kill(os.getpid(), signal.SIGKILL)

        store = Store.open(Path(sys.argv[1]), StudyJob.model_validate(json.loads(sys.argv[2])))
        store.record(Piece("train", ("a/T1/GM",)), Outcome({"sources": [("a/T1/GM", 0.8, 0.7, 0.9)]}, 1.0, {}))
        store.start(0, Piece("train", ("a/T1/WM",)))
        store.record(Piece("train", ("a/T1/WM",)), Outcome({"sources": rows()}, 1.0, {}))
    """)
    path = tiny_job.store_path
    finished = subprocess.run([sys.executable, "-c", script, path, tiny_job.model_dump_json()], check=False)  # noqa: S603
    assert finished.returncode == -9
    with Store.read(path) as store:
        assert not store.is_running()
        assert store.done() == {"train a/T1/GM"}
        assert store.frame("sources").to_numpy().tolist() == [["a/T1/GM", 0.8, 0.7, 0.9]]
        assert [(worker, key) for worker, key, _ in store.running()] == [(0, "train a/T1/WM")]
    with Store.open(path, tiny_job) as store:
        assert store.done() == {"train a/T1/GM"}
        assert store.running() == []


# Readers


def test_readers_see_what_is_recorded_meanwhile(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as writer, Store.read(tiny_job.store_path) as reader:
        assert reader.job == tiny_job
        assert reader.done() == set()
        writer.record(TRAIN, outcome_of(TRAIN))
        writer.start(1, SCORE)
        assert reader.done() == {TRAIN.key}
        ((worker, key, seconds),) = reader.running()
        assert (worker, key) == (1, SCORE.key)
        assert 0 <= seconds < 60
        writer.stop(1)
        assert reader.running() == []


def test_frames_are_of_one_moment(tiny_job: StudyJob, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as writer, Store.read(tiny_job.store_path) as reader:
        writer.record(TRAIN, outcome_of(TRAIN))
        one_table = reader.frame

        def slow(table: str) -> pd.DataFrame:
            writer.record(SCORE, outcome_of(SCORE)) if table == "scores" else None
            return one_table(table)

        monkeypatch.setattr(reader, "frame", slow)
        frames = reader.frames()
        assert frames["pieces"]["key"].tolist() == [TRAIN.key]
        assert frames["scores"].empty
        assert reader.done() == {TRAIN.key, SCORE.key}


def test_reading_changes_nothing(filled_store: Path) -> None:
    before = {path.name: path.read_bytes() for path in filled_store.parent.iterdir()}
    assert b"SQLite" in before["study.sqlite"][:16]
    with Store.read(filled_store) as store:
        store.frames()
        assert not store.is_running()
        with pytest.raises(StudyError, match="cannot be written"):
            store.record(TRAIN, outcome_of(TRAIN))
    assert {path.name: path.read_bytes() for path in filled_store.parent.iterdir()} == before


def test_a_closed_study_is_one_file(filled_store: Path) -> None:
    assert {path.name for path in filled_store.parent.iterdir()} <= {"study.sqlite", "study.sqlite.lock"}


def test_whether_it_runs(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as writer, Store.read(tiny_job.store_path) as reader:
        assert reader.is_running()
        assert not writer.is_running()  # no other process does
        writer.close()
        assert not reader.is_running()


def test_odd_characters_in_the_path(make_job: JobMaker, tmp_path: Path) -> None:
    job = make_job(output=str(tmp_path / "50% ready? #2 ü"))
    Store.open(job.store_path, job).close()
    with Store.read(job.store_path) as store:
        assert store.job == job


# Who targets are judged on


def test_people_are_kept_and_those_of_other_targets_stay(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record_people("people", {TARGETS[0]: {"anna", "berta"}, TARGETS[1]: {"anna"}})
        store.record_people("people", {TARGETS[0]: frozenset({"clara"})})
    with Store.read(tiny_job.store_path) as store:
        assert store.frame("people").to_numpy().tolist() == [[TARGETS[0], "clara"], [TARGETS[1], "anna"]]


def test_a_store_of_before_people_were_recorded_is_read_and_goes_on(filled_store: Path, tiny_job: StudyJob) -> None:
    with Store.read(filled_store) as store:
        before = tables(store)
    with closing(sqlite3.connect(filled_store)) as connection:
        connection.execute("DROP TABLE people")
    with Store.read(filled_store) as store:
        assert store.frames()["people"].empty
        assert tables(store) == before
    with Store.open(filled_store, tiny_job) as store:
        store.record_people("people", {TARGETS[0]: {"anna"}})
        assert tables(store) == before
    with Store.read(filled_store) as store:
        assert store.frame("people").to_numpy().tolist() == [[TARGETS[0], "anna"]]


# Going on with other metrics or filters


def test_other_metrics_forget_the_scores_and_keep_the_transfers(filled_store: Path, tiny_job: StudyJob) -> None:
    with Store.read(filled_store) as store:
        before = tables(store)
    other = tiny_job.model_copy(update={"metrics": ("logme",)})
    with Store.open(filled_store, other) as store:
        assert store.job.metrics == ("logme",)
        after, kinds = tables(store), set(store.frame("pieces")["kind"])
    assert after["scores"]["data"] == after["missing"]["data"] == []
    assert "score" not in kinds
    assert after["transfers"] == before["transfers"]
    assert before["transfers"]["data"]
    assert after["candidates"] == before["candidates"]
    assert before["candidates"]["data"]
    Store.open(filled_store, other).close()  # the study is what it is now


def test_other_filters_forget_what_filters_said(filled_store: Path, tiny_job: StudyJob) -> None:
    with Store.read(filled_store) as store:
        before = tables(store)
    with Store.open(filled_store, tiny_job.model_copy(update={"filters": {}})) as store:
        after = tables(store)
    assert after["candidates"]["data"] == []
    assert after["scores"] == before["scores"]

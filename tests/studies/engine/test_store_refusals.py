"""What a store refuses: other settings, files that are no study, locks, disks."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from medtrans.config import StudyJob
from medtrans.errors import StudyError
from medtrans.studies.engine import header, schema
from medtrans.studies.engine import store as storing
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.store import Store
from tests.studies.conftest import SOURCES, TARGETS, JobMaker, outcome_of

SCORE = Piece("score", (SOURCES[0],), TARGETS[0])
TRAIN = Piece("train", (SOURCES[0],))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(storing, "LOCK_SECONDS", 0.05)


def refused(path: Path, job: StudyJob | None = None) -> str:
    """What Store.open says, or Store.read without a job."""
    with pytest.raises(StudyError) as caught:
        Store.open(path, job) if job else Store.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


# Settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [0, 1, 2]}, "seeds: [0, 1], now [0, 1, 2]"),
        ({"training": {"steps": 7}}, "training.steps: 300, now 7"),
        ({"network": {"width": 8}}, "network.width: 16, now 8"),
        ({"same_task": True}, "same_task: False, now True"),
    ],
)
def test_other_settings_are_another_study(make_job: JobMaker, changes: dict[str, Any], said: str) -> None:
    job = make_job()
    Store.open(job.store_path, job).close()
    message = refused(job.store_path, make_job(**changes))
    assert message == (
        f"{job.store_path}: the settings changed since the study began ({said}); "
        "restore them, or choose another output for a new study"
    )
    Store.open(job.store_path, job).close()  # the refusal changed nothing


def test_a_change_of_tasks_names_the_group(make_job: JobMaker) -> None:
    job = make_job()
    Store.open(job.store_path, job).close()
    data = job.sources[0].data.model_dump()
    first, second = ({"tasks": tasks, "data": data} for tasks in (["a/T1/{GM,WM}", "a/T2/GM"], ["b/T2/GM"]))
    assert "(sources.2.tasks: ['b/T1/GM'], now ['b/T2/GM'])" in refused(
        job.store_path, make_job(sources=[first, second])
    )
    assert "(sources.2: {" in refused(job.store_path, make_job(sources=[first]))


def test_folders_executor_and_measure_may_change(make_job: JobMaker, tmp_path: Path) -> None:
    job = make_job()
    Store.open(job.store_path, job).close()
    changed = make_job(pool=str(tmp_path / "pool"), executor={"kind": "threads", "workers": 3}, measure="miou")
    Store.open(job.store_path, changed).close()
    with Store.read(job.store_path) as store:
        assert store.job == changed


def test_versions_tell_of_updates(tiny_job: StudyJob, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        first = store.versions
    assert set(first) == {"medtrans", "torch", "monai", "numpy"}
    monkeypatch.setattr(header, "version", lambda name: "99" if name == "torch" else first[name])
    for _ in range(2):
        with Store.open(tiny_job.store_path, tiny_job) as store:
            assert store.versions == first | {"torch": f"{first['torch']}, then 99"}


def test_settings_that_this_version_does_not_know(tiny_job: StudyJob) -> None:
    Store.open(tiny_job.store_path, tiny_job).close()
    execute(tiny_job.store_path, "UPDATE study SET job = json_set(job, '$.training.warp', 9)")
    assert "cannot read the study's settings (key 'training.warp')" in refused(tiny_job.store_path)


# Files that are no study, and locks


def test_a_study_that_an_older_medtrans_scored_is_read_but_not_continued(tiny_job: StudyJob) -> None:
    Store.open(tiny_job.store_path, tiny_job).close()
    execute(tiny_job.store_path, "UPDATE study SET identity = json_remove(identity, '$.scoring')")
    assert "was scored by an older medtrans" in refused(tiny_job.store_path, tiny_job)
    with Store.read(tiny_job.store_path) as store:
        assert store.job == tiny_job


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_there_is_no_such_study(tmp_path: Path) -> None:
    assert "no such study; start it with 'medtrans study run'" in refused(tmp_path / "study.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    Store.open(path, tiny_job).close()
    execute(path, f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    for message in (refused(path), refused(path, tiny_job)):
        assert "was written by a newer medtrans (schema 3, this one reads 2); update medtrans" in message


def test_an_older_schema_kept_less_than_is_asked_for(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    Store.open(path, tiny_job).close()
    execute(path, "PRAGMA user_version = 1")
    for message in (refused(path), refused(path, tiny_job)):
        assert message == (
            f"{path}: was written by an earlier medtrans, which kept Dice alone (schema 1, this one reads 2); choose "
            "another output and run the study again, or use the version that wrote it"
        )


def test_another_programs_database_is_left_alone(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    path.parent.mkdir()
    execute(path, "CREATE TABLE precious (x)", "INSERT INTO precious VALUES (1)")
    before = path.read_bytes()
    for message in (refused(path), refused(path, tiny_job)):
        assert "is not a medtrans study but another program's database" in message
    assert path.read_bytes() == before


def test_not_a_database(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    path.parent.mkdir()
    path.write_text("results: none\n" * 100)
    for message in (refused(path), refused(path, tiny_job)):
        assert "is not a medtrans study; check the path" in message


def test_an_empty_file_is_a_study_that_has_not_begun(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    path.parent.mkdir()
    path.touch()
    assert "the study has not begun" in refused(path)
    Store.open(path, tiny_job).close()
    Store.read(path).close()


def test_a_damaged_file(filled_store: Path, tiny_job: StudyJob) -> None:
    content = bytearray(filled_store.read_bytes())
    content[100:4096] = bytes(4096 - 100)  # the page of the schema
    filled_store.write_bytes(content)
    for message in (refused(filled_store), refused(filled_store, tiny_job)):
        assert "is damaged; restore a copy, or choose another output" in message


def test_a_second_run_is_refused(tiny_job: StudyJob) -> None:
    path = tiny_job.store_path
    with Store.open(path, tiny_job) as store:
        assert "another 'medtrans study run' is at this study" in refused(path, tiny_job)
        store.record(TRAIN, outcome_of(TRAIN))  # the first one goes on
    with FileLock(f"{path}.lock"):
        assert "another 'medtrans study run' is at this study" in refused(path, tiny_job)
    Store.open(path, tiny_job).close()


def test_a_refused_study_is_let_go_of(tiny_job: StudyJob, make_job: JobMaker) -> None:
    Store.open(tiny_job.store_path, tiny_job).close()
    refused(tiny_job.store_path, make_job(seeds=[5]))
    with Store.read(tiny_job.store_path) as store:
        assert not store.is_running()


def test_a_database_that_another_program_locks(filled_store: Path, tiny_job: StudyJob) -> None:
    other = sqlite3.connect(filled_store, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for message in (refused(filled_store), refused(filled_store, tiny_job)):
        assert "is locked by another program; close that, then run this again" in message
    other.execute("ROLLBACK")
    other.close()
    Store.open(filled_store, tiny_job).close()


def test_a_lock_while_the_study_runs_costs_nothing(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyError, match="is locked by another program"):
            store.record(TRAIN, outcome_of(TRAIN))
        other.execute("ROLLBACK")
        other.close()
        store.record(TRAIN, outcome_of(TRAIN))
        assert store.done() == {TRAIN.key}


def test_a_full_disk_keeps_what_is_finished(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(TRAIN, outcome_of(TRAIN))
        (pages,) = store._rows("PRAGMA page_count")[0]
        store._rows(f"PRAGMA max_page_count = {pages}")
        many = [(TARGETS[0], SOURCES[0], "boundary", "h_score", i, 0.0) for i in range(1000)]
        with pytest.raises(StudyError, match="the disk is full; free space, then run this again"):
            store.record(SCORE, Outcome({"scores": many}, 1.0, {}))
        assert store.done() == {TRAIN.key}
        assert store.frame("scores").empty


def test_an_output_that_cannot_be_written(make_job: JobMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job = make_job(output=str(tmp_path / "file"))
    assert "cannot be written" in refused(job.store_path, job)


def test_a_folder_in_the_place_of_the_file(tiny_job: StudyJob) -> None:
    tiny_job.store_path.mkdir(parents=True)
    assert "cannot be opened" in refused(tiny_job.store_path, tiny_job)
    assert "no such study" in refused(tiny_job.store_path)

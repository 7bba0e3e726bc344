"""The loop of a study: what is done, what is repeated, and what becomes of pieces that fail."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from dataclasses import replace

import pytest

from medtrans.config import ExecutorSettings, StudyJob
from medtrans.errors import ConfigError, StudyError
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.progress import StudyProgress, look_at, most_fusions
from medtrans.studies.engine.run import run_study
from medtrans.studies.engine.store import Store
from medtrans.studies.engine.workers import LocalProcesses, LocalThreads
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results
from tests.studies import fakes
from tests.studies.conftest import JobMaker, outcome_of

THREADS = LocalThreads(2)


class Forks(LocalProcesses):
    """Processes that begin at once; the pieces of these tests do not use torch, whose threads forks cannot bear."""

    def open(self) -> Executor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))


def n_pieces(job: StudyJob) -> int:
    return sum(map(len, plan(job))) + len(plan_fusions(job, Results.read(job.store_path)))


def test_every_piece_is_done_once_and_in_order(tiny_job):
    summary = run_study(tiny_job, workers=THREADS, work=fakes.work)
    # 4 trainings; 3 targets with 4 + 4 + 4 candidates less b/T1/GM on itself: 3 filters, 11 scores, 11 x 2 modes x 2
    # seeds transfers, 3 x 2 seeds from scratch
    planned = 4 + 3 + 11 + 44 + 6
    fusions = plan_fusions(tiny_job, Results.read(tiny_job.store_path))
    assert fusions
    assert (summary.done, summary.kept, summary.blocked) == (planned + len(fusions), 0, 0)
    assert not summary.failed
    called = fakes.calls(tiny_job)
    assert len(called) == len(set(called)) == summary.done
    assert all(key.startswith("train") for key in called[:4])
    assert set(called[planned:]) == {piece.key for piece in fusions}


def test_the_store_holds_what_the_pieces_found(filled_store, make_job, tmp_path):
    job = make_job(output=str(tmp_path / "other"))
    run_study(job, workers=THREADS, work=fakes.work)
    fakes.assert_same_tables(job.store_path, filled_store)


def test_a_run_notes_who_targets_are_judged_on(tiny_job, monkeypatch):
    monkeypatch.setattr(
        "medtrans.studies.engine.run.judged_people", lambda job: {"b/T1/GM": frozenset({job.output.name})}
    )
    run_study(tiny_job, workers=THREADS, work=fakes.work)
    assert Results.read(tiny_job.store_path).people.by_target == {"b/T1/GM": {"study"}}


def test_a_second_run_repeats_nothing(tiny_job):
    first = run_study(tiny_job, workers=THREADS, work=fakes.work)
    second = run_study(tiny_job, workers=THREADS, work=fakes.work)
    assert (second.done, second.kept) == (0, first.done)
    assert len(fakes.calls(tiny_job)) == first.done


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where the tests are a background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_goes_on(tiny_job):
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny_job, workers=THREADS, work=fakes.interrupt)
    with Store.read(tiny_job.store_path) as store:
        before = store.done()
        assert not store.is_running()
    assert 4 <= len(before) < n_pieces(tiny_job)
    summary = run_study(tiny_job, workers=THREADS, work=fakes.interrupt)
    assert summary.kept == len(before)
    assert summary.kept + summary.done == n_pieces(tiny_job)


def test_a_piece_that_raises_is_recorded_with_its_error_and_the_rest_goes_on(tiny_job):
    summary = run_study(tiny_job, workers=THREADS, work=fakes.stumble)
    (error,) = summary.failed.values()
    assert list(summary.failed) == [fakes.VICTIM]
    assert error.startswith("ValueError: two lines (fakes.py, line ")
    assert summary.done == n_pieces(tiny_job) - 1
    with Store.read(tiny_job.store_path) as store:
        assert store.failures() == summary.failed


def test_pieces_of_a_source_that_cannot_be_trained_are_blocked_until_it_can(tiny_job):
    summary = run_study(tiny_job, workers=THREADS, work=fakes.fail_to_train)
    assert summary.failed == {f"train {fakes.BAD_SOURCE}": "structure 'WM' is empty; leave the case out"}
    assert summary.blocked == 3 * (1 + 2 * 2)  # targets x (score + modes x seeds)
    assert not any(f" {fakes.BAD_SOURCE} " in key for key in fakes.calls(tiny_job))
    with Store.read(tiny_job.store_path) as store:
        assert sum(group.blocked for group in look_at(store).groups) == summary.blocked
    (tiny_job.output / "repaired").touch()
    again = run_study(tiny_job, workers=THREADS, work=fakes.fail_to_train)
    assert (again.failed, again.blocked) == ({}, 0)
    called = fakes.calls(tiny_job)
    filters = [f"filter sources for {target}" for target in tiny_job.target_groups()]
    assert [called.count(key) for key in filters] == [2, 2, 2], "they had not seen the source"
    assert again.done >= 1 + summary.blocked + len(filters)
    third = run_study(tiny_job, workers=THREADS, work=fakes.fail_to_train)
    assert third.done == 0


def test_a_killed_worker_costs_a_retry(tiny_job):
    summary = run_study(tiny_job, workers=Forks(2), work=fakes.die_once)
    assert not summary.failed
    assert summary.done == n_pieces(tiny_job)
    called = fakes.calls(tiny_job)
    assert called.count(fakes.VICTIM) == 2
    assert len(called) == summary.done + 1, "no other piece is done twice"


def test_a_piece_that_always_kills_fails_alone(tiny_job):
    summary = run_study(tiny_job, workers=Forks(2), work=fakes.die_always)
    (error,) = summary.failed.values()
    assert "its worker died 3 times (killed by the system, perhaps for memory)" in error
    assert fakes.calls(tiny_job).count(fakes.VICTIM) == 3
    assert summary.done == n_pieces(tiny_job) - 1


class SharedPool(Forks):
    """One pool for all workers: a killed process takes the pieces of the others along."""

    pool: ProcessPoolExecutor | None = None

    def open(self) -> Executor:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))
        return self.pool

    def end(self, executor: Executor) -> None:
        if executor is self.pool:
            self.pool = None
        executor.shutdown(wait=False, cancel_futures=True)


def test_those_who_were_beside_a_piece_that_kills_are_not_blamed(tiny_job):
    summary = run_study(tiny_job, workers=SharedPool(2), work=fakes.die_always)
    assert list(summary.failed) == [fakes.VICTIM]
    assert summary.done == n_pieces(tiny_job) - 1


class DeadOnArrival(Forks):
    """Processes that cannot even start, as those of a script that runs its study when it is imported."""

    def open(self) -> Executor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"), initializer=exit, initargs=(1,))


def test_workers_that_cannot_start_end_the_study(tiny_job):
    with pytest.raises(StudyError, match=r"workers die as soon as they start.*__main__"):
        run_study(tiny_job, workers=DeadOnArrival(2), work=fakes.work)
    with Store.read(tiny_job.store_path) as store:
        assert not store.failures(), "no piece is to blame"


class Recorder(LocalThreads):
    """Keeps what is asked for each piece."""

    def __init__(self) -> None:
        super().__init__(2)
        self.asked: dict[str, bool] = {}

    def submit(self, executor: Executor, piece, *, needs_gpu: bool) -> Future:
        self.asked[piece.args[2].kind] = needs_gpu
        return super().submit(executor, piece, needs_gpu=needs_gpu)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_all_but_filters_ask_for_the_gpu_if_there_is_one(make_job, device):
    workers = Recorder()
    run_study(make_job(device=device), workers=workers, work=fakes.work)
    gpu = device == "cuda"
    assert workers.asked == {"train": gpu, "filter": False, "score": gpu, "transfer": gpu, "fuse": gpu}


class Withdrawn(LocalThreads):
    """A cluster that is shut down while it works."""

    def submit(self, executor: Executor, piece, *, needs_gpu: bool) -> Future:
        future: Future = Future()
        future.set_exception(CancelledError())
        return future


def test_a_cluster_that_goes_away_ends_the_run_and_no_piece_is_blamed(tiny_job):
    with pytest.raises(StudyError, match="the workers gave up 'train "):
        run_study(tiny_job, workers=Withdrawn(2), work=fakes.work)
    with Store.read(tiny_job.store_path) as store:
        assert not store.failures()


def test_never_more_pieces_at_work_than_workers(tiny_job):
    seen: list[StudyProgress] = []
    run_study(tiny_job, workers=LocalThreads(3), work=fakes.slow, progress=seen.append)
    assert max(len(progress.running) for progress in seen) <= 3
    assert {worker for progress in seen for worker, _, _ in progress.running} <= {1, 2, 3}


def test_progress_ends_complete_and_knows_the_fusions_only_then(tiny_job):
    seen: list[StudyProgress] = []
    run_study(tiny_job, workers=THREADS, work=fakes.work, progress=seen.append)
    first, last = seen[0], seen[-1]
    assert [group.group for group in first.groups if group.at_most] == ["fuse head", "fuse full"]
    assert first.at_least
    assert last.left == 0
    assert last.total == n_pieces(tiny_job)
    assert not last.at_least
    assert last.seconds_left == 0


def test_at_most_so_many_fusions(make_job):
    # 3 choosers; candidates 3, 4, 4: of two sources min(3, C(n, 2)) = 3, 3, 3 sets, of three min(3, C(n, 3)) = 1, 3, 3
    assert most_fusions(make_job()) == {"fuse head": 2 * 16, "fuse full": 2 * 16}
    assert not most_fusions(make_job(many_to_one=None))


def test_time_left_is_the_mean_of_each_kind_over_the_workers(tiny_job):
    (trainings, rest) = plan(tiny_job)
    with Store.open(tiny_job.store_path, tiny_job) as store:
        assert look_at(store).seconds_left is None
        for piece, seconds in zip(trainings, (2.0, 4.0), strict=False):
            store.record(piece, replace(outcome_of(piece), seconds=seconds))
        progress = look_at(store)
        assert progress.seconds_left == 2 * 3.0, "two trainings of 3 s are left, and one worker"
        assert progress.at_least, "of the others none is known"
        for piece in (*trainings, *(piece for piece in rest if piece.kind == "score")):
            store.record(piece, replace(outcome_of(piece), seconds=5.0))
        assert look_at(store).seconds_left == 0


def test_status_of_a_complete_study_counts_the_fusions_there_are(tiny_job):
    summary = run_study(tiny_job, workers=THREADS, work=fakes.work)
    with Store.read(tiny_job.store_path) as store:
        progress = look_at(store)
    assert (progress.total, progress.left) == (summary.done, 0)
    assert not any(group.at_most for group in progress.groups)


def test_settings_of_the_executor_are_checked_before_anything_is_written(make_job: JobMaker):
    job = make_job(executor=ExecutorSettings(kind="dask"))
    with pytest.raises(ConfigError, match=r"key 'executor\.address' is missing"):
        run_study(job, work=fakes.work)
    assert not job.store_path.exists()


def test_what_a_piece_returns_may_be_too_much_for_the_way_back(tiny_job):
    summary = run_study(tiny_job, workers=Forks(2), work=_unsendable)
    assert all("pickle" in error for error in summary.failed.values())
    assert len(summary.failed) == 4 + 3 + 6  # trainings, filters, from scratch; the others are blocked


def _unsendable(job: StudyJob, piece: Piece) -> Outcome:
    return replace(outcome_of(piece), parts={"training": lambda: 1.0})  # type: ignore[dict-item]

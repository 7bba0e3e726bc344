"""Studies on a Dask cluster."""

from __future__ import annotations

import sys
import time
from functools import partial

import pytest

from medtrans.config import ExecutorSettings
from medtrans.errors import StudyError
from medtrans.studies.engine import workers as workers_module
from medtrans.studies.engine.run import run_study
from medtrans.studies.engine.workers import DaskWorkers
from tests.studies import fakes

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 2}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def small_job(make_job):
    return make_job(transfer={"full": None, "scratch": None}, many_to_one=None, seeds=[0])


def test_a_killed_worker_costs_a_retry(cluster, small_job):
    job = small_job.model_copy(update={"executor": ExecutorSettings(kind="dask", address=cluster.scheduler_address)})
    summary = run_study(job, work=fakes.die_once)
    assert not summary.failed
    assert summary.done == 4 + 3 + 11 + 11
    assert fakes.calls(job).count(fakes.VICTIM) == 2


def test_a_piece_that_always_kills_fails_alone_and_the_callers_client_stays_open(cluster, small_job):
    with distributed.Client(cluster, set_as_default=False) as client:
        summary = run_study(small_job, workers=DaskWorkers(client), work=fakes.die_always)
        assert client.submit(sum, [1, 2]).result() == 3
    (error,) = summary.failed.values()
    assert list(summary.failed) == [fakes.VICTIM]
    assert error.startswith("KilledWorker: ")
    assert summary.done == 4 + 3 + 11 + 11 - 1


def test_as_many_pieces_at_a_time_as_the_cluster_has_threads(cluster):
    workers = DaskWorkers(cluster.scheduler_address)
    try:
        assert DaskWorkers(workers._client, count=30).count == 30
        until = time.monotonic() + 20  # a killed worker may still be on its way back
        while workers.count != 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert workers.count == 2
    finally:
        workers.close()


class Client:
    """Keeps what a client of Dask is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict] = []

    def get_executor(self, **options):
        return distributed.cfexecutor.ClientExecutor(self, **options)

    def submit(self, function, **options):
        self.asked.append(options)
        raise NotImplementedError


@pytest.mark.parametrize("needs_gpu", [True, False])
def test_a_piece_that_needs_a_gpu_asks_for_one(needs_gpu):
    client = Client()
    workers = DaskWorkers(client)
    with pytest.raises(NotImplementedError):
        workers.submit(workers.open(), partial(int, "1"), needs_gpu=needs_gpu)
    assert client.asked == [{"pure": False} | ({"resources": {"GPU": 1}} if needs_gpu else {})]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_does_not_answer(address, small_job, monkeypatch):
    monkeypatch.setattr(workers_module, "CONNECT_SECONDS", 0.5)
    job = small_job.model_copy(update={"executor": ExecutorSettings(kind="dask", address=address)})
    with pytest.raises(StudyError, match=f"no Dask scheduler answers at {address} .*; start one with"):
        run_study(job, work=fakes.work)
    assert not job.store_path.exists()


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StudyError, match=r'pip install "medtrans\[dask\]"'):
        DaskWorkers("tcp://127.0.0.1:9")

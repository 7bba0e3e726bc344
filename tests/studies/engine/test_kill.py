"""A study that is killed at random moments ends with the results of an undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from medtrans.config import StudyJob
from medtrans.simulation import simulate_fets
from medtrans.studies.engine.run import run_study
from medtrans.studies.engine.store import Store
from medtrans.studies.engine.workers import LocalThreads
from tests.studies import fakes

N_KILLS = 20
N_WORKERS = 2


@pytest.fixture(scope="module")
def starter():
    """Starts processes that have the modules of a study loaded, and no threads of the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["medtrans.studies.engine.work", "medtrans.learning.checkpoint", __name__])
    return context


def study(job: StudyJob, work) -> None:
    run_study(job, workers=LocalThreads(N_WORKERS), work=work)


def kill_at(n_calls: int, seconds: float, process, job: StudyJob) -> bool:
    """Kill a run so long after that many pieces have begun, counted over all runs; False if it ended before."""
    while process.is_alive():
        if len(fakes.calls(job)) >= n_calls:
            time.sleep(seconds)
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.0005)
    process.join()
    return process.exitcode == -signal.SIGKILL


def run_and_kill(starter, job: StudyJob, work, n_pieces: int, piece_seconds: float) -> int:
    """Run a study that is killed at moments spread over its pieces, then to its end; returns the number of kills."""
    rng = np.random.default_rng(0)
    killed = 0
    for moment in np.sort(rng.uniform(0, 0.8 * n_pieces, N_KILLS)):
        n_calls = max(len(fakes.calls(job)) + int(rng.integers(2)), int(moment))
        process = starter.Process(target=study, args=(job, work))
        process.start()
        killed += kill_at(n_calls, rng.uniform(0, piece_seconds), process, job)
    finish(starter, job, work)
    return killed


def finish(starter, job: StudyJob, work) -> None:
    process = starter.Process(target=study, args=(job, work))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_twenty_kills_change_nothing_and_repeat_only_what_was_at_work(starter, make_job, tmp_path):
    job = make_job(output=str(tmp_path / "killed"))
    undisturbed = make_job(output=str(tmp_path / "undisturbed"))
    study(undisturbed, fakes.slow)
    n_pieces = len(fakes.calls(undisturbed))
    assert run_and_kill(starter, job, fakes.slow, n_pieces, 0.005) == N_KILLS
    assert len(fakes.calls(job)) <= n_pieces + N_KILLS * N_WORKERS
    assert sorted(set(fakes.calls(job))) == sorted(fakes.calls(undisturbed))
    fakes.assert_same_tables(job.store_path, undisturbed.store_path)
    with Store.read(job.store_path) as store:
        assert not store.failures()


def real_settings(scans: Path, output: Path) -> dict:
    """Two sources of one site, one target of the other; all kinds of pieces."""
    data = {"format": "fets", "root": str(scans)}
    training = {"steps": 2, "steps_per_epoch": 1, "batch_size": 2}
    return {
        "output": str(output),
        "sources": [{"tasks": ["fets-1/FLAIR/{ED,ET}"], "data": data}],
        "targets": [{"tasks": ["fets-2/T1CE/ED"], "data": data | {"slices": 3}}],
        "network": {"width": 4},
        "training": training,
        "signature": {"n_pixels": 200},
        "metrics": ["h_score", "leep"],
        "samplers": {"boundary": {"n_pixels": 60, "repetitions": 2, "band_mm": 12.0}},
        "transfer": {"head": training, "full": training, "scratch": training},
        "seeds": [0, 1, 2],
        "many_to_one": {"largest": 2},
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "fets"
    return simulate_fets(folder, institutions=(1, 2), subjects_per_institution=2, spacing_mm=6.0)


def test_real_pieces_survive_twenty_kills(starter, scans, tmp_path):
    job = StudyJob.model_validate(real_settings(scans, tmp_path / "killed"))
    undisturbed = StudyJob.model_validate(real_settings(scans, tmp_path / "undisturbed"))
    finish(starter, undisturbed, fakes.real)
    with Store.read(undisturbed.store_path) as store:
        pieces = store.frame("pieces")
    assert list(pieces["status"]) == ["done"] * (2 + 1 + 2 + 2 * 2 * 3 + 3 + 2 * 3)
    killed = run_and_kill(starter, job, fakes.real, len(pieces), pieces["seconds"].mean())
    assert killed >= 0.8 * N_KILLS, "the last may come too late: pieces differ in length"
    fakes.assert_same_tables(job.store_path, undisturbed.store_path)
    with Store.read(job.store_path) as store:
        assert not store.failures()
        assert set(store.frame("pieces")["key"]) == set(pieces["key"])

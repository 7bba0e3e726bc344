"""Workers of this machine: what each may use, and that none outlives its study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
import torch

from medtrans.config import ExecutorSettings
from medtrans.errors import ConfigError
from medtrans.studies.engine.run import run_study
from medtrans.studies.engine.workers import LocalProcesses, LocalThreads, workers_for
from tests.studies import fakes


def surroundings() -> tuple[int, int, str | None, object]:
    import torch

    return os.getpid(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS"), signal.getsignal(signal.SIGINT)


def nap() -> None:
    time.sleep(60)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only its entry is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def assert_ends(pid: int) -> None:
    until = time.monotonic() + 10
    while not has_ended(pid):
        assert time.monotonic() < until, "the worker goes on"
        time.sleep(0.01)


def test_a_process_uses_the_threads_it_was_given_and_ends_at_once(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    workers = LocalProcesses(1, threads=3)
    executor = workers.open()
    pid, torch_threads, environment, on_interrupt = workers.submit(executor, surroundings, needs_gpu=True).result()
    assert (torch_threads, environment) == (3, "3")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert on_interrupt is signal.SIG_IGN, "Ctrl-C is for the process that runs the study"
    at_work = workers.submit(executor, nap, needs_gpu=False)
    while not at_work.running():
        time.sleep(0.01)
    workers.end(executor)
    assert isinstance(at_work.exception(timeout=10), BrokenExecutor)
    assert_ends(pid)


ORPHAN = """
import os, signal, time
from functools import partial
from medtrans.studies.engine.workers import LocalProcesses
from tests.studies.engine.test_workers import nap
workers = LocalProcesses(1)
executor = workers.open()
print(workers.submit(executor, os.getpid, needs_gpu=False).result(), flush=True)
workers.submit(executor, nap, needs_gpu=False)
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_killed_study():
    ended = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == -signal.SIGKILL
    assert_ends(int(ended.stdout))


def test_a_killed_process_costs_a_retry(make_job):
    job = make_job(transfer={"full": None, "scratch": None}, many_to_one=None, seeds=[0])
    summary = run_study(job, workers=LocalProcesses(2), work=fakes.die_once)
    assert not summary.failed
    assert fakes.calls(job).count(fakes.VICTIM) == 2
    assert len(fakes.calls(job)) == summary.done + 1


def test_a_thread_uses_the_threads_it_was_given():
    import torch

    before = torch.get_num_threads()
    workers = LocalThreads(1, threads=before + 1)
    executor = workers.open()
    try:
        assert workers.submit(executor, surroundings, needs_gpu=True).result()[1] == before + 1
    finally:
        workers.end(executor)
        workers.close()


@pytest.mark.parametrize("kind", ["local", "threads"])
@pytest.mark.parametrize(("threads", "count"), [(1, 7), (2, 3), (7, 1)])
def test_as_many_workers_as_cores_allow(kind, threads, count, monkeypatch):
    for module in ("medtrans.threads", "medtrans.studies.engine.workers"):
        monkeypatch.setattr(f"{module}.usable_cores", lambda: 7)
    assert workers_for(ExecutorSettings(kind=kind, threads=threads)).count == count
    assert workers_for(ExecutorSettings(kind=kind, workers=5, threads=threads)).count == 5
    with pytest.raises(ConfigError, match="threads is 8; give 1 to 7"):
        workers_for(ExecutorSettings(kind=kind, threads=8))


def test_threads_give_torch_its_own_number_back():
    before = torch.get_num_threads()
    workers = LocalThreads(1, threads=before + 1)
    executor = workers.open()
    for _ in range(2):
        assert workers.submit(executor, torch.get_num_threads, needs_gpu=False).result() == before + 1
    workers.end(executor)
    workers.close()
    assert torch.get_num_threads() == before

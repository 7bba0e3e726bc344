"""How many threads torch and BLAS use: chosen by cores, containers and load, and given back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from medtrans.errors import ConfigError
from medtrans.threads import (
    _Here,
    _Process,
    choose_threads,
    free_cores,
    limit_threads,
    limited_threads,
    one_blas_thread,
    usable_cores,
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 cores whose files lie in a folder: ``proc`` and ``cgroup``; nobody has set OMP_NUM_THREADS."""
    monkeypatch.setattr("medtrans.threads._PROC", tmp_path / "proc")
    monkeypatch.setattr("medtrans.threads._CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def be_busy(machine: Path, monkeypatch: pytest.MonkeyPatch, idle: list[float]) -> None:
    """Let /proc/stat tell of cores that are idle for these shares of the time watched."""
    now = [0.0]

    def tell() -> None:
        ticks = [round(now[0] * share * os.sysconf("SC_CLK_TCK")) for share in idle]
        lines = [f"cpu{i} 9 9 9 {tick // 2} {tick - tick // 2} 0 0" for i, tick in enumerate(ticks)]
        write(machine / "proc/stat", "\n".join(["cpu 1 2 3 4 5", *lines, "procs_running 3"]))

    def pass_time(seconds: float) -> None:
        now[0] += seconds
        tell()

    tell()
    monkeypatch.setattr("medtrans.threads.time.sleep", pass_time)
    monkeypatch.setattr("medtrans.threads.time.perf_counter", lambda: now[0])


@pytest.mark.parametrize(
    ("idle", "free"),
    [
        ([1] * 8, 8),
        ([1] * 5 + [0] * 3, 5),  # three processes that spin
        ([0.9] * 7 + [0], 6),  # 6.3
        ([0] * 8, 1),
        ([1] * 3 + [0] * 5 + [1] * 56, 3),  # those of the other 56 cores are not for this process
    ],
)
def test_free_are_the_usable_cores_that_stay_idle(machine, monkeypatch, idle, free):
    be_busy(machine, monkeypatch, idle)
    assert free_cores() == free
    assert choose_threads() == free


@pytest.mark.parametrize("stat", [None, "cpu0 what is this", "cpu0 1 2"])
def test_where_the_system_does_not_tell_every_core_counts_as_free(machine, monkeypatch, stat):
    monkeypatch.setattr("medtrans.threads.time.sleep", lambda _: None)
    if stat is not None:
        write(machine / "proc/stat", stat)
    assert free_cores() == 8


def test_cores_of_this_machine_that_spin_are_not_free():
    cores = os.sched_getaffinity(0)
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in cores]
    try:
        assert free_cores() <= max(1, len(cores) // 2)
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"cpu.max": "150000 100000"}, 1),  # two threads would be stopped for a quarter of the time
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/jobs/mine", {"jobs/cpu.max": "400000 100000", "jobs/mine/cpu.max": "max 100000"}, 4),
        ("0::/docker/1a", {"cpu.max": "200000 100000"}, 2),  # the group lies elsewhere in the container
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "60000", "cpu/a/cpu.cfs_period_us": "10000"}, 6),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpuset:/", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "what"}, 8),
        ("0::/", {}, 8),
    ],
)
def test_a_container_may_use_less_than_the_machine_has(machine, group, files, cores):
    write(machine / "proc/self/cgroup", f"9:name=systemd:/\n{group}\n")
    for name, text in files.items():
        write(machine / "cgroup" / name, text + "\n")
    assert usable_cores() == cores


def test_affinity_is_a_limit_too(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert usable_cores() == 2
    be_busy(machine, monkeypatch, [1, 1, 1, 0, 1, 1, 1, 1])
    assert choose_threads() == 1


def test_what_somebody_has_set_is_not_chosen_again(machine, monkeypatch):
    be_busy(machine, monkeypatch, [1] * 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # by torch.set_num_threads
    assert choose_threads() == 2
    monkeypatch.setattr("medtrans.threads.free_cores", lambda: pytest.fail("the load was looked at"))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert choose_threads() == 2


@pytest.mark.parametrize("asked", [0, -1, 9, 10**6])
def test_threads_that_cannot_be(machine, asked):
    with pytest.raises(ConfigError, match=f"threads is {asked}; give 1 to 8, the number of usable cores, or leave it"):
        choose_threads(asked)
    assert choose_threads(8) == 8


def numbers() -> list[object]:
    """Threads of torch and of every library that threadpoolctl knows."""
    return [torch.get_num_threads(), *((library["filepath"], library["num_threads"]) for library in threadpool_info())]


@pytest.fixture
def six(monkeypatch):
    """Six cores, all of them free, and six threads of torch."""
    monkeypatch.setattr("medtrans.threads.usable_cores", lambda: 6)
    monkeypatch.setattr("medtrans.threads.free_cores", lambda: 6)
    monkeypatch.setattr("medtrans.threads._process", _Process())  # whatever other tests did not close
    monkeypatch.setattr("medtrans.threads._here", _Here())
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    yield
    torch.set_num_threads(before)


def test_a_block_gives_back_what_it_took(six):
    before = numbers()
    with pytest.raises(KeyError), limited_threads(2):
        assert torch.get_num_threads() == 2
        assert {library["num_threads"] for library in threadpool_info()} == {2}
        raise KeyError
    assert numbers() == before


def test_a_number_holds_for_what_is_inside(six, monkeypatch):
    @limited_threads()
    def work() -> int:
        """What it does."""
        return torch.get_num_threads()

    monkeypatch.setattr("medtrans.threads.free_cores", lambda: 3)
    assert work() == 3
    with limited_threads(5):
        assert work() == 5
        with limited_threads(2):
            assert work() == 2
        assert work() == 5
    assert (work(), torch.get_num_threads()) == (3, 6)
    assert (work.__name__, work.__doc__) == ("work", "What it does.")


@pytest.mark.parametrize("first_out", [0, 1])
def test_threads_of_one_process_that_overlap_leave_no_trace(six, first_out):
    before = numbers()
    entered = threading.Barrier(2)
    may_leave = [threading.Event(), threading.Event()]

    def work(number: int) -> int:
        with limited_threads(number + 1):
            used = torch.get_num_threads()
            entered.wait()
            may_leave[number].wait()
        return used

    with ThreadPoolExecutor(2) as pool:
        at_work = [pool.submit(work, number) for number in range(2)]
        for number in (first_out, 1 - first_out):
            may_leave[number].set()
            assert at_work[number].result() == number + 1
    assert numbers() == before
    with ThreadPoolExecutor(1) as pool:  # what a new thread begins with
        assert pool.submit(torch.get_num_threads).result() == 6


# BLAS alone


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_limit_of_before_returns() -> None:
    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_the_last_of_overlapping_callers_gives_the_threads_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_limits_of_both_kinds_that_overlap_give_the_numbers_of_before_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtrans.threads._process", _Process())  # whatever limits other tests left in force
    with threadpool_limits(2, user_api="blas"):
        for first_leaves_first in (True, False):
            give_back, blas = limit_threads(1), one_blas_thread()
            blas.__enter__()
            if first_leaves_first:
                give_back()
            blas.__exit__(None, None, None)
            if not first_leaves_first:
                give_back()
            assert blas_threads() == {2}

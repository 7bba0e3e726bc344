"""How many threads torch and BLAS use: no more than there are cores that nobody else keeps busy.

A thread more than there are free cores does not share them, it fights for them: threads that wait for each other after
every layer keep a core busy meanwhile, and a small network's training takes ten times as long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medtrans.errors import ConfigError

WATCH_SECONDS = 0.1
"""So long the cores are watched; the system counts in hundredths of a second."""

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


@contextmanager
def limited_threads(asked: int | None = None) -> Iterator[None]:
    """Inside, torch and BLAS use the threads that are asked for; afterwards, as many as before. Decorates, too.

    Of None, `choose_threads` makes a number, unless a block around this one has a number: then that one stays.

    Raises:
        ConfigError: less than 1 is asked for, or more than there are usable cores.
    """
    if asked is None and _here.is_limited:
        yield
        return
    give_back = limit_threads(choose_threads(asked))
    try:
        yield
    finally:
        give_back()


def choose_threads(asked: int | None = None) -> int:
    """The number that is asked for, or what it should be now.

    That is ``OMP_NUM_THREADS`` where somebody has set it, and otherwise the number of `free_cores`; but never more than
    torch uses anyway, which the caller may have limited.

    Raises:
        ConfigError: less than 1 is asked for, or more than there are usable cores.
    """
    if asked is not None:
        cores = usable_cores()
        if type(asked) is not int or not 1 <= asked <= cores:
            raise ConfigError(f"threads is {asked}; give 1 to {cores}, the number of usable cores, or leave it out")
        return asked
    import torch

    most = torch.get_num_threads()
    return most if most == 1 or "OMP_NUM_THREADS" in os.environ else min(most, free_cores())


def usable_cores() -> int:
    """Cores that this process may use.

    Less than the machine has under a batch system or ``taskset`` (its affinity), and in a container that may use so
    many cores' time (the quota of its control groups, of either version, rounded down, but at least 1).
    """
    return min([len(_cores()), *_quotas()])


def free_cores() -> int:
    """Usable cores that stay idle while this thread waits for `WATCH_SECONDS`, rounded; at least 1.

    Where the system does not tell (only Linux does), every usable core counts as free.
    """
    cores = _cores()
    began, before = time.perf_counter(), _idle_seconds(cores)
    time.sleep(WATCH_SECONDS)
    passed, after = time.perf_counter() - began, _idle_seconds(cores)
    usable = usable_cores()
    if before is None or after is None:
        return usable
    return max(1, min(usable, round((after - before) / passed)))


def limit_threads(threads: int) -> Callable[[], None]:
    """Limit torch and BLAS in this thread and those that it starts; returns what takes the limit away again.

    The threads of a process share BLAS. Where several limit it at the same time, it has the number of the one that came
    last, and its own again when all have taken their limits away.
    """
    import torch
    from threadpoolctl import threadpool_limits

    with _LOCK:
        was_limited, before, limits = _here.is_limited, torch.get_num_threads(), threadpool_limits(threads)

        def restore() -> None:
            limits.restore_original_limits()
            torch.set_num_threads(before)  # last, because BLAS may share torch's OpenMP

        _process.entered(restore)
        torch.set_num_threads(threads)
        _here.is_limited = True

    def give_back() -> None:
        with _LOCK:
            _process.left(restore)
            _here.is_limited = was_limited

    return give_back


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, BLAS runs on one thread: for products so small that its threads would mostly wait for each other.

    The limit of before returns when the last of several callers is through. It costs microseconds and imports no torch.
    """
    with _LOCK:
        if not _blas.n_callers:
            _blas.restore = _controller().limit(limits=1, user_api="blas").restore_original_limits
            _process.entered(_blas.restore)
        _blas.n_callers += 1
    try:
        yield
    finally:
        with _LOCK:
            _blas.n_callers -= 1
            if not _blas.n_callers:
                _process.left(_blas.restore)


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # looks for the loaded libraries, which takes ten milliseconds

    return ThreadpoolController()


class _Here(threading.local):
    """What a thread knows of itself."""

    is_limited = False


@dataclass
class _Process:
    """What its threads share: how many limits there are, and what brings back the numbers before the first of them."""

    n_limits: int = 0
    restore: Callable[[], None] = lambda: None

    def entered(self, restore: Callable[[], None]) -> None:
        """One limit more, which ``restore`` takes away; the first one's brings back the process's own numbers."""
        if not self.n_limits:
            self.restore = restore
        self.n_limits += 1

    def left(self, restore: Callable[[], None]) -> None:
        """One limit less; whoever leaves last brings back the process's own numbers."""
        restore()
        self.n_limits -= 1
        if not self.n_limits:
            self.restore()


@dataclass
class _Blas:
    """How many callers want it on one thread, and what gives back its limit of before."""

    n_callers: int = 0
    restore: Callable[[], None] = lambda: None


_LOCK, _here, _process, _blas = threading.Lock(), _Here(), _Process(), _Blas()


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _idle_seconds(cores: set[int]) -> float | None:
    """How long these cores have been idle, or waiting for a disk, since the machine started; together."""
    ticks = 0
    try:
        for line in (_PROC / "stat").read_text().splitlines():
            name, *times = line.split()
            if name.removeprefix("cpu").isdecimal() and int(name.removeprefix("cpu")) in cores:
                ticks += int(times[3]) + int(times[4])
        return ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _quotas() -> list[int]:
    """Whole cores' time that each control group which this process is in allows, where one does."""
    found = []
    with suppress(OSError):
        for line in (_PROC / "self" / "cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                place = Path(group.lstrip("/"))
                found += [_quota(folder, version_2=not controllers) for folder in (place, *place.parents)]
    return [max(1, int(quota)) for quota in found if quota is not None]


def _quota(group: Path, *, version_2: bool) -> float | None:
    """Cores' time that one control group allows; None where it sets no limit, or does not say."""
    with suppress(OSError, ValueError):
        if version_2:
            allowed, period = (_CGROUP / group / "cpu.max").read_text().split()
        else:
            folder = _CGROUP / "cpu" / group
            allowed, period = (folder / "cpu.cfs_quota_us").read_text(), (folder / "cpu.cfs_period_us").read_text()
        return float(allowed) / float(period) if float(allowed) > 0 else None  # "max" is no number, -1 no limit
    return None

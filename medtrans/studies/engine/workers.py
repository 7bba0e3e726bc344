"""Where the pieces of a study run: processes or threads of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from medtrans.config import ExecutorSettings
from medtrans.errors import ConfigError, StudyError, one_line
from medtrans.threads import choose_threads, limit_threads, usable_cores

Result = TypeVar("Result")


class Workers(Protocol):
    """What a study needs to know of the place where its pieces run."""

    @property
    def count(self) -> int:
        """How many pieces are at work at the same time; may change while the study runs."""

    def open(self) -> Executor:
        """A fresh executor for the pieces of one worker, which come one at a time; called again after it broke."""

    def submit(self, executor: Executor, piece: Callable[[], Result], *, needs_gpu: bool) -> Future[Result]:
        """Hand a piece to an executor that `open` gave."""

    def end(self, executor: Executor) -> None:
        """End an executor without waiting for the piece at work."""

    def close(self) -> None:
        """Let go of what these workers opened themselves."""


class LocalProcesses:
    """Processes of this machine, each an executor of its own: one that is killed takes no other's piece along.

    They end when the study does, also when it is killed.

    Args:
        count: of processes; None: as many as the cores allow.
        threads: of each process.
    """

    def __init__(self, count: int | None = None, threads: int = 1) -> None:
        self.count = count or max(1, usable_cores() // threads)
        self._threads = threads

    def open(self) -> Executor:
        """Start a process. It is new, not a fork: forks of a process that ran torch's threads may hang."""
        return _LeashedProcess(self._threads)

    def submit(self, executor: Executor, piece: Callable[[], Result], *, needs_gpu: bool) -> Future[Result]:
        """Any process may use the machine's GPU."""
        return executor.submit(piece)

    def end(self, executor: Executor) -> None:
        """Kill the process, whatever it does."""
        executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Nothing is left open."""


class LocalThreads:
    """Threads of this process, for machines that allow no others; each limits torch and BLAS like a process of its own.

    Args:
        count: of threads that run pieces; None: as many as the cores allow.
        threads: of torch and BLAS, for each of them.
    """

    def __init__(self, count: int | None = None, threads: int = 1) -> None:
        self.count = count or max(1, usable_cores() // threads)
        self._threads = threads
        self._give_back: Callable[[], None] | None = None

    def open(self) -> Executor:
        """Start a thread. Modules are loaded before: threads that import at the same time may see half of one."""
        import medtrans.studies.engine.work  # noqa: F401

        if self._give_back is None:
            self._give_back = limit_threads(self._threads)
        return ThreadPoolExecutor(1)

    def submit(self, executor: Executor, piece: Callable[[], Result], *, needs_gpu: bool) -> Future[Result]:
        """Any thread may use the machine's GPU."""
        return executor.submit(_with_threads, self._threads, piece)

    def end(self, executor: Executor) -> None:
        """Begin nothing more; a thread cannot be killed, so Python waits for its piece before it ends."""
        executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Give torch and BLAS their own numbers of threads back."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None


class DaskWorkers:
    """The workers of a Dask cluster. Pieces that need a GPU ask for one unit of the resource ``GPU``.

    Dask itself runs a piece again whose worker died, and gives up after ``distributed.scheduler.allowed-failures``.

    Args:
        cluster: the scheduler's address, or a ``distributed.Client`` of the caller's, which stays open.
        count: pieces handed to the cluster at a time; None: as many as its workers have threads at that moment. Give it
            for a cluster that grows with what is waiting.

    Raises:
        StudyError: Dask is not installed, or the scheduler does not answer.
    """

    def __init__(self, cluster: Any, count: int | None = None) -> None:
        self._owned = isinstance(cluster, str)
        self._client = _connect(cluster) if self._owned else cluster
        self._count = count

    @property
    def count(self) -> int:
        """Pieces handed to the cluster at a time; one while it has no workers yet."""
        return self._count or max(1, sum(self._client.nthreads().values()))

    def open(self) -> Executor:
        """The cluster as an executor. Equal pieces are different tasks to it: one that is run again really is."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def submit(self, executor: Executor, piece: Callable[[], Result], *, needs_gpu: bool) -> Future[Result]:
        """Let the scheduler choose a worker, among those with a GPU if need be."""
        if needs_gpu:
            return executor.submit(piece, resources={"GPU": 1})  # type: ignore[call-arg]  # Dask's, not the piece's
        return executor.submit(piece)

    def end(self, executor: Executor) -> None:
        """Take back what waits; what is at work ends on its worker and is forgotten."""
        executor.shutdown(wait=False)

    def close(self) -> None:
        """Leave the cluster, if only its address was given."""
        if self._owned:
            self._client.close()


def workers_for(settings: ExecutorSettings) -> Workers:
    """The workers that a study's configuration names.

    Raises:
        ConfigError: ``dask`` without an address, or more threads than there are usable cores.
        StudyError: Dask is not installed, or the scheduler does not answer.
    """
    if settings.kind == "dask":
        if not settings.address:
            raise ConfigError("key 'executor.address' is missing; name the Dask scheduler, such as tcp://10.0.0.1:8786")
        return DaskWorkers(settings.address, settings.workers)
    local = LocalProcesses if settings.kind == "local" else LocalThreads
    return local(settings.workers, choose_threads(settings.threads))


class _LeashedProcess(ProcessPoolExecutor):
    """One process on a leash: a pipe whose other end only its owner holds, so that they end together."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        held, self._leash = context.Pipe(duplex=False)
        super().__init__(1, mp_context=context, initializer=_prepare_process, initargs=(threads, held))
        with _environment("OMP_NUM_THREADS", str(threads)):  # BLAS reads it once, when it is loaded
            self.submit(os.getpid)  # starts the process

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not wait:
            self._leash.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _prepare_process(threads: int, leash: Connection) -> None:
    threading.Thread(target=_end_with, args=(leash,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the owner decides
    warnings.simplefilter("ignore")  # they would cross the progress display; results say what was left out
    limit_threads(threads)


def _with_threads(threads: int, piece: Callable[[], Result]) -> Result:
    give_back = limit_threads(threads)
    try:
        return piece()
    finally:
        give_back()


def _end_with(leash: Connection) -> None:
    leash.poll(None)  # until the other end is closed, by its owner or by the owner's death
    os._exit(1)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


CONNECT_SECONDS = 5.0


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise StudyError('Dask is not installed; pip install "medtrans[dask]"') from error
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # a server of another kind leads to anything
        detail = one_line(error)
        raise StudyError(
            f"no Dask scheduler answers at {address} ({detail}); start one with `dask scheduler`, or correct "
            "the address"
        ) from error

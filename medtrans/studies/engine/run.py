"""Run a study: hand its pieces to workers, and keep what they find as it arrives."""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from medtrans.config import StudyJob
from medtrans.errors import MedtransError, StudyError, one_line
from medtrans.studies.engine.judged import judged_people, labelled_people
from medtrans.studies.engine.overlap import warn_of_overlap
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.progress import StudyProgress, Tally, finished, needs_missing
from medtrans.studies.engine.store import Store
from medtrans.studies.engine.workers import Workers, workers_for
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results

MOST_DEATHS = 3
"""How many workers a piece may take with it before it is given up."""

REPORT_SECONDS = 0.5
"""Progress is told at most this often."""

Work = Callable[[StudyJob, Piece], Outcome]


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        done: pieces that it finished.
        kept: pieces that were finished before.
        failed: error by key of the pieces that it tried in vain; the next run tries them again.
        blocked: pieces that it did not try, because a source could not be trained.
        seconds: that it took.
    """

    done: int
    kept: int
    failed: Mapping[str, str]
    blocked: int
    seconds: float

    def require_all(self, advice: str = "run it again to try them again") -> None:
        """Raise StudyError where pieces failed; ``advice`` says what to do."""
        if self.failed:
            key, error = next(iter(self.failed.items()))
            total = self.done + self.kept + len(self.failed) + self.blocked
            raise StudyError(f"{len(self.failed)} of {total} pieces failed, first: {key}: {error}; {advice}")


def run_study(
    job: StudyJob,
    *,
    workers: Workers | None = None,
    progress: Callable[[StudyProgress], None] | None = None,
    work: Work | None = None,
) -> Summary:
    """Do what is left of a study: train; filter, score and transfer; then fuse what these say.

    A piece that fails is recorded with its error, and the rest goes on. A piece whose worker dies is run again, when
    nothing else runs beside it. Killed at any moment, the study goes on with the next run; nothing finished is
    repeated. Scripts call this below ``if __name__ == "__main__":``, because worker processes import them.

    Args:
        job: the study.
        workers: where its pieces run, such as ``DaskWorkers(client)``; None: as ``job.executor`` says.
        progress: called now and then, in this thread.
        work: what a piece does; None: `work.run_piece`.

    Raises:
        ConfigError: the study cannot be planned.
        StudyError: the store cannot be opened or written, or there are no workers.
    """
    start = time.perf_counter()
    waves = plan(job)
    warn_of_overlap(job)
    with ExitStack() as stack:
        if workers is None:
            workers = workers_for(job.executor)
            stack.callback(workers.close)
        store = stack.enter_context(Store.open(job.store_path, job))
        store.record_people("people", judged_people(job))
        store.record_people("labelled", labelled_people(job))
        tally = Tally(job, (piece for wave in waves for piece in wave))
        run = _Run(job, store, workers, tally, progress, work or _work)
        stack.callback(run.end)
        for wave in waves:
            run.wave(wave)
        fusions = plan_fusions(job, Results.read(store.path))
        run.tally.know_fusions(fusions)
        run.wave(fusions)
        return Summary(run.done, run.kept, run.failed, run.blocked, time.perf_counter() - start)


class _Run:
    """The workers and what each is at. Only this process, and this thread, writes to the store."""

    def __init__(
        self,
        job: StudyJob,
        store: Store,
        workers: Workers,
        tally: Tally,
        progress: Callable[[StudyProgress], None] | None,
        work: Work,
    ) -> None:
        self._job, self._store, self._workers, self._progress, self._work = job, store, workers, progress, work
        self._executors: dict[int, Executor] = {}  # by worker, from 1
        self._at_work: dict[Future[Outcome | _Failure], tuple[int, Piece, float]] = {}
        self._suspects: deque[Piece] = deque()  # their workers died; whether by their fault shows when they run alone
        self._deaths: Counter[Piece] = Counter()
        self._untrained: set[str] = set()
        self._told = 0.0
        self.tally = tally
        self.done = self.kept = self.blocked = 0
        self.failed: dict[str, str] = {}

    def wave(self, pieces: Iterable[Piece]) -> None:
        """Do those pieces that are not finished; return when all are."""
        to_do = deque(self._to_do(pieces))
        while to_do or self._suspects or self._at_work:
            while to_do and len(self._at_work) < self._workers.count:
                self._hand_out(to_do.popleft())
            if self._suspects and not self._at_work:
                self._hand_out(self._suspects.popleft())
            ended, _ = wait(self._at_work, REPORT_SECONDS, FIRST_COMPLETED)
            for future in ended:
                self._settle(future)
            self._tell(now=not (to_do or self._at_work))

    def end(self) -> None:
        """Let the workers go; what they are still at, after an error, is lost."""
        for executor in self._executors.values():
            self._workers.end(executor)

    def _to_do(self, pieces: Iterable[Piece]) -> Iterable[Piece]:
        seconds = finished(self._store)
        for piece in pieces:
            if piece.key in seconds:
                self.kept += 1
                self.tally.done(piece, seconds[piece.key])
            elif needs_missing(piece, self._untrained):
                self.blocked += 1
                self.tally.blocked(piece)
            else:
                yield piece

    def _hand_out(self, piece: Piece) -> None:
        busy = {worker for worker, _, _ in self._at_work.values()}
        worker = next(number for number in count(1) if number not in busy)
        task = partial(_attempt, self._work, self._job, piece)
        needs_gpu = self._job.device == "cuda" and piece.kind != "filter"
        self._store.start(worker, piece)
        try:
            future = self._workers.submit(self._executor(worker), task, needs_gpu=needs_gpu)
        except BrokenExecutor:  # it died while it was idle
            self._renew(worker)
            future = self._workers.submit(self._executor(worker), task, needs_gpu=needs_gpu)
        self._at_work[future] = worker, piece, time.perf_counter()

    def _executor(self, worker: int) -> Executor:
        if worker not in self._executors:
            self._executors[worker] = self._workers.open()
        return self._executors[worker]

    def _renew(self, worker: int) -> None:
        self._workers.end(self._executors.pop(worker))
        try:
            self._executor(worker).submit(os.getpid).result()
        except BrokenExecutor as error:
            raise StudyError(
                "workers die as soon as they start; see what they printed, and in a script of your own call run_study "
                "below `if __name__ == '__main__':`"
            ) from error

    def _settle(self, future: Future[Outcome | _Failure]) -> None:
        worker, piece, began = self._at_work.pop(future)
        try:
            result = future.result()
        except BrokenExecutor:
            self._renew(worker)
            self._suspect(piece, time.perf_counter() - began)
        except CancelledError as error:
            raise StudyError(f"the workers gave up '{piece.key}'; see whether they still run, then go on") from error
        except Exception as error:  # of the executor: a result that cannot be sent, a worker that Dask gave up
            self._fail(piece, _said(error), time.perf_counter() - began)
        else:
            if isinstance(result, _Failure):
                self._fail(piece, result.error, result.seconds)
            else:
                self._store.record(piece, result)
                self.tally.done(piece, result.seconds)
                self.done += 1
        self._store.stop(worker)

    def _suspect(self, piece: Piece, seconds: float) -> None:
        self._deaths[piece] += 1
        if self._deaths[piece] < MOST_DEATHS:
            self._suspects.append(piece)
        else:
            died = f"its worker died {MOST_DEATHS} times (killed by the system, perhaps for memory)"
            self._fail(piece, f"{died}; give it more memory, or fewer workers", seconds)

    def _fail(self, piece: Piece, error: str, seconds: float) -> None:
        self._store.record_failure(piece, error, seconds)
        self.tally.failed(piece, error)
        self.failed[piece.key] = error
        if piece.kind == "train":
            self._untrained.update(piece.sources)

    def _tell(self, *, now: bool) -> None:
        clock = time.perf_counter()
        if self._progress is None or not (now or clock - self._told >= REPORT_SECONDS):
            return
        self._told = clock
        running = sorted((worker, piece.key, clock - began) for worker, piece, began in self._at_work.values())
        self._progress(self.tally.progress(running, self._workers.count))


@dataclass(frozen=True)
class _Failure:
    """Why a piece found nothing: a text, because not every exception survives the way between processes."""

    error: str
    seconds: float


def _work(job: StudyJob, piece: Piece) -> Outcome:
    from medtrans.studies.engine.work import run_piece  # brings torch along, which only workers need

    return run_piece(job, piece)


def _attempt(work: Work, job: StudyJob, piece: Piece) -> Outcome | _Failure:
    start = time.perf_counter()
    try:
        return work(job, piece)
    except Exception as error:  # whatever a piece meets, the others go on
        return _Failure(_said(error), time.perf_counter() - start)


def _said(error: Exception) -> str:
    """One line; where it was raised too, if it is none of ours."""
    message = one_line(error)
    if isinstance(error, MedtransError):
        return message
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{where}"

"""``medtrans study``: run a study, look at it while it runs, and write what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from medtrans.cli.terminal import out
from medtrans.config import StudyJob, load_settings
from medtrans.errors import StudyError
from medtrans.studies.engine.progress import StudyProgress, look_at
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.results import Results

SHOWN_FAILURES = 20


def run_study_job(job: StudyJob, config: Path) -> None:
    """Run what is left of the study, then write its report.

    Raises:
        StudyError: the study cannot go on, or pieces failed after all others were done.
    """
    from medtrans.studies.engine.run import run_study

    with _shown() as progress:
        summary = run_study(job, progress=progress)
    done = f"{summary.done} pieces in {_clock(summary.seconds)}, {summary.kept} were finished before"
    blocked = f"; {summary.blocked} wait for sources that could not be trained" if summary.blocked else ""
    out.print(f"{job.store_path}: {done}{blocked}", markup=False)
    _write_report(job.store_path)
    if summary.failed:
        key, error = next(iter(summary.failed.items()))
        raise StudyError(
            f"{len(summary.failed)} of {summary.done + summary.kept + len(summary.failed) + summary.blocked} pieces "
            f"failed, first: {key}: {error}; see `medtrans study status {config}`; run again to try them again"
        )


def print_status(where: Path) -> None:
    """Print how far a study is; ``where`` is its configuration, its folder or its store."""
    path = store_path(where)
    with Store.read(path) as store:
        progress = look_at(store)
        is_running = store.is_running()
    out.print(f"{path}: {_state(progress, is_running)}", markup=False)
    out.print(_groups_table(progress))
    for worker, key, seconds in progress.running:
        out.print(f"worker {worker}: {key}, for {_clock(seconds)}", markup=False)
    for key, error in list(progress.failures.items())[:SHOWN_FAILURES]:
        out.print(f"failed: {key}: {error}", markup=False)
    if len(progress.failures) > SHOWN_FAILURES:
        out.print(f"and {len(progress.failures) - SHOWN_FAILURES} more")


def report_study(where: Path) -> None:
    """Write the report of what a study found so far."""
    _write_report(store_path(where))


def store_path(where: Path) -> Path:
    """The store of a study that is named by its configuration, its folder or its store."""
    if where.suffix in (".yaml", ".yml"):
        return load_settings(where, StudyJob).store_path
    return where / "study.sqlite" if where.suffix != ".sqlite" else where


def _write_report(path: Path) -> None:
    from medtrans.report.study.page import write_study_report

    for written in write_study_report(Results.read(path), path.parent):
        out.print(f"wrote {written}", markup=False)


def _state(progress: StudyProgress, is_running: bool) -> str:
    if not is_running:
        return f"not running, {progress.left} pieces left" if progress.left else "not running, nothing left to do"
    return f"running, {_time_left(progress)}"


def _time_left(progress: StudyProgress) -> str:
    if progress.seconds_left is None:
        return "time left unknown yet"
    return f"{'at least ' * progress.at_least}{_clock(progress.seconds_left)} left"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock(75.4)
    '0:01:15'
    """
    return str(timedelta(seconds=round(seconds)))


def _groups_table(progress: StudyProgress) -> Table:
    table = Table("pieces", *(Column(name, justify="right") for name in ("total", "done", "failed", "blocked", "left")))
    for group in progress.groups:
        total = f"{'at most ' * group.at_most}{group.total}"
        table.add_row(group.group, total, *map(str, (group.done, group.failed, group.blocked, group.left)))
    return table


@contextmanager
def _shown() -> Iterator[Callable[[StudyProgress], None]]:
    """Show progress on stderr: a bar and a line a worker on a terminal, elsewhere a line for what is worth one."""
    console = Console(stderr=True, highlight=False)
    log = _Log(console)
    if not console.is_terminal:
        yield log
        return
    with Live(console=console, transient=True) as live:

        def show(progress: StudyProgress) -> None:
            log(progress)
            live.update(_live(progress))

        yield show


class _Log:
    """Prints each group of pieces when it is finished, and each failure."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def __call__(self, progress: StudyProgress) -> None:
        for key, error in progress.failures.items():
            self._tell(key, f"failed: {key}: {error}")
        for group in progress.groups:
            if not group.left and not group.at_most:
                self._tell(group.group, f"{group.group}: {group.done} of {group.total} done")

    def _tell(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._console.print(text, markup=False, soft_wrap=True)


def _live(progress: StudyProgress) -> RenderableType:
    bar = Table.grid(padding=(0, 1))
    finished = progress.total - progress.left
    at_most = "at most " if any(group.at_most for group in progress.groups) else ""
    bar.add_row(
        ProgressBar(progress.total, finished, width=30),
        f"{finished}/{at_most}{progress.total}",
        _time_left(progress),
    )
    workers = Table.grid(padding=(0, 1))
    for worker, key, seconds in progress.running:
        workers.add_row(
            Text(str(worker), justify="right"), _clock(seconds), Text(key, overflow="ellipsis", no_wrap=True)
        )
    return Group(bar, workers)

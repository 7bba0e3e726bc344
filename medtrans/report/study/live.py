"""How far a study is, on a terminal while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from medtrans.studies.engine.progress import StudyProgress
from medtrans.studies.engine.run import Summary


def what_was_done(summary: Summary) -> str:
    """What a run of a study did, in words."""
    done = f"{summary.done} pieces in {clock(summary.seconds)}, {summary.kept} were finished before"
    blocked = f"; {summary.blocked} wait for sources that could not be trained" if summary.blocked else ""
    return done + blocked


def time_left(progress: StudyProgress) -> str:
    """How long the rest takes, in words."""
    if progress.seconds_left is None:
        return "time left unknown yet"
    return f"{'at least ' * progress.at_least}{clock(progress.seconds_left)} left"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> clock(75.4)
    '0:01:15'
    """
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def shown() -> Iterator[Callable[[StudyProgress], None]]:
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
        time_left(progress),
    )
    workers = Table.grid(padding=(0, 1))
    for worker, key, seconds in progress.running:
        workers.add_row(
            Text(str(worker), justify="right"), clock(seconds), Text(key, overflow="ellipsis", no_wrap=True)
        )
    return Group(bar, workers)

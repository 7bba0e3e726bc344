"""``medtrans study``: run a study, look at it while it runs, and write what it found."""

from __future__ import annotations

from pathlib import Path

from rich.table import Column, Table

from medtrans.cli.terminal import out
from medtrans.config import StudyJob, load_settings
from medtrans.report.study.live import clock, shown, time_left, what_was_done
from medtrans.studies.engine.progress import StudyProgress, look_at
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.results import Results

SHOWN_FAILURES = 20


def run_study_job(job: StudyJob, config: Path) -> None:
    """Run what is left of the study, then write its report.

    Raises:
        StudyError: the study cannot go on, or pieces failed after all others were done.
    """
    from medtrans.selection import read_expectation
    from medtrans.studies.engine.run import run_study

    if job.expectation is not None:
        read_expectation(job.expectation)  # the report needs it: refused before the work, not after it
    with shown() as progress:
        summary = run_study(job, progress=progress)
    out.print(f"{job.store_path}: {what_was_done(summary)}", markup=False)
    _write_report(job.store_path)
    summary.require_all(f"see `medtrans study status {config}`; run again to try them again")


def print_status(where: Path) -> None:
    """Print how far a study is; ``where`` is its configuration, its folder or its store."""
    path = store_path(where)
    with Store.read(path) as store:
        progress = look_at(store)
        is_running = store.is_running()
    out.print(f"{path}: {_state(progress, is_running)}", markup=False)
    out.print(_groups_table(progress))
    for worker, key, seconds in progress.running:
        out.print(f"worker {worker}: {key}, for {clock(seconds)}", markup=False)
    for key, error in list(progress.failures.items())[:SHOWN_FAILURES]:
        out.print(f"failed: {key}: {error}", markup=False)
    if len(progress.failures) > SHOWN_FAILURES:
        out.print(f"and {len(progress.failures) - SHOWN_FAILURES} more")


def report_study(where: Path) -> None:
    """Write the report of what a study found so far."""
    _write_report(store_path(where))


def fit_studies(studies: list[Path], output: Path) -> None:
    """Fit the expected accuracy to studies, write it, and print how well it does on structures that it has not seen.

    Raises:
        StudyError: a study cannot be read, or cannot be fitted.
    """
    from medtrans.report.files import write_texts
    from medtrans.selection.expectation import LEVEL
    from medtrans.studies.findings.expectation import fit_expectation

    found = fit_expectation([Results.read(store_path(study)) for study in studies])
    write_texts({output: found.model_dump_json(indent=2) + "\n"})
    people = "?" if found.n_people is None else str(found.n_people)
    names = ("targets", "people", "Spearman", "regret", "error", "level", "coverage")
    table = Table("mode", *(Column(name, justify="right") for name in names))
    for fit in found.fits:
        told = (fit.spearman, fit.regret, fit.error, fit.level_error)
        table.add_row(fit.mode, str(fit.n_targets), people, *(f"{it:.3f}" for it in told), f"{fit.coverage:.0%}")
    out.print(table)
    fit = found.fits[0]
    out.print(f"With {fit.left_out} left out of the fit in turn ({fit.n_clusters}); the interval is a {LEVEL:.0%} one.")
    out.print(f"wrote {output}", markup=False)


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
    return f"running, {time_left(progress)}"


def _groups_table(progress: StudyProgress) -> Table:
    table = Table("pieces", *(Column(name, justify="right") for name in ("total", "done", "failed", "blocked", "left")))
    for group in progress.groups:
        total = f"{'at most ' * group.at_most}{group.total}"
        table.add_row(group.group, total, *map(str, (group.done, group.failed, group.blocked, group.left)))
    return table

"""The command line. Errors that a user can meet are one line on stderr, and exit status 2.

Commands import what they need when they run: ``medtrans --help`` does not wait for torch.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from medtrans import __version__
from medtrans.errors import MedtransError, MedtransWarning


class _Interrupted(Exception):  # noqa: N818
    """Ctrl-C, under a name that typer does not swallow: its own versions say "Aborted!", or nothing."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _Interrupted from interrupt


app = typer.Typer(
    cls=_Commands,
    help="Which trained segmentation model should a new task be transferred from?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
pool_app = typer.Typer(help="Look into a pool of sources.", no_args_is_help=True)
app.add_typer(pool_app, name="pool")
study_app = typer.Typer(help="What transfer really gives, against what the metrics said.", no_args_is_help=True)
app.add_typer(study_app, name="study")

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, see configs/.")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", help="Threads of torch and BLAS; if left out, as many as cores are free.")
]
AnyStudy = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's configuration, or its output folder.")]


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the scans, the pool and the report.")] = Path("runs/demo"),
    threads: Threads = None,
) -> None:
    """Simulate scans, train a small pool, rank it for a new task, and check the first pick against the last."""
    from medtrans.cli.demo import run_demo

    run_demo(output, threads)


@app.command()
def train(config: ConfigPath, threads: Threads = None) -> None:
    """Train the sources a configuration names, into a pool. Killed, it resumes where it stopped."""
    from medtrans.cli.train import run_train_job
    from medtrans.config import TrainJob, load_settings

    run_train_job(load_settings(config, TrainJob), threads)


@app.command()
def rank(config: ConfigPath, threads: Threads = None) -> None:
    """Rank a pool's sources for a target; writes ranking.csv, ranking.json and ranking.html."""
    from medtrans.cli.rank import run_rank_job
    from medtrans.config import RankJob, load_settings

    run_rank_job(load_settings(config, RankJob), threads)


@pool_app.command("ls")
def pool_ls(root: Annotated[Path, typer.Argument(metavar="POOL", help="The pool's folder.")]) -> None:
    """List the sources of a pool, and what in it cannot be loaded."""
    from medtrans.cli.tables import print_pool

    print_pool(root)


@study_app.command("run")
def study_run(config: ConfigPath) -> None:
    """Train, score, transfer and fuse; writes the report. Killed or run again, it repeats nothing that is finished."""
    from medtrans.cli.study import run_study_job
    from medtrans.config import StudyJob, load_settings

    run_study_job(load_settings(config, StudyJob), config)


@study_app.command("status")
def study_status(study: AnyStudy) -> None:
    """Show how far a study is, also while it runs in another terminal."""
    from medtrans.cli.study import print_status

    print_status(study)


@study_app.command("report")
def study_report(study: AnyStudy) -> None:
    """Write the report of what a study found so far."""
    from medtrans.cli.study import report_study

    report_study(study)


@study_app.command("fit")
def study_fit(
    studies: Annotated[list[Path], typer.Argument(help="Configurations, folders or stores of studies.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON file to write.")] = Path("expected.json"),
) -> None:
    """Fit the expected accuracy to finished studies, for `expectation` of a ranking."""
    from medtrans.cli.study import fit_studies

    fit_studies(studies, output)


@app.command()
def metrics() -> None:
    """List the metrics: what each needs, its range, its cost, its paper."""
    from medtrans.cli.tables import print_metrics

    print_metrics()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"medtrans {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


def main() -> None:
    """Run the command line; the entry point of ``medtrans``."""
    # Threads that wait for each other sleep: others may begin to work on this machine after the number was chosen.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with warnings.catch_warnings():
        warnings.simplefilter("always", MedtransWarning)
        warnings.showwarning = _show_warning
        try:
            app()
        except MedtransError as error:
            _say(str(error))
            sys.exit(2)
        except OSError as error:  # of a file that no room below reads or writes under its own words
            where = f"{error.filename}: " if error.filename else ""
            _say(f"{where}{error.strerror or error}; check the path, its permissions and the space on the disk")
            sys.exit(2)
        except MemoryError:
            _say("out of memory; choose fewer cases, a coarser spacing_mm, a smaller size or fewer pixels")
            sys.exit(2)
        except (KeyboardInterrupt, _Interrupted):
            _say("interrupted; run the same command again to go on")
            sys.exit(130)


def _say(text: str) -> None:
    """Print one line on stderr, whatever line breaks and control characters a file's name brings along."""
    print("medtrans:", "".join(letter if letter.isprintable() else " " for letter in text), file=sys.stderr)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print ours in one line, and leave out what libraries say to programmers."""
    if issubclass(category, MedtransWarning):
        _say(f"warning: {message}")

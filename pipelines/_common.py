"""What the scripts share: running a study, reading a finished one, Markdown tables, and one kind of figure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import medtrans as mt
from medtrans.config import StudyJob
from medtrans.report.study.live import shown, what_was_done
from medtrans.report.study.page import write_study_report
from medtrans.report.study.text import MODE_NAMES
from medtrans.studies.findings.relations import by_relation
from medtrans.studies.findings.results import Results
from medtrans.tasks import TaskName
from medtrans.tasks.relations import Relation

DEFAULT_STUDY = Path("runs/study-open-ms")  # the output of configs/study_open_ms.yaml


@dataclass(frozen=True)
class Study:
    """The results of a study, and the folder in which its figures are kept."""

    results: Results
    figures: Path

    def save(self, figure: Figure, name: str) -> None:
        """Write the figure as ``<study>/figures/<name>.png`` and print its path on stderr."""
        self.figures.mkdir(parents=True, exist_ok=True)
        path = self.figures / f"{name}.png"
        figure.savefig(path, dpi=150)
        print(path, file=sys.stderr)


def run_study(job: Callable[[], StudyJob]) -> None:
    """Run what is left of a study and write its report; an error ends the script with one line."""
    try:
        study = job()
        with shown() as progress:
            summary = mt.study(study, progress=progress)
        print(f"{study.store_path}: {what_was_done(summary)}")
        for path in write_study_report(Results.read(study.store_path), study.output):
            print(f"wrote {path}")
        summary.require_all()
    except mt.MedtransError as error:
        sys.exit(str(error))


def read_study(purpose: str | None) -> Study:
    """The study whose folder the command line names; a study that cannot be read ends the script with one line."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", type=Path, default=DEFAULT_STUDY, help="its folder (%(default)s)")
    folder = parser.parse_args().study
    try:
        return Study(Results.read(folder / "study.sqlite"), folder / "figures")
    except mt.MedtransError as error:
        sys.exit(str(error))


def markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """A table with its index as the first column; what is missing is a dash."""

    def row(cells: Sequence[object]) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    def cell(value: object) -> str:
        if pd.isna(value):
            return "-"
        return f"{value:.{digits}f}" if isinstance(value, float) else str(value)

    head = row([table.index.name or "", *table.columns])
    rule = "|" + "---|" * (1 + len(table.columns))
    return "\n".join([head, rule, *(row([name, *map(cell, line)]) for name, *line in table.itertuples())])


def compare_sources(study: Study, name: str, relate: Relation, groups: Sequence[str]) -> None:
    """For every target, the mean accuracy of the sources of each group, as a table and as dots; one panel a mode.

    The mean is over the targets that have sources of all groups; how often the first group beats the second is said.
    """
    results = study.results
    figure = Figure((2 + 4.5 * len(results.modes), 2.0 + 0.25 * len(results.targets)), layout="constrained")
    for number, mode in enumerate(results.modes, start=1):
        table = by_relation(results.truth(mode), relate).reindex(columns=list(groups)).dropna(how="all")
        print(f"\n## {MODE_NAMES[mode]}\n")
        absent = [group for group in groups if table[group].isna().all()]
        if absent:
            print(f"No source of this study is '{absent[0]}' for any target: nothing to compare.")
            continue
        print(markdown(with_mean(table)), "\n")
        print(_wins(table, groups))
        panel = figure.add_subplot(1, len(results.modes), number)
        _dots(panel, table)
        panel.set_title(MODE_NAMES[mode])
        panel.set_xlabel(f"{results.measure_name} after transfer, mean over the sources")
    if figure.axes:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(groups))
        study.save(figure, name)


def with_mean(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a last row: the means over the rows that are complete, if there are any."""
    complete = table.dropna()
    if complete.empty:
        return table
    return pd.concat([table, complete.mean().rename(f"mean of {len(complete)}").to_frame().T]).rename_axis("target")


def structure(task: str) -> str:
    """The structure of a task's name."""
    return TaskName.parse(task).structure


def _wins(table: pd.DataFrame, groups: Sequence[str]) -> str:
    first, second, *_ = groups
    pairs = table[[first, second]].dropna()
    if pairs.empty:
        return f"No target has both '{first}' and '{second}' sources."
    ahead = int((pairs[first] > pairs[second]).sum())
    return f"'{first}' is ahead of '{second}' on {ahead} of {len(pairs)} targets."


def _dots(panel: Axes, table: pd.DataFrame) -> None:
    """One line a target, one dot a group."""
    places = range(len(table))
    panel.hlines(places, table.min(axis=1), table.max(axis=1), color="0.8", zorder=1)
    for group in table.columns:
        panel.scatter(table[group], places, label=group, zorder=2)
    panel.set_yticks(places, table.index)
    panel.invert_yaxis()

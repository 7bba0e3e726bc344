"""One HTML page that tells what a study found, and its tables as files; nothing is loaded from a network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from medtrans.csv_text import csv_text
from medtrans.report.files import write_texts
from medtrans.report.panels import TIMES, Cell, Panels, number, panels, same
from medtrans.report.study.figures import fusion_figure, heat_map, scatter, views
from medtrans.report.study.record import (
    configuration,
    dropped_by,
    duration_table,
    failure_table,
    fusion_table,
    missing_table,
    parts_table,
    people_table,
    scratch_table,
    unfinished,
)
from medtrans.report.study.tables import TOPS, filter_table, summary_table, target_table
from medtrans.report.study.text import MODE_NAMES, Findings, answer, count, headline
from medtrans.report.templates import page
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.engine.progress import states
from medtrans.studies.findings.ceiling import ceiling_table, repeatability_table
from medtrans.studies.findings.compare import agreement_table, summary
from medtrans.studies.findings.evidence import evidence_json
from medtrans.studies.findings.exports import export_csv, export_parquet
from medtrans.studies.findings.many_to_one import many_to_one_summary, many_to_one_table
from medtrans.studies.findings.people import Replicates
from medtrans.studies.findings.results import Results


def write_study_report(results: Results, folder: Path) -> list[Path]:
    """Write the page, the evidence for rankings and all tables; also of a study that is not complete.

    Tables are CSV files; those of the store also Parquet files, where pyarrow is installed.

    Args:
        results: of the study.
        folder: made if need be.

    Returns:
        Paths of the files, ``report.html`` first, then ``evidence.json``.

    Raises:
        MedtransError: a file cannot be written.
    """
    findings, fusions = find(results), many_to_one_table(results)
    tables = {
        "agreement": findings.agreements,
        "summary": findings.summaries,
        "repeatability": findings.repeatabilities,
        "ceilings": findings.ceilings,
        "many_to_one": fusions,
    }
    texts = {
        folder / "report.html": study_html(results, findings, many_to_one_summary(fusions, results.people)),
        folder / "evidence.json": evidence_json(results, findings.agreements, findings.without),
        **{folder / f"{name}.csv": csv_text(table) for name, table in tables.items()},
    }
    write_texts(texts)
    export_csv(results, folder)
    kinds = ["csv"]
    if find_spec("pyarrow"):
        export_parquet(results, folder)
        kinds.append("parquet")
    return [*texts, *(folder / f"{table}.{kind}" for kind in kinds for table in results.frames)]


def find(results: Results) -> Findings:
    """The tables that the page tells of."""
    agreements, repeatabilities = agreement_table(results), repeatability_table(results)
    without, truth_without = (Replicates.of(results, make) for make in (agreement_table, repeatability_table))
    summaries = summary(agreements, repeatabilities, results.people, without, truth_without)
    ceilings = ceiling_table(repeatabilities, results.people, truth_without)
    return Findings(agreements, summaries, repeatabilities, ceilings, without)


def study_html(results: Results, findings: Findings, fusions: pd.DataFrame) -> str:
    """The page as text; ``fusions`` is `many_to_one_summary`."""
    modes = {mode: MODE_NAMES[mode] for mode in results.modes}
    figures = _figures(results, findings, fusions, modes)
    return page(
        "study/study.html.j2",
        name=results.job.output.resolve().name,
        measure=results.measure_name,
        headline=headline(findings, results.modes),
        answers=[answer(results, findings, mode) for mode in modes],
        unfinished=unfinished(states(results)),
        facts=_facts(results, findings),
        target_names=results.targets,
        **_tables(results, findings, fusions, modes),
        heat=figures["heat"],
        scatter=figures["scatter"],
        figures=script_json({name: it.variants for name, it in figures.items()}),
        plotly=get_plotlyjs() if modes else "",
        began=f"{results.began[:19].replace('T', ' ')} UTC",
        versions=results.versions,
        seeds=results.job.seeds,
        configuration=configuration(results),
    )


def _tables(results: Results, findings: Findings, fusions: pd.DataFrame, modes: Mapping[str, str]) -> dict[str, Any]:
    mode, sampler = {"Transfer": modes}, {"Sampler": same(results.samplers)}
    every, used = {"Filter": same(results.filters)}, {"Filter": same(results.filters[1:])}
    return {
        "summaries": panels(lambda *of: summary_table(results, findings, *of), mode),
        "targets": panels(lambda *of: target_table(results, findings, *of), mode | sampler | every),
        "filters": panels(lambda *of: filter_table(results, findings, *of), mode | sampler | used | {"Places": TOPS}),
        "dropped": {name: dropped_by(results, name) for name in results.filters if name != NO_FILTER},
        "fusions": panels(lambda *of: fusion_table(results, fusions, *of), mode if len(fusions) else {"Transfer": {}}),
        "scratch": scratch_table(results),
        "people": people_table(results),
        "failures": failure_table(results),
        "missing": missing_table(results),
        "durations": duration_table(results),
        "parts": parts_table(results),
    }


def _facts(results: Results, findings: Findings) -> list[Cell]:
    sources, targets, seeds = len(results.sources), len(results.targets), len(results.job.seeds)
    facts = [Cell(f"{sources} {TIMES} {targets}", small=f"sources {TIMES} targets, {count(seeds, 'seed')}")]
    for mode in results.modes:
        best, ceiling = findings.best(mode), findings.ceiling(mode)["ceiling"]
        if best is not None:
            unknown = np.isnan(ceiling)
            reached = number(best["spearman"]) + ("" if unknown else f" of {number(ceiling)}")
            what = f"Spearman of {best['metric']}, {'ceiling unknown' if unknown else 'and its ceiling'}"
            facts.append(Cell(reached, small=f"{what}; {MODE_NAMES[mode]}"))
            gain = number(best["gain_first"], 3, signed=True)
            over = f"{results.measure_name}, its first pick over a random one"
            facts.append(Cell(gain, small=f"{over}; {MODE_NAMES[mode]}"))
    return facts


def _figures(
    results: Results, findings: Findings, fusions: pd.DataFrame, modes: Mapping[str, str]
) -> dict[str, Panels[go.Figure]]:
    mode, ways = {"Transfer": modes}, {"Metric": same(results.metrics), "Sampler": same(results.samplers)}
    return {
        "heat": panels(lambda *of: heat_map(results, *of), mode | {"Show": views(results)}),
        "scatter": panels(lambda *of: scatter(results, findings, *of), mode | ways),
        "fusions": panels(lambda *of: fusion_figure(results, fusions, *of), mode if len(fusions) else {"Transfer": {}}),
    }


def script_json(values: Any) -> str:
    r"""JSON that can stand in a script element: no text in it can end the element, whatever the version of plotly.

    >>> "<" in script_json({"name": "</script>"})
    False
    """
    return str(to_json_plotly(values)).replace("<", r"\u003c")

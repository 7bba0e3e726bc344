"""Tables of a study's page: how well each metric ranks, over all targets and for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtrans.report.panels import (
    MINUS,
    NONE,
    Cell,
    Head,
    Row,
    Table,
    interval,
    name_cell,
    number,
    number_cell,
    percent,
    text_head,
    with_best,
)
from medtrans.report.study.text import Findings, count
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.baselines import BASELINES
from medtrans.studies.findings.ceiling import FAILED, FEWEST
from medtrans.studies.findings.compare import LEADS
from medtrans.studies.findings.results import Results

TOPS = {"footrule": "all", **{f"footrule_{k}": f"Top {k}" for k in range(1, 5)}}
"""How many first picks a footrule looks at, by its name."""


@dataclass(frozen=True)
class _Measure:
    column: str
    label: str
    meaning: str
    group: str
    places: int = 2
    higher: bool = True
    share: bool = False


_CORRELATION, _FOOTRULE, _FIRST = "Correlation with the truth ↑", "Footrule ↓", "First pick"
_MEASURES = (
    _Measure("spearman", "Spearman", "1: the same order; 0: unrelated; below 0: rather the reverse", _CORRELATION),
    _Measure("share_of_ceiling", "of ceiling", "mean Spearman over the ceiling", _CORRELATION, share=True),
    _Measure("ahead", "above baseline", "Spearman minus that of the best baseline without label or run", _CORRELATION),
    _Measure("kendall", "Kendall", "pairs in order minus pairs out of order", _CORRELATION),
    _Measure("weighted_kendall", "weighted", "Kendall, the first places weigh more", _CORRELATION),
    *(
        _Measure(
            f"footrule_{k}", f"Top {k}", f"places by which the first {k} picks are off, summed", _FOOTRULE, 1, False
        )
        for k in range(1, 5)
    ),
    _Measure("footrule", "all", "places by which all sources are off, summed", _FOOTRULE, 1, False),
    _Measure("regret", "regret ↓", "{} of the best source minus that of the first pick", _FIRST, 3, False),
    _Measure("share_of_best", "of best ↑", "{} of the first pick over that of the best source", _FIRST, share=True),
    _Measure("gain_first", "gain ↑", "{} of the first pick minus the mean, which a random pick gives", _FIRST, 3),
    _Measure("pick_ahead", "above baseline", "{} of the first pick minus that of the best baseline's", _FIRST, 3),
)
_CEILINGS = {"spearman": "ceiling", "gain_first": "gain_of_best"}  # what can be reached, in `ceiling_table`


def summary_table(results: Results, findings: Findings, mode: str) -> Table:
    """Every way to rank, best first, and the ceiling among them."""
    ways = findings.summaries[findings.summaries["mode"] == mode]
    rows = [_summary_row(way) for _, way in ways.iterrows()]
    for column, measure in enumerate(_MEASURES, start=3):
        rows = with_best(rows, column, higher=measure.higher)
    rows.append(_ceiling_row(findings.ceiling(mode)))
    rows.sort(key=lambda row: -np.inf if row.cells[3].value is None else row.cells[3].value, reverse=True)
    heads = [text_head(name) for name in ("Metric", "Sampler", "Filter")]
    heads += [Head(it.label, it.meaning.format(results.measure_name), it.group, falling=it.higher) for it in _MEASURES]
    return Table(heads, rows, _summary_note(ways, findings.ceiling(mode)), sorted_by=3)


def _summary_row(way: pd.Series) -> Row:
    names = [name_cell(way[name]) for name in ("metric", "sampler", "filter")]
    kind = "baseline" if way["metric"] in BASELINES else ""
    return Row([*names, *(_measure_cell(way, measure) for measure in _MEASURES)], kind)


def _measure_cell(way: pd.Series, measure: _Measure) -> Cell:
    value, low, high = (way[f"{measure.column}{end}"] for end in ("", "_low", "_high"))
    if measure.share:
        ends = f"{number(100 * low, 0)}…{percent(high)}" if not np.isnan(low) else ""
        return Cell(percent(value), None if np.isnan(value) else float(value), ends)
    signed = measure.column in ("gain_first", *LEADS)
    return number_cell(value, measure.places, signed=signed, small=interval(low, high, measure.places))


def _ceiling_row(ceiling: pd.Series) -> Row:
    cells = [name_cell("ceiling"), Cell(""), Cell("")]
    for measure in _MEASURES:
        if name := _CEILINGS.get(measure.column):
            ends = interval(ceiling[f"{name}_low"], ceiling[f"{name}_high"], measure.places)
            cells.append(number_cell(ceiling[name], measure.places, signed=name == "gain_of_best", small=ends))
        else:
            cells.append(Cell(""))
    return Row(cells, "ceiling")


def _summary_note(ways: pd.DataFrame, ceiling: pd.Series) -> str:
    if np.isnan(ceiling["ceiling"]):
        told = ["The ceiling cannot be known: it takes two seeds in which three sources were transferred."]
    else:
        told = [
            "The ceiling is how well the same transfers with as many other seeds would rank the sources. A metric that "
            f"knew the truth without its noise would reach about {number(ceiling['attainable'])}."
        ]
    ways = ways[~ways["metric"].isin(BASELINES)]
    for (_, note), without in ways[ways["n_without"] > 0].groupby(["n_without", "note"], sort=False):
        targets = count(without["n_without"].iloc[0], "target")
        told.append(f"Left out{_for(without, ways)}: {targets} ({note}).")
    for why, without in ways[ways["no_interval"] != ""].groupby("no_interval", sort=False):
        told.append(f"No intervals{_for(without, ways)}: {why}.")
    return " ".join(told)


def _for(some: pd.DataFrame, ways: pd.DataFrame) -> str:
    """Which of the ways to rank, unless all."""
    names = (f"{way['metric']} ({way['sampler']}, {way['filter']})" for _, way in some.iterrows())
    return "" if len(some) == len(ways) else f" for {', '.join(names)}"


def target_table(results: Results, findings: Findings, mode: str, sampler: str, filter_name: str) -> Table:
    """For every target how far its truth can be trusted, and how well each metric ranks its sources."""
    metrics, measure = results.metrics, results.measure_name
    agreements = _of_way(findings.agreements, mode, sampler, filter_name).set_index(["target", "metric"])
    truths = findings.repeatabilities[findings.repeatabilities["mode"] == mode]
    rows = [_target_row(truth, agreements.loc[truth["target"]], metrics) for _, truth in truths.iterrows()]
    correlations = range(4, 4 + len(metrics))
    heads = [
        text_head("Target"),
        Head("Sources", "transferred in every seed", "The truth"),
        Head("Seeds agree", "mean Spearman correlation of two seeds; the ceiling follows from its mean", "The truth"),
        Head("Noise", f"standard deviation of the {measure} from seed to seed", "The truth"),
        *(Head(metric, "", "Spearman ↑") for metric in metrics),
        *(
            Head(metric, f"{measure} of the best source minus that of the first pick", "Regret ↓", falling=False)
            for metric in metrics
        ),
        text_head("What can be told"),
    ]
    return Table(heads, [_best_in_row(row, correlations) for row in rows])


def _target_row(truth: pd.Series, agreements: pd.DataFrame, metrics: Sequence[str]) -> Row:
    spearman, regret = agreements["spearman"].to_dict(), agreements["regret"].to_dict()
    return Row(
        [
            name_cell(truth["target"]),
            number_cell(truth["n_sources"], 0),
            number_cell(truth["between_seeds"]),
            number_cell(truth["noise"], 3),
            *(number_cell(spearman[metric]) for metric in metrics),
            *(number_cell(regret[metric], 3) for metric in metrics),
            _verdict(truth, agreements["note"]),
        ]
    )


def _verdict(truth: pd.Series, notes: pd.Series) -> Cell:
    """How far the truth goes, and why some metrics could not be judged by it."""
    verdict, _, rest = truth["verdict"].partition("; ")
    if truth["best"] < FAILED:
        return Cell(verdict, verdict, rest, "worse")
    if truth["n_like_best"] == truth["n_sources"] - 1:
        return Cell("differences smaller than the noise", verdict, truth["verdict"], "worse")
    if truth["n_sources"] >= FEWEST:
        rest = "; ".join([*([rest] if rest else []), *(f"{metric}: {note}" for metric, note in notes.items() if note)])
    return Cell(verdict, verdict, rest)


def _best_in_row(row: Row, columns: range) -> Row:
    """The highest of some cells marked, if there are several."""
    turned = with_best([Row([row.cells[column]]) for column in columns], 0)
    cells = [
        it.cells[0] if it.cells[0].mark == "best" else row.cells[column]
        for it, column in zip(turned, columns, strict=True)
    ]
    return Row([*row.cells[: columns.start], *cells, *row.cells[columns.stop :]])


def filter_table(
    results: Results, findings: Findings, mode: str, sampler: str, filter_name: str, footrule: str
) -> Table:
    """For every target what a filter dropped, and each metric's footrule without and with it."""
    without = _footrules(findings.agreements, mode, sampler, NO_FILTER, footrule)
    filtered = _footrules(findings.agreements, mode, sampler, filter_name, footrule)
    truth, kept = results.truth(mode).T, results.kept(filter_name).T
    rows = []
    for target in results.targets:
        accuracy = truth[target].dropna()
        dropped = accuracy.index[~kept[target][accuracy.index]]
        best = "" if accuracy.empty else str(accuracy.idxmax())
        effects = [_effect(without[metric][target], filtered[metric][target]) for metric in results.metrics]
        named = [name_cell(target), _dropped(len(dropped), len(accuracy)), _lost(best, best in dropped)]
        rows.append(Row([*named, *effects]))
    heads = [
        text_head("Target"),
        Head("Dropped", "of the sources that were transferred"),
        text_head("Best source", "whether the filter left the source that is truly best"),
        *(
            Head(metric, "without → with the filter", f"Footrule, {TOPS[footrule]} ↓", falling=False)
            for metric in results.metrics
        ),
    ]
    return Table(heads, rows, _mean_effect(without, filtered, results.metrics))


def _of_way(agreements: pd.DataFrame, mode: str, sampler: str, filter_name: str) -> pd.DataFrame:
    way = (agreements["mode"] == mode) & (agreements["sampler"] == sampler) & (agreements["filter"] == filter_name)
    return agreements[way]


def _footrules(agreements: pd.DataFrame, mode: str, sampler: str, filter_name: str, footrule: str) -> pd.DataFrame:
    return _of_way(agreements, mode, sampler, filter_name).pivot(index="target", columns="metric", values=footrule)


def _effect(without: float, filtered: float) -> Cell:
    change = filtered - without
    if np.isnan(change):
        return Cell(NONE)
    mark = "better" if change < 0 else "worse" if change > 0 else "faint"
    sign = f"{change:+g}".replace("-", MINUS) if change else "±0"
    return Cell(f"{without:g} → {filtered:g}", float(change), sign, mark)


def _dropped(n_dropped: int, n_sources: int) -> Cell:
    return Cell(f"{n_dropped} of {n_sources}", float(n_dropped), mark="" if n_dropped else "faint")


def _lost(best: str, lost: bool) -> Cell:
    if not best:
        return Cell(NONE)
    return Cell(
        "dropped" if lost else "kept", "dropped" if lost else "kept", best if lost else "", "worse" if lost else ""
    )


def _mean_effect(without: pd.DataFrame, filtered: pd.DataFrame, metrics: Sequence[str]) -> str:
    change = (filtered - without).mean()
    told = [
        f"{metric} {number(without[metric].mean(), 1)} → {number(filtered[metric].mean(), 1)}"
        for metric in metrics
        if not np.isnan(change[metric])
    ]
    return f"Mean over the targets: {', '.join(told)}." if told else ""

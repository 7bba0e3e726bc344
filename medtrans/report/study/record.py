"""Tables of a study's page beside the rankings: baselines, fusions, what failed or is missing, and how long it took."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import yaml

from medtrans.report.panels import NONE, Cell, Head, Row, Table, interval, name_cell, number_cell, text_head
from medtrans.report.study.text import MODE_NAMES, count
from medtrans.studies.engine.judged import shown_person
from medtrans.studies.findings.results import Results

_DOES = {  # what a piece of each kind does, in the order of the work
    "train": "train a source",
    "filter": "filter the sources for a target",
    "score": "score a source on a target",
    "transfer": "transfer a source to a target",
    "fuse": "transfer several sources together",
}


def scratch_table(results: Results) -> Table:
    """Training without a source against transfer, target by target; no rows without the baseline."""
    scratch, untrained = results.scratch(), results.untrained()
    truths = {mode: results.truth(mode).T for mode in results.modes}
    heads = [
        text_head("Target"),
        Head("From scratch", "a network trained on the target's labelled cases alone", results.measure_name),
    ]
    if len(untrained):
        heads.append(Head("Random weights", "a head trained on a network that learnt nothing", results.measure_name))
    for mode in truths:
        group = f"{results.measure_name}, {MODE_NAMES[mode]}"
        heads += [
            Head("mean source", "what a random pick gives", group),
            Head("best source", "the most a choice can give", group),
            Head("above scratch", "sources that are better than training from scratch", group),
        ]
    rows = []
    for target, baseline in scratch.items():
        cells = [name_cell(str(target)), number_cell(baseline, 3)]
        cells += [number_cell(untrained.get(target, np.nan), 3)] if len(untrained) else []
        for truth in truths.values():
            cells += _against(truth[target].dropna(), baseline)
        rows.append(Row(cells))
    return Table(heads, rows)


def people_table(results: Results) -> Table:
    """Who is labelled and who is judged on, one row for all targets that share both; no rows where it is not known."""
    who = {name: results.frames[name].groupby("target")["person"].agg(tuple) for name in ("labelled", "people")}
    groups: dict[tuple[str, str], list[str]] = {}
    for target in results.targets:
        if target in who["people"]:
            labelled, judged = (
                ", ".join(map(shown_person, who[name].get(target, ()))) for name in ("labelled", "people")
            )
            groups.setdefault((labelled or NONE, judged), []).append(target)
    rows = [
        Row([name_cell(", ".join(targets)), name_cell(labelled), name_cell(judged)])
        for (labelled, judged), targets in groups.items()
    ]
    return Table([text_head("Targets"), text_head("Labelled"), text_head("Judged on")], rows)


def _against(truth: pd.Series, baseline: float) -> list[Cell]:
    if truth.empty:
        return [Cell(NONE)] * 3
    above = int((truth > baseline).sum())
    return [
        number_cell(truth.mean(), 3),
        number_cell(truth.max(), 3, small=str(truth.idxmax())),
        Cell(f"{above} of {len(truth)}", above / len(truth)),
    ]


def fusion_table(results: Results, summary: pd.DataFrame, mode: str) -> Table:
    """What the second, the third ... source adds, by who chose them; means over targets."""
    rows = [
        Row(
            [
                name_cell(row["chooser"]),
                number_cell(row["k"], 0),
                number_cell(row["n_targets"], 0),
                number_cell(row["accuracy"], 3),
                *(_gained(row, name) if row["k"] > 1 else Cell(NONE) for name in ("gain", "step")),
            ]
        )
        for _, row in summary[summary["mode"] == mode].iterrows()
    ]
    heads = [
        text_head("Chosen by"),
        Head("Sources", falling=False),
        Head("Targets", "with all seeds"),
        Head(results.measure_name, "mean over the targets"),
        Head("More than the first alone", "with its 95 % interval over targets"),
        Head("More than with one fewer", "with its 95 % interval over targets"),
    ]
    reasons = dict.fromkeys(why for why in summary.loc[summary["mode"] == mode, "no_interval"] if why)
    return Table(heads, rows, " ".join(f"No intervals: {why}." for why in reasons))


def _gained(row: pd.Series, name: str) -> Cell:
    ends = interval(row[f"{name}_low"], row[f"{name}_high"], 3, signed=True)
    return number_cell(row[name], 3, signed=True, small=ends)


def dropped_by(results: Results, filter_name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """By target, the sources that a filter dropped and why."""
    candidates = results.frames["candidates"]
    dropped = candidates[(candidates["filter"] == filter_name) & ~candidates["kept"]]
    return [
        (target, list(zip(rows["source"], rows["reason"], strict=True)))
        for target in results.targets
        if len(rows := dropped[dropped["target"] == target])
    ]


def unfinished(state: Counter[str]) -> str:
    """What is missing of a study, in a sentence; empty for a complete one.

    >>> unfinished(Counter(done=1000, failed=2))
    'This study is not complete: of 1,002 pieces 2 failed. The page is about what is there.'
    """
    words = {
        "failed": "failed",
        "blocked": "wait for a source that could not be trained",
        "left": "are still to be done",
    }
    told = [f"{state[name]:,} {text}" for name, text in words.items() if state[name]]
    if not told:
        return ""
    pieces = count(state.total(), "piece")
    return f"This study is not complete: of {pieces} {', '.join(told)}. The page is about what is there."


def failure_table(results: Results) -> Table:
    """The pieces that were tried in vain, with their errors."""
    pieces = results.frames["pieces"]
    rows = [
        Row([name_cell(row["key"]), Cell(row["error"], row["error"]), number_cell(row["attempts"], 0)])
        for _, row in pieces[pieces["status"] == "failed"].iterrows()
    ]
    return Table([text_head("Piece"), text_head("Error"), Head("Attempts")], rows)


def missing_table(results: Results) -> Table:
    """Scores that cannot be had, by metric and reason."""
    reasons = results.frames["missing"].groupby(["metric", "reason"], sort=False)
    rows = []
    for (metric, reason), pairs in reasons:
        sources = ", ".join(sorted(set(pairs["source"])))
        pairs_of = len(pairs[["source", "target"]].drop_duplicates())
        rows.append(Row([name_cell(str(metric)), name_cell(str(reason)), name_cell(sources), number_cell(pairs_of, 0)]))
    return Table([text_head("Metric"), text_head("Why"), text_head("Sources"), Head("Pairs")], rows)


def duration_table(results: Results) -> Table:
    """Pieces and worker time by kind of work."""
    done = results.frames["pieces"].query("status == 'done'")
    rows = []
    for kind, name in _DOES.items():
        seconds = done.loc[done["kind"] == kind, "seconds"]
        if len(seconds):
            rows.append(
                Row(
                    [
                        name_cell(name),
                        number_cell(len(seconds), 0),
                        _time(seconds.sum()),
                        _time(seconds.median()),
                        _time(seconds.max()),
                    ]
                )
            )
    heads = [text_head("Work"), Head("Pieces"), Head("Time", "summed over workers")]
    return Table([*heads, Head("Median"), Head("Longest")], rows)


def parts_table(results: Results) -> Table:
    """Worker time by part of the work."""
    done = results.frames["pieces"].query("status == 'done'")
    seconds: Counter[str] = Counter()
    for parts in done["parts"]:
        seconds.update(json.loads(parts))
    total = sum(seconds.values())
    rows = [
        Row([name_cell(part), _time(spent), Cell(f"{100 * spent / total:.1f}%", spent / total)])
        for part, spent in seconds.most_common()
        if total > 0
    ]
    return Table(
        [text_head("Part"), Head("Time", "summed over workers"), Head("Share")],
        rows,
        sorted_by=1,
    )


def _time(seconds: float) -> Cell:
    return Cell(duration(seconds), float(seconds))


def duration(seconds: float) -> str:
    """Seconds for people, in two digits or more.

    >>> [duration(seconds) for seconds in (0.0123, 4.21, 75, 3725)]
    ['12 ms', '4.2 s', '1 min 15 s', '1 h 2 min']
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def configuration(results: Results) -> str:
    """The settings of the study as YAML, defaults included."""
    return yaml.safe_dump(results.job.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)

"""Figures of a study's page, drawn by plotly in the browser; names from elsewhere are escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.cluster.hierarchy import dendrogram

from medtrans.agreement import cluster_sources
from medtrans.report.panels import interval, number
from medtrans.report.study.text import Findings, count
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.fusions import RANDOM, TRUTH
from medtrans.studies.findings.results import Results

_INK, _MUTED, _LINE, _ACCENT = "#17202c", "#5c6878", "#e2e7ed", "#0a6c74"
_COLOURS = (
    "#0a6c74",
    "#d55e00",
    "#56b4e9",
    "#b07aa1",
    "#e69f00",
    "#0072b2",
    "#8594a6",
    "#009e73",
    "#cc79a7",
    "#6b4c2a",
)
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
_SEQUENTIAL = ((0, "#f6f8fa"), (0.5, "#86bfc0"), (1, "#0a4a52"))
_DIVERGING = ((0, "#a5552a"), (0.5, "#fbfaf8"), (1, "#0a6c74"))
_MOST_NUMBERED = 24  # targets side by side whose numbers can be read in the cells
_AXIS = {"gridcolor": _LINE, "linecolor": _LINE, "zeroline": False, "ticks": "", "automargin": True}


def views(results: Results) -> dict[str, str]:
    """What the heat map can show."""
    return {"accuracy": results.measure_name, "difference": f"{results.measure_name} minus the mean of the target"}


def heat_map(results: Results, mode: str, view: str) -> go.Figure:
    """Source x target, neighbours alike: both sides in the order of a hierarchical clustering, the sources' beside it.

    A pair that was not transferred counts as the target's mean in the clustering, and is left empty.
    """
    truth = results.truth(mode).T.dropna(axis=0, how="all").dropna(axis=1, how="all")
    tree = _tree(truth.fillna(truth.mean()))
    filled = truth.T.fillna(truth.mean(axis=1)) if len(truth) else truth.T
    truth = truth.iloc[tree["leaves"], _tree(filled)["leaves"]]
    shown = truth - truth.mean() if view == "difference" else truth
    figure = go.Figure(_cells(results, mode, truth, shown, view), _heat_map_layout(truth))
    for rows, heights in zip(tree["icoord"], tree["dcoord"], strict=True):
        places = [(row - 5) / 10 for row in rows]  # SciPy's leaves lie at 5, 15, 25 ...
        branch = {"x": heights, "y": places, "xaxis": "x2", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
        figure.add_scatter(**branch, line={"color": _MUTED, "width": 1.2})
    return figure


def _tree(table: pd.DataFrame) -> dict[str, Any]:
    """The rows clustered: their order in ``leaves``, and the lines of the tree."""
    if len(table) < 2 or not len(table.columns):
        return {"leaves": list(range(len(table))), "icoord": [], "dcoord": []}
    tree: dict[str, Any] = dendrogram(cluster_sources(table), no_plot=True)
    return tree


def _cells(results: Results, mode: str, truth: pd.DataFrame, shown: pd.DataFrame, view: str) -> go.Heatmap:
    signed = view == "difference"
    limit = float(np.nanmax(np.abs(shown.to_numpy()))) if signed and shown.size else None
    best = truth.eq(truth.max())
    text = [
        [_cell_text(value, bool(best.iat[i, j]), signed) for j, value in enumerate(row)]
        for i, row in enumerate(shown.to_numpy())
    ]
    return go.Heatmap(
        z=[[None if np.isnan(value) else round(value, 4) for value in row] for row in shown.to_numpy().tolist()],
        text=text if len(truth.columns) <= _MOST_NUMBERED else None,
        texttemplate="%{text}" if len(truth.columns) <= _MOST_NUMBERED else None,
        hovertext=_heat_map_hovers(results, mode, truth),
        hoverinfo="text",
        colorscale=_DIVERGING if signed else _SEQUENTIAL,
        zmin=None if limit is None else -limit,
        zmax=limit,
        xgap=1,
        ygap=1,
        textfont={"size": 11.5},
        colorbar={"thickness": 10, "outlinewidth": 0, "x": 1.01, "len": 0.9, "tickfont": {"color": _MUTED}},
    )


def _cell_text(value: float, best: bool, signed: bool) -> str:
    if np.isnan(value):
        return ""
    text = number(value, signed=signed).replace("0.", ".", 1)
    return f"<b>{text}</b>" if best else text


def _heat_map_hovers(results: Results, mode: str, truth: pd.DataFrame) -> list[list[str]]:
    seeds = [table.T.loc[truth.index, truth.columns].to_numpy() for table in results.truth_by_seed(mode).values()]
    places = truth.rank(ascending=False, method="min").to_numpy()
    values, behind, known = truth.to_numpy(), (truth.max() - truth).to_numpy(), truth.notna().sum().to_numpy()

    def hover(i: int, j: int) -> str:
        names = f"<b>{drawn(truth.index[i])}</b><br>to {drawn(truth.columns[j])}"
        if np.isnan(values[i, j]):
            return f"{names}<br>not transferred, or not with every seed"
        single = f" (seeds: {', '.join(number(seed[i, j], 3) for seed in seeds)})" if len(seeds) > 1 else ""
        rank = f"place {places[i, j]:.0f} of {known[j]}, {number(behind[i, j], 3)} below the best"
        return f"{names}<br>{results.measure_name} {number(values[i, j], 3)}{single}<br>{rank}"

    return [[hover(i, j) for j in range(truth.shape[1])] for i in range(truth.shape[0])]


def _heat_map_layout(truth: pd.DataFrame) -> dict[str, Any]:
    n_sources, n_targets = truth.shape
    names = {"tickmode": "array", "showgrid": False, "automargin": True, "ticks": "", "zeroline": False}
    return _layout(
        height=150 + 27 * n_sources,
        xaxis=names
        | {
            "tickvals": list(range(n_targets)),
            "ticktext": [drawn(name) for name in truth.columns],
            "tickangle": -40,
            "domain": [0, 0.9],
            "title": {"text": "target", "font": {"color": _MUTED}},
        },
        xaxis2={"domain": [0.905, 1], "visible": False},
        yaxis=names
        | {
            "tickvals": list(range(n_sources)),
            "ticktext": [drawn(name) for name in truth.index],
            "range": [n_sources - 0.5, -0.5],
            "title": {"text": "source", "font": {"color": _MUTED}},
        },
    )


def scatter(results: Results, findings: Findings, mode: str, metric: str, sampler: str) -> go.Figure:
    """Score against accuracy: one trace per target, in the order of the targets, with its correlation in ``meta``."""
    truth, scores = results.truth(mode).T, results.scores(sampler, metric).T
    agreements = findings.agreements
    rows = agreements[(agreements["mode"] == mode) & (agreements["sampler"] == sampler)]
    rows = rows[(rows["metric"] == metric) & (rows["filter"] == NO_FILTER)]
    figure = go.Figure(layout=_scatter_layout(metric, results.measure_name))
    for i, target in enumerate(results.targets):
        pairs = pd.DataFrame({"score": scores[target], "accuracy": truth[target]})
        without = int((pairs["accuracy"].notna() & pairs["score"].isna()).sum())
        pairs = pairs.dropna()
        figure.add_scatter(
            x=[float(f"{score:.6g}") for score in pairs["score"]],
            y=[round(accuracy, 4) for accuracy in pairs["accuracy"]],
            name=drawn(target),
            text=[drawn(source) for source in pairs.index],
            hovertext=_scatter_hovers(target, metric, results.measure_name, pairs),
            hoverinfo="text",
            mode="markers",
            textposition="top center",
            cliponaxis=False,
            marker={"color": _COLOURS[i % len(_COLOURS)], "symbol": _SYMBOLS[i // len(_COLOURS) % len(_SYMBOLS)]},
            meta=_correlation(target, rows[rows["target"] == target].iloc[0], without),
        )
    figure.layout.meta = _mean_correlation(findings.summaries, mode, sampler, metric)
    return figure


def _scatter_hovers(target: str, metric: str, measure: str, pairs: pd.DataFrame) -> list[str]:
    to = f"to {drawn(target)}<br>{drawn(metric)}"
    return [
        f"<b>{drawn(source)}</b><br>{to} {score:.4g}<br>{measure} {number(accuracy, 3)}"
        for source, score, accuracy in pairs.itertuples()
    ]


def _correlation(target: str, row: pd.Series, without: int) -> str:
    told = f"{target}: Spearman correlation {number(row['spearman'])} over {count(int(row['n_candidates']), 'source')}"
    told = f"{target}: {row['note']}" if row["note"] else told
    return f"{told}; {count(without, 'source')} without a score not shown" if without else told


def _mean_correlation(summaries: pd.DataFrame, mode: str, sampler: str, metric: str) -> str:
    ways = summaries[(summaries["mode"] == mode) & (summaries["sampler"] == sampler)]
    way = ways[(ways["metric"] == metric) & (ways["filter"] == NO_FILTER)].iloc[0]
    ends = interval(way["spearman_low"], way["spearman_high"])
    mean = f"{number(way['spearman'])}{f' [{ends}]' if ends else ''}"
    return f"Spearman correlation within a target: mean {mean} over {count(int(way['n_targets']), 'target')}"


def _scatter_layout(metric: str, measure: str) -> dict[str, Any]:
    return _layout(
        height=470,
        xaxis=_AXIS | {"title": {"text": f"score by {drawn(metric)}"}},
        yaxis=_AXIS | {"title": {"text": f"{measure} after transfer"}},
        legend={"font": {"size": 12}, "itemsizing": "constant"},
    )


def fusion_figure(results: Results, summary: pd.DataFrame, mode: str) -> go.Figure:
    """Mean accuracy of the k first sources together, by who chose them."""
    rows = summary[summary["mode"] == mode].dropna(subset=["accuracy"])
    choosers: Sequence[str] = list(dict.fromkeys(rows["chooser"]))
    largest = int(rows["k"].max()) if len(rows) else 1
    ticks = {"tickvals": list(range(1, largest + 1)), "range": [0.85, largest + 0.15]}
    layout = _layout(
        height=380,
        xaxis=_AXIS | ticks | {"title": {"text": "sources together, k"}},
        yaxis=_AXIS | {"title": {"text": f"{results.measure_name}, mean over the targets"}},
    )
    figure = go.Figure(layout=layout)
    for i, chooser in enumerate(choosers):
        own = rows[rows["chooser"] == chooser]
        colour = {TRUTH: _INK, RANDOM: "#8594a6"}.get(chooser, _COLOURS[i % len(_COLOURS)])
        figure.add_scatter(
            x=own["k"].tolist(),
            y=own["accuracy"].round(4).tolist(),
            name=f"chosen by {drawn(chooser)}",
            mode="lines+markers",
            line={"color": colour, "dash": "dot" if chooser == RANDOM else "solid"},
            hovertext=[_fusion_hover(row, results.measure_name) for _, row in own.iterrows()],
            hoverinfo="text",
        )
    return figure


def _fusion_hover(row: pd.Series, measure: str) -> str:
    told = f"<b>{row['k']} by {drawn(row['chooser'])}</b><br>{measure} {number(row['accuracy'], 3)}"
    told = f"{told} over {count(row['n_targets'], 'target')}"
    if row["k"] == 1:
        return told
    ends = interval(row["gain_low"], row["gain_high"], 3, signed=True)
    return f"{told}<br>{number(row['gain'], 3, signed=True)}{f' [{ends}]' if ends else ''} to the first alone"


def drawn(text: object) -> str:
    """Text as plotly shows it: plotly reads some HTML in it.

    >>> drawn("a<b>&c")
    'a&lt;b&gt;&amp;c'
    """
    return html.escape(str(text), quote=False)


def _layout(**own: Any) -> dict[str, Any]:
    return {
        "template": "none",
        "font": {
            "family": "Inter, system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif",
            "size": 12.5,
            "color": _INK,
        },
        "margin": {"l": 10, "r": 10, "t": 28, "b": 10},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"bgcolor": "#fff", "bordercolor": _ACCENT, "font": {"color": _INK}, "align": "left"},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8594a6", "activecolor": _ACCENT},
        **own,
    }

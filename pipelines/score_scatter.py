"""Does a higher score mean a higher accuracy after transfer?

    python pipelines/score_scatter.py [runs/study-open-ms]

One panel a metric, one dot a source on a target, by the study's first sampler. Two correlations: over all dots, where a
metric is also rewarded for telling easy targets from hard ones; and within a target, mean over the targets, which is
what choosing a source depends on.
"""

from __future__ import annotations

import math

import pandas as pd
from _common import markdown, read_study, structure
from matplotlib.figure import Figure

from medtrans.report.study.text import MODE_NAMES

COLUMNS = ["Pearson, all", "Pearson, within a target", "Spearman, within a target", "n"]


def main() -> None:
    """One table and one figure a mode."""
    study = read_study(__doc__)
    results = study.results
    sampler = results.samplers[0]
    for mode in results.modes:
        dots = {metric: pairs(results.scores(sampler, metric), results.truth(mode)) for metric in results.metrics}
        dots = {metric: pair for metric, pair in dots.items() if len(pair) > 2}
        rows = [correlations(pair) for pair in dots.values()]
        print(f"\n## {MODE_NAMES[mode]}, sampler {sampler}\n")
        print(markdown(pd.DataFrame(rows, pd.Index(dots, name="metric"), COLUMNS)))
        if dots:
            figure = scatter(dots, results.measure_name, f"{MODE_NAMES[mode]}, sampler {sampler}")
            study.save(figure, f"score_scatter-{mode}")


def pairs(scores: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Score and accuracy of every transfer that has both, by target and source."""
    both = pd.DataFrame({"score": scores.stack(), "accuracy": truth.stack()}).dropna()
    return both.rename_axis(["target", "source"])


def correlations(pair: pd.DataFrame) -> list[float]:
    """Pearson over all, then the means over targets of Pearson and Spearman; targets where nothing varies are out."""
    groups = [group for _, group in pair.groupby("target") if len(group) > 2 and (group.nunique() > 1).all()]
    within = [
        pd.Series([group["score"].corr(group["accuracy"], method=method) for group in groups], dtype=float).mean()
        for method in ("pearson", "spearman")
    ]
    return [pair["score"].corr(pair["accuracy"]), *within, len(pair)]


def scatter(dots: dict[str, pd.DataFrame], measure: str, title: str) -> Figure:
    """A panel for each metric; colours are the targets' structures, or the targets where all have the same one."""
    n_columns = min(4, len(dots))
    n_rows = math.ceil(len(dots) / n_columns)
    figure = Figure((3.2 * n_columns, 3.0 * n_rows + 0.6), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    for panel, (metric, pair) in zip(panels.flat, dots.items(), strict=False):
        targets = pair.index.get_level_values("target")
        structures = targets.map(structure)
        groups = structures if structures.nunique() > 1 else targets
        for name in groups.unique():
            group = pair[groups == name]
            panel.scatter(group["score"], group["accuracy"], s=8, label=name)
        overall, _, within, _ = correlations(pair)
        panel.set_title(f"{metric}\nr = {overall:.2f}, within a target {within:.2f}", fontsize="medium")
        panel.set_xlabel("score")
    for row in panels:
        row[0].set_ylabel(measure)
    for panel in panels.flat[len(dots) :]:
        panel.axis("off")
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=8)
    figure.suptitle(title)
    return figure


if __name__ == "__main__":
    main()

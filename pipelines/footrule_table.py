"""How far are a metric's first picks from their true places, with and without the candidate filters?

    python pipelines/footrule_table.py [runs/study-open-ms]

Spearman's footrule of the first k picks, k = 1 to 4: the sum of |rank by score - true rank|; 0 is best. All sources
count in both columns: what a filter drops is ranked last, so a filter that drops a good source pays for it.
"""

from __future__ import annotations

from itertools import cycle

import pandas as pd
from _common import Study, markdown, read_study, with_mean
from matplotlib.figure import Figure

from medtrans.report.study.text import MODE_NAMES
from medtrans.studies.findings.compare import agreement
from medtrans.studies.findings.results import Results

METRICS = ("h_score", "otce_sim")
TOP = {f"footrule_{k}": f"Top {k}" for k in range(1, 5)}


def main() -> None:
    """A table for each mode and filter, and one figure of the means."""
    study = read_study(__doc__)
    results = study.results
    metrics = [metric for metric in METRICS if metric in results.metrics]
    means = {}
    for mode in results.modes:
        for filter_name in results.filters:
            tables = {metric: footrules(results, mode, metric, filter_name) for metric in metrics}
            means |= {(mode, metric, filter_name): table.mean() for metric, table in tables.items()}
            wide = pd.concat([table.add_prefix(f"{metric}, ") for metric, table in tables.items()], axis=1)
            print(f"\n## {MODE_NAMES[mode]}, filter: {filter_name}, sampler: {results.samplers[0]}\n")
            print(markdown(with_mean(wide), digits=1))
    draw(study, metrics, means)


def footrules(results: Results, mode: str, metric: str, filter_name: str) -> pd.DataFrame:
    """Target x Top k, by the study's first sampler; NaN where a target has no agreement."""
    scores, truth, kept = results.scores(results.samplers[0], metric), results.truth(mode), results.kept(filter_name)
    rows = {target: agreement(scores.loc[target], truth.loc[target], kept.loc[target]) for target in results.targets}
    return pd.DataFrame.from_dict(rows, orient="index")[list(TOP)].rename(columns=TOP)


def draw(study: Study, metrics: list[str], means: dict[tuple[str, str, str], pd.Series]) -> None:
    """Mean footrule over the targets against k: a panel a mode and metric, a line a filter."""
    modes, filters = study.results.modes, study.results.filters
    if not means:
        return
    figure = Figure((4 * len(metrics), 0.6 + 3 * len(modes)), layout="constrained")
    panels = figure.subplots(len(modes), len(metrics), squeeze=False, sharex=True, sharey="row")
    for row, mode in zip(panels, modes, strict=True):
        for panel, metric in zip(row, metrics, strict=True):
            for name, dashes in zip(filters, cycle(("o-", "o--", "o:")), strict=False):  # equal lines stay visible
                panel.plot(list(TOP.values()), means[mode, metric, name], dashes, label=name)
            panel.set_title(f"{metric}, {MODE_NAMES[mode]}")
        row[0].set_ylabel("mean footrule (0 is best)")
    panels[0, 0].legend(title="filter", fontsize="small", loc="upper left")  # footrules rise to the right
    study.save(figure, "footrule")


if __name__ == "__main__":
    main()

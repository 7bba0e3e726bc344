"""The table of the slides: how well does each metric rank the sources of every target?

    python pipelines/scene_table.py [runs/study-open-ms]

Spearman's and Kendall's correlation with what transfer gave, without a filter, and the average over the targets; one
table for each sampler of the study and each way to transfer. The best metric of a target is bold, the second
underlined, ties alike. Made for street scenes: targets are cities, sources other cities or six architectures of one
data set. Where there are three sources or more of each of several architectures, a second table compares those of one
architecture only: Spearman's correlation, mean over the targets.
"""

from __future__ import annotations

import pandas as pd
from _common import markdown, read_study, with_mean

from medtrans.report.study.text import MODE_NAMES
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.ceiling import FEWEST
from medtrans.studies.findings.compare import agreement_table
from medtrans.studies.findings.results import Results
from medtrans.tasks import ARCHITECTURE

METRICS = ("h_score", "otce_sim", "leep", "logme")
CORRELATIONS = {"spearman": "Spearman", "kendall": "Kendall"}


def main() -> None:
    """A table for each mode and sampler."""
    results = read_study(__doc__).results
    metrics = [metric for metric in METRICS if metric in results.metrics]
    if not metrics:
        print(f"This study has none of {', '.join(METRICS)}: nothing to compare.")
        return
    agreements = agreement_table(results)
    agreements = agreements[agreements["filter"] == NO_FILTER]
    for mode in results.modes:
        for sampler in results.samplers:
            rows = agreements[(agreements["mode"] == mode) & (agreements["sampler"] == sampler)]
            print(f"\n## {results.measure_name}, {MODE_NAMES[mode]}, sampler {sampler}\n")
            tables = [marked(correlations(rows, name, metrics)) for name in CORRELATIONS]
            print(markdown(pd.concat(tables, axis=1)))
            within = within_architectures(results, mode, sampler, metrics)
            if not within.empty:
                print(f"\nSpearman within one architecture:\n\n{markdown(marked(within))}")


def correlations(rows: pd.DataFrame, name: str, metrics: list[str]) -> pd.DataFrame:
    """Target x metric, and the means over the targets that have all of them."""
    table = rows.pivot(index="target", columns="metric", values=name).reindex(rows["target"].unique(), columns=metrics)
    return with_mean(table).add_prefix(f"{CORRELATIONS[name]}, ")


def within_architectures(results: Results, mode: str, sampler: str, metrics: list[str]) -> pd.DataFrame:
    """Architecture x metric: mean over targets of Spearman's correlation among the sources of the architecture.

    Empty where the sources name no architecture, or a target has fewer than three of one.
    """
    truth = results.truth(mode)
    architectures = truth.columns.str.partition(ARCHITECTURE).get_level_values(2)
    rows = {}
    for architecture in architectures.unique().drop("", errors="ignore"):
        of_one = truth.loc[:, architectures == architecture]
        if (of_one.notna().sum(axis=1) < FEWEST).any():
            return pd.DataFrame()
        scores = [results.scores(sampler, metric)[of_one.columns] for metric in metrics]
        rows[architecture] = [of_one.corrwith(table, axis=1, method="spearman").mean() for table in scores]
    return pd.DataFrame.from_dict(rows, orient="index", columns=metrics).rename_axis("architecture")


def marked(table: pd.DataFrame) -> pd.DataFrame:
    """Two digits, the best of each row bold and the second underlined; what is missing stays so.

    >>> marked(pd.DataFrame([[0.1, 0.9, 0.5]])).to_numpy().tolist()
    [['0.10', '**0.90**', '<u>0.50</u>']]
    """

    def of_row(row: pd.Series) -> pd.Series:
        rounded = row.astype(float).round(2)
        firsts = rounded.dropna().drop_duplicates().nlargest(2).tolist() if rounded.count() > 1 else []
        marks = dict(zip(firsts, ("**{:.2f}**", "<u>{:.2f}</u>"), strict=False))
        return rounded.map(lambda value: value if pd.isna(value) else marks.get(value, "{:.2f}").format(value + 0.0))

    return table.apply(of_row, axis=1)


if __name__ == "__main__":
    main()

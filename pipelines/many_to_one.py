"""How much do the second and the third source add?

    python pipelines/many_to_one.py [runs/study-open-ms]

The k first picks of each chooser together: features of frozen networks side by side under one new head (mode head), or
averaged predictions of fine-tuned networks (mode full). Choosers are metrics, what transfer really gave (truth), and
chance (random). The dashed line is the mean of all sources, each alone.
"""

from __future__ import annotations

import pandas as pd
from _common import Study, markdown, read_study, with_mean
from matplotlib.figure import Figure

from medtrans.report.study.text import MODE_NAMES
from medtrans.studies.findings.many_to_one import many_to_one_summary, many_to_one_table


def main() -> None:
    """The means over targets, then every target, and one figure."""
    study = read_study(__doc__)
    table = many_to_one_table(study.results)
    if table["k"].max() < 2 or table.empty:
        print("This study fuses no sources; set many_to_one in a new study.")
        return
    summary = many_to_one_summary(table, study.results.people)
    for mode in study.results.modes:
        print(f"\n## {MODE_NAMES[mode]}\n")
        print(markdown(in_words(summary[summary["mode"] == mode], study.results.measure_name)), "\n")
        for why in sorted(set(summary.loc[summary["mode"] == mode, "no_interval"]) - {""}):
            print(f"No intervals: {why}.\n")
        of_mode = table[table["mode"] == mode]
        wide = of_mode.pivot(index="target", columns=["chooser", "k"], values="accuracy")
        wide.columns = [f"{chooser}, {k}" for chooser, k in wide.columns]
        wide = wide.reindex(study.results.targets)
        print(markdown(with_mean(wide)))
    draw(study, summary)


def in_words(summary: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean accuracy of each chooser and k, and what the k-th source adds, with its interval over targets."""

    def added(row: pd.Series) -> str:
        if row["k"] == 1:
            return ""
        ends = "" if pd.isna(row["step_low"]) else f" [{row['step_low']:+.3f}, {row['step_high']:+.3f}]"
        return f"{row['step']:+.3f}{ends}"

    columns = {
        "k": summary["k"],
        measure: summary["accuracy"],
        "the k-th source adds": summary.apply(added, axis=1),
        "targets": summary["n_targets"],
    }
    return pd.DataFrame(columns).set_index(pd.Index(summary["chooser"], name="chooser"))


def draw(study: Study, summary: pd.DataFrame) -> None:
    """Mean accuracy against k: a panel a mode, a line a chooser."""
    results = study.results
    figure = Figure((4.5 * len(results.modes), 4), layout="constrained")
    panels = figure.subplots(1, len(results.modes), squeeze=False)[0]
    for mode, panel in zip(results.modes, panels, strict=True):
        for chooser, line in summary[summary["mode"] == mode].groupby("chooser", sort=False):
            panel.plot(line["k"], line["accuracy"], "o-", label=chooser)
        panel.axhline(results.truth(mode).mean(axis=1).mean(), color="0.5", linestyle="--", label="any one source")
        panel.set_xticks(sorted(summary["k"].unique()))
        panel.set_xlabel("number of sources k")
        panel.set_title(MODE_NAMES[mode])
    panels[0].set_ylabel(f"{results.measure_name}, mean over targets")
    panels[0].legend(fontsize="small")
    study.save(figure, "many_to_one")


if __name__ == "__main__":
    main()

"""How well does each metric rank the sources, by sampler, and how well can anything?

    python pipelines/agreement_table.py [runs/study-open-ms]

Means over the targets of every metric and baseline: correlations, top-1 regret, and what the first pick gains over a
random pick; once more without the targets to which nothing transfers, where there are any. Then the Spearman
correlation of every metric by target, with the first sampler, beside that of two seeds; and what filters change.
"""

from __future__ import annotations

import pandas as pd
from _common import markdown, read_study, with_mean

from medtrans.agreement import Interval
from medtrans.report.study.page import find
from medtrans.report.study.text import MODE_NAMES
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.baselines import CHANCE
from medtrans.studies.findings.ceiling import FAILED
from medtrans.studies.findings.compare import summary

COLUMNS = {
    "ahead": "above baseline",
    "kendall": "Kendall",
    "footrule": "footrule",
    "regret": "regret",
    "gain_first": "gain of first pick",
    "pick_ahead": "pick above baseline",
    "share_of_ceiling": "share of ceiling",
}


def main() -> None:
    """Three tables for each mode."""
    results = read_study(__doc__).results
    measure = results.measure_name
    findings = find(results)
    agreements, truths = findings.agreements, findings.repeatabilities
    summaries, possible = findings.summaries, findings.ceilings
    for mode in results.modes:
        rows = summaries[summaries["mode"] == mode]
        ceiling = possible[possible["mode"] == mode].iloc[0]
        print(f"\n## {MODE_NAMES[mode]}\n")
        print(
            f"Ceiling {ceiling['ceiling']:.3f} (agreement of two single seeds {ceiling['between_seeds']:.3f}); noise "
            f"{ceiling['noise']:.4f} {measure} (median); the best source gives {ceiling['gain_of_best']:.3f} {measure} "
            f"more than a random one.\n\n### Means over {rows['n_targets'].max()} targets, no filter\n"
        )
        print(markdown(means(rows[rows["filter"] == NO_FILTER], ["metric", "sampler"])))
        for why in sorted(set(rows["no_interval"]) - {""}):
            print(f"\nNo intervals: {why}.")
        of_mode = truths[truths["mode"] == mode]
        worked = of_mode[of_mode["best"] >= FAILED]["target"]
        if len(worked) < len(of_mode):
            print(f"\n### Means over the {len(worked)} targets on which some source reaches {FAILED:g}, no filter\n")
            judged = agreements[agreements["target"].isin(worked) & (agreements["filter"] == NO_FILTER)]
            there = summary(judged[judged["mode"] == mode], of_mode, results.people)
            print(markdown(means(there, ["metric", "sampler"])))
        print(f"\n### Spearman by target, sampler {results.samplers[0]}, no filter\n")
        print(markdown(by_target(agreements[agreements["mode"] == mode], of_mode, results.samplers[0]), digits=2))
        print(f"\n### With filters, sampler {results.samplers[0]}\n")
        chosen = rows[(rows["sampler"] == results.samplers[0]) & rows["metric"].isin(["h_score", "otce_sim"])]
        print(markdown(means(chosen, ["metric", "filter"])))


def means(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Spearman with its interval, and the other columns, of each way to rank; best first within a key."""
    rows = rows.sort_values("spearman", ascending=False, na_position="last")
    index = pd.Index([", ".join(names) for names in rows[keys].itertuples(index=False)], name=", ".join(keys))
    intervals = rows[["spearman", "spearman_low", "spearman_high"]].itertuples(index=False)
    spearman = [str(Interval(*interval)) for interval in intervals]
    return pd.DataFrame({"Spearman": spearman}, index=index).join(
        rows[list(COLUMNS)].set_axis(index).rename(columns=COLUMNS)
    )


def by_target(agreements: pd.DataFrame, truths: pd.DataFrame, sampler: str) -> pd.DataFrame:
    """Target x metric, with the agreement of two seeds as the last column, and the means."""
    chosen = agreements[agreements["sampler"].isin([sampler, ""]) & (agreements["filter"] == NO_FILTER)]
    chosen = chosen[chosen["metric"] != CHANCE]
    table = chosen.pivot(index="target", columns="metric", values="spearman")
    table = table.reindex(index=chosen["target"].unique(), columns=chosen["metric"].unique())
    return with_mean(table.assign(**{"two seeds": truths.set_index("target")["between_seeds"]}))


if __name__ == "__main__":
    main()

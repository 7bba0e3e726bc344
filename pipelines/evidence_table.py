"""Is our choice better than cheap ones? One table for each way to transfer.

    python pipelines/evidence_table.py [runs/study-nichart]

The default metric and the expected accuracy, the best of all other metrics (chosen on these same targets, so a little
flattered), the baselines that need no label and no run, and the ceiling.
"""

from __future__ import annotations

import pandas as pd
from _common import markdown, read_study

from medtrans.agreement import Interval
from medtrans.config import RankJob
from medtrans.report.study.page import find
from medtrans.report.study.text import MODE_NAMES, Findings
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.baselines import BASELINES
from medtrans.studies.findings.compare import EXPECTED
from medtrans.studies.findings.people import ENDS

OURS = (EXPECTED, str(RankJob.model_fields["metrics"].default[0]), "whole_zero_shot_dice")


def main() -> None:
    """One table for each mode."""
    results = read_study(__doc__).results
    findings = find(results)
    for mode in results.modes:
        print(f"\n## {MODE_NAMES[mode]}\n")
        print(markdown(evidence(findings, mode, results.samplers[0])))


def evidence(findings: Findings, mode: str, sampler: str) -> pd.DataFrame:
    """Spearman, regret and gain of the first pick, and what is above the best baseline, each with its interval."""
    rows = findings.summaries
    rows = rows[(rows["mode"] == mode) & (rows["filter"] == NO_FILTER) & rows["sampler"].isin([sampler, ""])]
    by_name = rows.set_index("metric")
    others = by_name.drop(index=[*OURS, *BASELINES], errors="ignore")["spearman"].dropna()
    best = [str(others.idxmax())] if len(others) else []
    names = [name for name in (*OURS, *best, *BASELINES) if name in by_name.index]
    columns = {
        "spearman": "Spearman",
        "ahead": "above baseline",
        "regret": "regret",
        "gain_first": "gain",
        "pick_ahead": "pick above baseline",
    }
    shown = {
        title: [str(Interval(*(by_name.loc[name, f"{column}{end}"] for end in ENDS))) for name in names]
        for column, title in columns.items()
    }
    table = pd.DataFrame(shown, index=pd.Index(names, name="way to choose")).replace("nan", "-")
    ceiling = findings.ceiling(mode)
    told = [f"{ceiling['ceiling']:.3f} (seeds), {ceiling['between_draws']:.3f} (draws)", "-", "0"]
    told += [f"{ceiling['gain_of_best']:.3f}", "-"]
    table.loc["ceiling"] = told
    return table


if __name__ == "__main__":
    main()

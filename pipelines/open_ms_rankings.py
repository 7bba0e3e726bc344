"""Rank the open-ms sources for each of the sixteen tasks of the other patient, and print the rankings as Markdown.

    medtrans train configs/open_ms_sources.yaml
    python pipelines/open_ms_rankings.py > docs/results-open-ms.md

The target is one of sixteen tasks of patient 07, with labels on four slices. The candidates are the fifteen sources of
patient 19 that were trained for another task. Filters are off, so that every source shows its score.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from medtrans.config import PreprocessingSettings, SamplerSettings, expand_braces
from medtrans.data import load_task
from medtrans.selection import Ranking, rank_sources
from medtrans.sources import Pool

DATA = Path("../shared/data/open-ms")
POOL = Path("runs/open-ms/pool")
METRICS = ("h_score", "otce_sim")
SAMPLER = SamplerSettings(kind="boundary", band_mm=4.0, n_pixels=10_000, repetitions=10, outside=0)
PREPROCESSING = PreprocessingSettings(dimensions=2, spacing_mm=1.0)


def main() -> None:
    """Rank for every target; progress goes to stderr, the tables to stdout."""
    pool = Pool(POOL)
    print(HEADER)
    for name in expand_braces("open-ms/{T1,T1POST,T2,FLAIR}/{CSF,GM,WM,lesion}"):
        start = time.perf_counter()
        target = load_task(name, DATA, cases=["patient07"], slices=4, preprocessing=PREPROCESSING)
        ranking = rank_sources(target, pool, metrics=METRICS, sampler=SAMPLER, filters=None, exclude=(name,), seed=0)
        print(markdown(ranking))
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)


def markdown(ranking: Ranking) -> str:
    """One target's rankings by each metric, side by side."""
    columns = [
        [f"{score.source} ({score.mean:.4f} ± {score.spread:.4f})" for score in ranking.by(metric)]
        for metric in METRICS
    ]
    rows = [f"| {i} | {' | '.join(cells)} |" for i, cells in enumerate(zip(*columns, strict=True), start=1)]
    head = [f"## {ranking.target}", "", "| rank | " + " | ".join(METRICS) + " |", "|---|" + "---|" * len(METRICS)]
    notes = [f"\nNote: {note}" for note in ranking.notes]
    return "\n".join([*head, *rows, *notes, ""])


HEADER = """\
# Rankings on real scans: open-ms

Sixteen sources trained on patient 19, ranked for sixteen tasks of patient 07 with labels on four slices, at 1 mm, from
10,000 pixels near edges, ten draws; mean ± standard deviation over the draws. The source of the same task is left out.
CSF, GM and WM are derived tissue labels. Every table stands as it came out; it is not compared here with what transfer
really gives.

    medtrans train configs/open_ms_sources.yaml
    python pipelines/open_ms_rankings.py > docs/results-open-ms.md
"""

if __name__ == "__main__":
    main()

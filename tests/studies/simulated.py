"""Studies whose numbers come from a formula: no store, no image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from medtrans.config import StudyJob
from medtrans.selection.expectation import expit
from medtrans.studies.engine.schema import columns_of
from medtrans.studies.findings.results import Results

SOURCES = [f"s/T1/{name}" for name in "abcdefghi"]
METRICS = ("head_dice", "whole_zero_shot_dice")
HEAD, ZERO_SHOT = (-1.5, 0.0, 1.5), (-1.0, 0.0, 1.0)
"""Logits of the metrics: every pair of them is one source's, so that they are uncorrelated, with a mean of 0."""

Odds = Callable[[str, float, float], float]
"""Logit of the accuracy by target and the logits of its metrics."""


def grid(source: str) -> tuple[float, float]:
    """Logits of a source's metrics."""
    i = SOURCES.index(source)
    return HEAD[i // 3], ZERO_SHOT[i % 3]


def results(
    targets: list[str],
    odds: Odds,
    *,
    people: Callable[[str], set[str]] = lambda target: {"everyone"},
    name: str = "study",
    **changes: object,
) -> Results:
    """A study of these targets and 9 sources in mode head, whose accuracy is what ``odds`` says."""
    data = {"format": "folder", "root": "nowhere"}
    job = StudyJob.model_validate(
        {
            "output": str(Path("runs") / name),
            "sources": [{"tasks": SOURCES, "data": data}],
            "targets": [{"tasks": targets, "data": data}],
            "metrics": list(METRICS),
            "seeds": [0],
            **changes,
        }
    )
    scores, transfers = [], []
    for target in targets:
        for source in SOURCES:
            logits = grid(source)
            for metric, it in zip(METRICS, logits, strict=True):
                scores.append((target, source, "boundary", metric, 0, expit(it)))
            transfers.append((target, source, "head", 0, *[expit(odds(target, *logits))] * 3))
    rows = {
        "scores": scores,
        "transfers": transfers,
        "people": [(target, person) for target in targets for person in sorted(people(target))],
    }
    tables = ("sources", "candidates", "scores", "missing", "transfers", "fusions", "by_person", "people", "labelled")
    frames = {table: pd.DataFrame(rows.get(table, []), columns=list(columns_of(table))) for table in tables}
    return Results(job, frames, {}, "2026-11-26T00:00:00+00:00")

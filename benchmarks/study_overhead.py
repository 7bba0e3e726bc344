"""Share of the workers' time that a study spends outside its pieces, from each worker's first piece to the end.

    python benchmarks/study_overhead.py [--workers 2] [--piece-seconds 0.15]

Two studies on local processes: one of 204 pieces that only keep a core busy for so long, and a real one of tiny
simulated scans, whose pieces are far shorter than those of any study worth running. What counts as outside: handing
out, sending, recording, planning the fusions, and waiting for the last piece of a wave. Printed apart, because it does
not grow with the study: seconds until a worker's first piece begins, in which each worker imports torch and MONAI.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from medtrans.config import StudyJob
from medtrans.simulation import simulate_fets
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.run import run_study
from medtrans.studies.engine.work import run_piece
from medtrans.studies.engine.workers import LocalProcesses
from medtrans.studies.findings.results import Results

Work = Callable[[StudyJob, Piece], Outcome]


def busy(job: StudyJob, piece: Piece, *, seconds: float) -> Outcome:
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        pass
    return Outcome({}, time.perf_counter() - began, {})


def stamped(job: StudyJob, piece: Piece, *, work: Work) -> Outcome:
    """Do a piece, and note who did it, when it began and when it ended."""
    began = time.time()
    outcome = work(job, piece)
    return replace(outcome, parts={"process": os.getpid(), "began": began, "ended": time.time()})


def settings(output: Path, scans: Path, **changes: Any) -> StudyJob:
    """4 sources and 4 targets at another site."""
    data = {"format": "fets", "root": str(scans)}
    training = {"steps": 5, "steps_per_epoch": 5, "batch_size": 2}
    given = {
        "output": str(output),
        "sources": [{"tasks": ["fets-1/{FLAIR,T1CE}/{ED,ET}"], "data": data}],
        "targets": [{"tasks": ["fets-2/{FLAIR,T1CE}/{ED,ET}"], "data": data | {"slices": 4}}],
        "network": {"width": 8},
        "training": training,
        "signature": {"n_pixels": 500},
        "samplers": {"boundary": {"n_pixels": 500, "repetitions": 5, "band_mm": 12.0}},
        "transfer": {"head": training, "full": training, "scratch": training},
        "device": "cpu",
    }
    return StudyJob.model_validate(given | changes)


def measure(name: str, job: StudyJob, work: Work, n_workers: int) -> None:
    start = time.time()
    summary = run_study(job, workers=LocalProcesses(n_workers), work=partial(stamped, work=work))
    if summary.failed:
        raise SystemExit(f"pieces failed: {summary.failed}")
    pieces = Results.read(job.store_path).frames["pieces"]
    parts = pd.DataFrame([json.loads(text) for text in pieces["parts"]])
    first, last = parts.groupby("process")["began"].min(), parts["ended"].max()
    inside = (parts["ended"] - parts["began"]).sum()
    outside = 1 - inside / (last - first).sum()
    print(
        f"{name:12} {len(parts):4} pieces of {inside / len(parts):.3f} s, {last - first.min():6.1f} s: "
        f"{outside:6.1%} outside (bar 5%); first pieces after {', '.join(f'{it - start:.1f}' for it in first)} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="time of a study outside its pieces")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--piece-seconds", type=float, default=0.15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scans = simulate_fets(root / "fets", institutions=(1, 2), subjects_per_institution=2, spacing_mm=4.0)
        job = settings(root / "busy", scans, seeds=tuple(range(5)))
        measure("busy pieces", job, partial(busy, seconds=options.piece_seconds), options.workers)
        job = settings(root / "real", scans, many_to_one={"largest": 3})
        measure("real pieces", job, run_piece, options.workers)


if __name__ == "__main__":
    main()

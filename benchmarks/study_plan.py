"""How long does a large study take beside its pieces? Seconds of planning, recording and reading, in one run.

    python benchmarks/study_plan.py [--sources 100] [--targets 100] [--repeats 3]

Both transfer modes, training from scratch, two seeds, one sampler of ten repetitions and four metrics; every source
may be transferred to every target. Every piece is recorded as one transaction, with made-up numbers in place of models.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from medtrans.config import StudyJob
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results


def study(output: Path, n_sources: int, n_targets: int) -> StudyJob:
    data = {"format": "folder", "root": "."}
    sources, targets = (
        {"tasks": [f"{domain}/T1/S{i}" for i in range(n)], "data": data}
        for domain, n in (("here", n_sources), ("there", n_targets))
    )
    many_to_one = {"largest": 3}
    return StudyJob.model_validate(
        {"output": str(output), "sources": [sources], "targets": [targets], "many_to_one": many_to_one}
    )


def made_up(piece: Piece, job: StudyJob) -> Outcome:
    """Numbers in place of what the piece would find."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    if piece.kind == "score":
        rows["scores"] = [
            (piece.target, *piece.sources, sampler, metric, repetition, hash(piece.sources) % 1000 / 1000)
            for sampler, settings in job.samplers.items()
            for metric in job.metrics
            for repetition in range(settings.repetitions)
        ]
    if piece.kind == "transfer":
        accuracy = hash((piece.sources, piece.seed)) % 1000 / 1000
        rows["transfers"] = [(piece.target, "".join(piece.sources), piece.mode, piece.seed, accuracy)]
    return Outcome(rows, seconds=0.0, parts={})


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=100)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = study(Path(folder), arguments.sources, arguments.targets)
        planning = min(seconds(lambda: plan(job)) for _ in range(arguments.repeats))
        pieces = list(chain(*plan(job)))
        outcomes = [made_up(piece, job) for piece in pieces]
        with Store.open(job.store_path, job) as store:

            def record() -> None:
                for piece, outcome in zip(pieces, outcomes, strict=True):
                    store.start(0, piece)
                    store.record(piece, outcome)
                    store.stop(0)

            recording = seconds(record)
            asking = seconds(store.done)
        reading = seconds(lambda: Results.read(job.store_path))
        results = Results.read(job.store_path)
        fusing = seconds(lambda: plan_fusions(job, results))
        megabytes = job.store_path.stat().st_size / 1e6

    print(f"{arguments.sources} sources x {arguments.targets} targets: {len(pieces)} pieces, {megabytes:.0f} MB")
    print(f"plan             {planning:8.2f} s")
    print(f"record           {recording:8.2f} s  {recording / len(pieces) * 1e3:.2f} ms a piece")
    print(f"what is finished {asking:8.2f} s")
    print(f"read all         {reading:8.2f} s")
    print(f"plan fusions     {fusing:8.2f} s")


if __name__ == "__main__":
    main()

"""What a study saves by handing retrained heads on: seconds with and without, in one run.

    python benchmarks/head_first.py [--seeds 2]

Four sources of simulated scans on two targets of another site, modes ``head`` and ``full`` with their default steps,
``full`` from a retrained head; one process. *Without*, the kept heads are deleted before each transfer in mode
``full``, so that it trains its own, as medtrans once did. Sources are trained before, and count in neither. The two
studies take turns, target by target, so that what else runs on the machine falls on both.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from medtrans.config import StudyJob
from medtrans.simulation import simulate_fets
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.work import run_piece


def settings(output: Path, pool: Path, scans: Path, seeds: int) -> StudyJob:
    data: dict[str, Any] = {"format": "fets", "root": str(scans)}
    training = {"steps": 20, "batch_size": 4}
    given = {
        "output": str(output),
        "pool": str(pool),
        "sources": [{"tasks": ["fets-1/{FLAIR,T1CE}/{ED,ET}"], "data": data}],
        "targets": [{"tasks": ["fets-2/FLAIR/{ED,ET}"], "data": data | {"slices": 4}}],
        "training": training,
        "signature": {"content": "none"},
        "transfer": {"scratch": None},
        "seeds": list(range(seeds)),
        "device": "cpu",
    }
    return StudyJob.model_validate(given)


def done(job: StudyJob, piece: Piece, *, hand_on: bool) -> Outcome:
    if piece.mode == "full" and not hand_on:
        shutil.rmtree(job.output / "heads")
    return run_piece(job, piece)


def main() -> None:
    parser = argparse.ArgumentParser(description="seconds of a study with and without handing heads on")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scans = simulate_fets(root / "fets", institutions=(1, 2), subjects_per_institution=2, spacing_mm=3.0)
        jobs = {
            hand_on: settings(root / str(hand_on), root / "pool", scans, options.seeds) for hand_on in (False, True)
        }
        trainings, transfers = plan(jobs[True])
        for piece in trainings:
            run_piece(jobs[True], piece)
        seconds: Counter[tuple[bool, str]] = Counter()
        found: dict[bool, list[object]] = {False: [], True: []}
        for target in jobs[True].target_groups():
            pieces = [piece for piece in transfers if piece.kind == "transfer" and piece.target == target]
            for hand_on, job in jobs.items():
                for piece in pieces:
                    outcome = done(job, piece, hand_on=hand_on)
                    seconds[hand_on, piece.mode] += outcome.seconds
                    found[hand_on].append(outcome.rows)
    print(f"{len(found[True])} transfers; results equal: {found[True] == found[False]}")
    before, after = (seconds[hand_on, "head"] + seconds[hand_on, "full"] for hand_on in (False, True))
    for hand_on, total in ((False, before), (True, after)):
        parts = ", ".join(f"{mode} {seconds[hand_on, mode]:.1f}" for mode in ("head", "full"))
        print(f"{'handed on' if hand_on else 'without':10} {total:7.1f} s ({parts})")
    print(f"handed on takes {after / before:.2f} of the time without")


if __name__ == "__main__":
    main()

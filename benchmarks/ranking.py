"""How much faster is ranking than brute force? Prints times and ratios of one run.

    medtrans train configs/open_ms_sources.yaml
    python benchmarks/ranking.py [POOL] [DATA]

Target: open-ms T1/WM of patient 07, four labelled slices at 1 mm. Candidates: the sources of the other tasks.
Brute force fine-tunes every candidate for 300 steps of 8 slices; three are timed and their mean is multiplied.
A ranking computes along what its expected accuracies need, head Dice among them; so metrics are compared without.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from medtrans.config import PreprocessingSettings, SamplerSettings, TrainingSettings
from medtrans.data import load_task
from medtrans.learning import fine_tune
from medtrans.selection import rank_sources
from medtrans.sources import Pool

TARGET = "open-ms/T1/WM"  # lesions are so small here that four slices hold fewer than N pixels near an edge
THREADS = 2
TIMED_FINE_TUNINGS = 3
BRUTE_FORCE = TrainingSettings(steps=300, batch_size=8)
SAMPLER = SamplerSettings(n_pixels=10_000, repetitions=10)


def main(pool_root: Path, data_root: Path) -> None:
    """Time both ways on the same target."""
    torch.set_num_threads(THREADS)
    target = load_task(
        TARGET, data_root, cases=["patient07"], slices=4, preprocessing=PreprocessingSettings(spacing_mm=1.0)
    )
    candidates = [source for source in Pool(pool_root) if source.name != TARGET]

    def rank(*metrics: str, expectation: Literal["shipped"] | None = None) -> float:
        settings = {"sampler": SAMPLER, "filters": None, "exclude": (TARGET,), "expectation": expectation}
        return seconds(lambda: rank_sources(target, Pool(pool_root), metrics=metrics, **settings))

    rank("h_score")  # the first call imports and warms up
    h_score = rank("h_score")
    head_dice, probe_dice = rank("head_dice"), rank("probe_dice")
    by_h_score = rank("h_score", expectation="shipped")
    by_both = rank("h_score", "otce_sim", expectation="shipped")
    times = [
        seconds(lambda source=source: fine_tune(source, target, training=BRUTE_FORCE, mode="full", device="cpu"))
        for source in candidates[:TIMED_FINE_TUNINGS]
    ]
    brute_force = sum(times) / len(times) * len(candidates)

    print(f"{len(candidates)} candidates, {THREADS} threads, N = {SAMPLER.n_pixels}, K = {SAMPLER.repetitions}")
    timed = ", ".join(f"{time:.1f}" for time in times)
    print(f"brute force          {brute_force:8.1f} s  (mean of {timed} s, times {len(candidates)})")
    print(f"ranking by H-score   {by_h_score:8.1f} s  1/{brute_force / by_h_score:.0f} of brute force")
    print(f"and OTCE_sim         {by_both:8.1f} s  1/{brute_force / by_both:.0f} of brute force")
    print(f"H-score alone        {h_score:8.1f} s  1/{brute_force / h_score:.0f} of brute force")
    print(f"head Dice alone      {head_dice:8.1f} s  {head_dice / h_score:.2f} times H-score")
    print(f"probe Dice alone     {probe_dice:8.1f} s  {probe_dice / h_score:.2f} times H-score")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    main(*(arguments + [Path("runs/open-ms/pool"), Path("../shared/data/open-ms")][len(arguments) :]))

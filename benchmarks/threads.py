"""How long a training takes by who chooses its threads, alone and beside busy neighbours; prints seconds and ratios.

    python benchmarks/threads.py [--steps 40] [--repeats 3]

A source of the demo: BasicUNet of width 16 on the 226 slices of three simulated patients, 8 at a time. Its threads are
torch's default, one, or medtrans' choice; `command line` is that choice in a process that waits asleep, as ``medtrans``
does. Each training is a process of its own, so that nothing is left of the last one. A neighbour is a process that
keeps a core busy: first none, then one for each core but one, then one for each. All are repeated in turns, but for
torch's default, which takes minutes, and the shortest of each counts: what else runs on the machine only adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medtrans.threads import usable_cores

WAYS = ("torch's default", "one thread", "medtrans", "command line")


def train(way: str, scans: Path, steps: int) -> None:
    """Print seconds and threads of one training."""
    import torch

    from medtrans.config import NetworkSettings, PreprocessingSettings, TrainingSettings
    from medtrans.data import load_task
    from medtrans.learning import definition_for, train_network

    task = load_task("fets-1/FLAIR/ED", scans, preprocessing=PreprocessingSettings(dimensions=2))
    definition, training = definition_for(task, NetworkSettings()), TrainingSettings(steps=steps)
    by_torch = train_network.__wrapped__  # type: ignore[attr-defined]  # without the limit
    if way == "one thread":
        torch.set_num_threads(1)
    began = time.perf_counter()
    work = by_torch if way in ("torch's default", "one thread") else train_network
    _, descent = work(task, definition, training, device="cpu")
    print(time.perf_counter() - began, *descent.threads)


def measured(way: str, scans: Path, steps: int) -> tuple[float, int]:
    """Seconds and threads of a training in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    if way == "command line":
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    command = [sys.executable, __file__, "--way", way, "--scans", str(scans), "--steps", str(steps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    seconds, threads = done.stdout.split()
    return float(seconds), int(threads)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Processes that each keep a core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(count)]  # noqa: S603
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="seconds of a training by who chooses its threads")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--scans", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        train(options.way, options.scans, options.steps)
        return
    from medtrans.simulation import simulate_fets

    cores = usable_cores()
    with tempfile.TemporaryDirectory() as folder:
        scans = simulate_fets(Path(folder) / "fets", institutions=(1,), subjects_per_institution=3, spacing_mm=2.0)
        print(f"{options.steps} steps, {cores} usable cores, shortest of {options.repeats}")
        for count in sorted({0, cores - 1, cores}):
            with neighbours(count):
                best = {way: measured(way, scans, options.steps) for way in WAYS}
                for way in WAYS[1:] * (options.repeats - 1):
                    best[way] = min(best[way], measured(way, scans, options.steps))
            for way, (seconds, threads) in best.items():
                ratio = seconds / best["one thread"][0]
                print(
                    f"{count} neighbours  {way:16} {seconds:7.1f} s  {threads} threads  {ratio:6.2f} of one thread",
                    flush=True,
                )


if __name__ == "__main__":
    main()

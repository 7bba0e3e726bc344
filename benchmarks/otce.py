"""OTCE at N = 10,000 pixels and D = 32 features against POT's Sinkhorn: seconds, agreement and peak memory of one run.

    python benchmarks/otce.py [--threads 1] [--pixels 10000] [--features 32] [--repeats 9] [--large 100000]

The peer is `ot.sinkhorn` in float64 at the same regularisation, on as many threads, stopping where POT stops by itself:
at an error of 1e-4 of the marginals in the L2 norm (8.5e-3 in L1, where `otce_sim` stops at 4e-3 and `otce` at 1e-5).
POT's first call is told apart, since it is the first to touch gigabytes of memory and takes two to three times as long.
Then the same call on one thread and on two, alone and beside a process that spins on one core. ``--large`` also runs
that many pixels, whose kernel does not fit into memory, and a quarter of them, to show how time grows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import ot
from threadpoolctl import threadpool_limits

from medtrans.metrics import otce, otce_sim
from medtrans.transport import scale_of, squared_euclidean

EPSILON = 0.1
POT_REPEATS = 3
SPIN = [sys.executable, "-c", "while True: pass"]
Pixels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pixels(n_pixels: int, n_features: int) -> Pixels:
    """Three classes on both sides, the target shifted."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, n_features))
    source_labels, target_labels = rng.integers(0, 3, n_pixels), rng.integers(0, 3, n_pixels)
    source = centres[source_labels] + rng.normal(size=(n_pixels, n_features))
    target = centres[target_labels] + rng.normal(size=(n_pixels, n_features)) + 0.3
    return source.astype(np.float32), source_labels, target.astype(np.float32), target_labels


def pot_task_difference(
    source: Any, source_labels: Any, target: Any, target_labels: Any, *, regularization: float
) -> float:
    costs = ot.dist(source.astype(np.float64), target.astype(np.float64))
    plan = ot.sinkhorn([], [], costs, regularization, stopThr=1e-4)
    joint = np.eye(3)[source_labels].T @ plan @ np.eye(3)[target_labels]
    return float(-(joint * np.log(joint / joint.sum(axis=1, keepdims=True))).sum())


def timed(function: Callable[..., Any], arrays: Pixels, repeats: int) -> tuple[Any, list[float]]:
    """Value, and the seconds of each call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = function(*arrays)
        seconds.append(time.perf_counter() - start)
    return value, seconds


def seconds_and_megabytes(n_pixels: int, options: argparse.Namespace) -> tuple[float, int]:
    """Of `otce_sim` in a fresh process; the megabytes are its peak, libraries included."""
    command = [sys.executable, __file__, "--only-once", "--pixels", str(n_pixels)]
    command += ["--features", str(options.features), "--threads", str(options.threads)]
    seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    return float(seconds), int(megabytes)


def only_once(arrays: Pixels) -> None:
    _, (seconds,) = timed(otce_sim, arrays, 1)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)


def compare(options: argparse.Namespace) -> None:
    n_pixels, repeats = options.pixels, options.repeats
    _, megabytes = seconds_and_megabytes(n_pixels, options)  # first, since a process inherits the peak of its parent
    arrays = pixels(n_pixels, options.features)
    task_only, of_sim = timed(otce_sim, arrays, repeats)
    result, of_both = timed(otce, arrays, repeats)
    regularization = EPSILON * scale_of(squared_euclidean(arrays[0], arrays[2]), "trimmed")
    expected, of_pot = timed(partial(pot_task_difference, regularization=regularization), arrays, POT_REPEATS)
    print(f"{n_pixels} x {n_pixels} pixels, {options.features} features, {result.n_iterations} iterations")
    for name, seconds in {"otce_sim": of_sim, "otce": of_both, "POT": of_pot}.items():
        first, least = of_pot[0] / seconds[0], min(of_pot) / min(seconds)
        print(
            f"{name:10s} first call {seconds[0]:7.3f} s, {first:5.1f} x; fastest {min(seconds):7.3f} s, {least:5.1f} x"
        )
    print(f"task difference       {-task_only:.6f}, POT {expected:.6f}, apart by {abs(-task_only - expected):.1e}")
    print(f"peak memory           {megabytes} MB in all")


def beside_a_neighbour(options: argparse.Namespace) -> None:
    """Means of calls that take turns, so that what else runs disturbs all alike."""
    arrays = pixels(options.pixels, options.features)
    for neighbours in (0, 1):
        spinning = [subprocess.Popen(SPIN) for _ in range(neighbours)]  # noqa: S603
        try:
            seconds: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(options.repeats):
                for threads, of_threads in seconds.items():
                    with threadpool_limits(threads):
                        of_threads += timed(otce_sim, arrays, 1)[1]
        finally:
            for process in spinning:
                process.kill()
        one, two = (float(np.mean(of_threads)) for of_threads in seconds.values())
        where = "beside a spinning process" if neighbours else "alone"
        print(f"{where:26s} one thread {one:.3f} s, two {two:.3f} s: {two / one:.2f} x")


def grow(options: argparse.Namespace) -> None:
    quarter, _ = seconds_and_megabytes(options.large // 4, options)
    whole, megabytes = seconds_and_megabytes(options.large, options)
    print(f"{options.large // 4} pixels {quarter:.1f} s, {options.large} pixels {whole:.1f} s: {whole / quarter:.1f} x")
    print(f"peak memory           {megabytes} MB in all")


def main() -> None:
    parser = argparse.ArgumentParser(description="OTCE against POT's Sinkhorn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pixels", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--only-once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        if options.only_once:
            only_once(pixels(options.pixels, options.features))
            return
        print(f"{options.threads} threads")
        if options.large:
            grow(options)
        compare(options)
    beside_a_neighbour(options)


if __name__ == "__main__":
    main()

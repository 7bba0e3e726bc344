"""H-score at N = 1,000,000 pixels and D = 64 features, in units of one float64 product X^T X of that size.

    python benchmarks/h_score.py [--threads 2] [--pixels 1000000] [--features 64] [--classes 5] [--repeats 3]

The peer is tllib's formula, written here in plain NumPy: covariance of the features, covariance of the class means
spread over the samples, pseudo-inverse. Also printed: the most memory that each allocates beside its input.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from medtrans.metrics import h_score, shrinkage_h_score

Contestant = Callable[[NDArray[np.float64], NDArray[np.int64]], float]


def tllib_formula(features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    conditional_means = np.zeros_like(features)
    for label in np.unique(labels):
        conditional_means[labels == label] = features[labels == label].mean(axis=0)
    between = np.cov(conditional_means, rowvar=False)
    return float(np.trace(np.linalg.pinv(np.cov(features, rowvar=False), rcond=1e-15) @ between))


def product(features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float((features.T @ features)[0, 0])


CONTESTANTS: dict[str, Contestant] = {
    "medtrans h_score": h_score,
    "medtrans shrinkage_h_score": shrinkage_h_score,
    "tllib's formula": tllib_formula,
}


def seconds_and_megabytes(
    contestant: Contestant, features: NDArray[np.float64], labels: NDArray[np.int64], repeats: int
) -> tuple[float, float, float]:
    """Value, smallest of ``repeats`` times, and peak of the allocated memory in a run of its own."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = contestant(features, labels)
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    contestant(features, labels)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return value, min(seconds), peak


def main() -> None:
    parser = argparse.ArgumentParser(description="H-score against tllib's formula and one X^T X")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pixels", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, options.classes, options.pixels)
    features = rng.normal(size=(options.pixels, options.features))
    features += rng.normal(size=(options.classes, options.features))[labels]
    print(f"{options.threads} threads, {options.pixels} x {options.features}, input {features.nbytes / 1e6:.0f} MB")
    with threadpool_limits(options.threads):
        _, unit, _ = seconds_and_megabytes(product, features, labels, options.repeats)
        print(f"{'X^T X':27} {unit:7.3f} s")
        for name, contestant in CONTESTANTS.items():
            value, seconds, megabytes = seconds_and_megabytes(contestant, features, labels, options.repeats)
            print(f"{name:27} {seconds:7.3f} s {seconds / unit:6.2f} x X^T X {megabytes:8.0f} MB  value {value:.9f}")


if __name__ == "__main__":
    main()

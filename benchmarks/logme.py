"""LogME against its peers, at N = 100,000 pixels, D = 256 features and K = 10 classes: seconds, and ratios of one run.

    python benchmarks/logme.py [--threads 2] [--pixels 100000] [--features 256] [--classes 10] [--repeats 3]

Peers: `transformer-ranker` from PyPI, and tllib's formula written here in plain NumPy (the fixed point of You et al.
2021, one decomposition for all classes, float64). transformer-ranker asks for a whole language-model stack; the metric
needs none of it, so install it beside the environment without its requirements, and it stays out of yours:

    pip install --no-deps --target /tmp/peers transformer-ranker
    PYTHONPATH=/tmp/peers python benchmarks/logme.py

Without it that row is left out, with a message. Every contestant gets float32 features, as networks give them, and the
number of threads given here, for BLAS and for torch.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import types
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from medtrans.metrics import logme

Contestant = Callable[[NDArray[np.float32], NDArray[np.int64]], float]


def tllib_formula(features: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    matrix = features.astype(np.float64)
    n_samples, n_features = matrix.shape
    _, singular, axes = np.linalg.svd(matrix.T @ matrix)
    eigenvalues = singular[:, None]
    left = matrix @ axes.T / np.sqrt(singular)
    evidences = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)[:, None]
        projected = (left.T @ target) ** 2
        outside = (target**2).sum() - projected.sum()
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (eigenvalues / (eigenvalues + ratio)).sum()
            weights = (eigenvalues * projected / (ratio + eigenvalues) ** 2).sum()
            residual = (projected / (1 + eigenvalues / ratio) ** 2).sum() + outside
            alpha, beta = gamma / weights, (n_samples - gamma) / residual
            if abs(alpha / beta - ratio) / ratio <= 1e-2:
                break
        evidence = n_features * np.log(alpha) + n_samples * np.log(beta / (2 * np.pi))
        evidence -= np.log(alpha + beta * eigenvalues).sum() + beta * residual + alpha * weights
        evidences.append(evidence / (2 * n_samples))
    return float(np.mean(evidences))


def transformer_ranker() -> Contestant | None:
    found = find_spec("transformer_ranker")
    if found is None or not found.submodule_search_locations:
        return None
    root = found.submodule_search_locations[0]
    for name, path in (("transformer_ranker", root), ("transformer_ranker.estimators", f"{root}/estimators")):
        package = types.ModuleType(name)  # without its __init__, which imports the language-model stack
        package.__path__ = [path]
        sys.modules[name] = package
    estimator = importlib.import_module("transformer_ranker.estimators.logme").LogME
    return lambda features, labels: float(estimator().fit(torch.from_numpy(features), torch.from_numpy(labels)))


def make_pixels(n_pixels: int, n_features: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(n_classes, size=n_pixels)
    centres = 0.3 * rng.normal(size=(n_classes, n_features))
    return (centres[labels] + rng.normal(size=(n_pixels, n_features))).astype(np.float32), labels


def fastest(
    contestants: dict[str, Contestant], features: NDArray[np.float32], labels: NDArray[np.int64], repeats: int
) -> dict[str, tuple[float, float]]:
    """Smallest seconds and the value of each; they take turns, so that other load on the machine falls on all."""
    results: dict[str, tuple[float, float]] = {}
    for name in list(contestants) * repeats:
        start = time.perf_counter()
        value = contestants[name](features, labels)
        seconds = time.perf_counter() - start
        results[name] = (min(seconds, results.get(name, (seconds, value))[0]), value)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="LogME against its peers")
    for option, default in (("threads", 2), ("pixels", 100_000), ("features", 256), ("classes", 10), ("repeats", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    features, labels = make_pixels(options.pixels, options.features, options.classes)
    contestants: dict[str, Contestant] = {"medtrans": logme, "tllib's formula, NumPy": tllib_formula}
    peer = transformer_ranker()
    if peer is None:
        print("transformer-ranker is not installed and left out; see the top of this file for how to install it")
    else:
        contestants["transformer-ranker"] = peer
    torch.set_num_threads(options.threads)
    print(f"N = {options.pixels}, D = {options.features}, K = {options.classes}, {options.threads} threads")
    with threadpool_limits(options.threads):
        results = fastest(contestants, features, labels, options.repeats)
    ours = results["medtrans"][0]
    for name, (seconds, value) in results.items():
        print(f"{name:24s} {seconds:8.3f} s   {seconds / ours:6.2f} x medtrans   LogME {value:.9f}")


if __name__ == "__main__":
    main()

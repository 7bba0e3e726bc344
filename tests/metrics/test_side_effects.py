"""Importing and calling the shelf leaves the process as it was."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from medtrans.metrics import METRICS, logme_regression, maximal_h_score_ace, maximal_h_score_neural, normalized_h_score


def _state() -> list[object]:
    threads = [(library["filepath"], library["num_threads"]) for library in threadpool_info()]
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002
    return [
        random.getstate(),
        [numpy_state[0], numpy_state[1].tobytes(), *numpy_state[2:]],
        torch.random.get_rng_state().numpy().tobytes(),
        list(warnings.filters),
        threads,
        torch.get_num_threads(),
        torch.get_default_dtype(),
        np.geterr(),
    ]


def test_calling_any_metric_leaves_no_trace() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    arrays = {
        "target_features": rng.normal(size=(80, 3)) + labels[:, None],
        "target_labels": labels,
        "source_probs": rng.dirichlet(np.ones(3), size=80),
        "source_predictions": rng.integers(3, size=80),
        "source_features": rng.normal(size=(80, 3)),
        "source_labels": labels,
    }
    features = arrays["target_features"]
    people = {"subjects": np.arange(80) // 40, "images": np.arange(80) // 20}
    arrays |= {f"{kind}_{name}": it for kind in ("target", "whole") for name, it in people.items()}
    arrays |= {"whole_features": features, "whole_labels": labels, "whole_predictions": labels}
    before, untouched = _state(), {key: array.copy() for key, array in arrays.items()}
    for metric in METRICS.values():
        first = metric.function(**{need: arrays[need] for need in metric.needs})
        again = metric.function(**{need: arrays[need] for need in metric.needs})
        assert first == again, metric.name
    maximal = maximal_h_score_neural(features, labels, steps=30)
    assert maximal == maximal_h_score_neural(features, labels, steps=30)
    maximal_h_score_ace(arrays["source_predictions"], labels)
    normalized_h_score(features, labels, maximal=1)
    logme_regression(features, features)
    assert _state() == before
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, untouched[key])


def test_drawing_initial_weights_leaves_the_generators_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    maximal_h_score_neural(np.arange(80.0)[:, None], np.arange(80) % 2, steps=1)
    assert not seeds


IMPORT = """
import random, warnings
import numpy, torch, scipy.cluster.hierarchy, scipy.optimize, scipy.spatial, scipy.special, scipy.stats
import ot, sklearn.covariance, sklearn.metrics, sklearn.mixture  # some packages add filters of their own
from threadpoolctl import threadpool_info
def state():
    return (random.getstate(), numpy.random.get_state()[1].tobytes(), torch.random.get_rng_state().numpy().tobytes(),
            torch.get_num_threads(), threadpool_info(), numpy.geterr(), list(warnings.filters))
before = state()
import medtrans.metrics, medtrans.agreement
for was, now in zip(before, state()):
    assert was == now, (was, now)
"""


def test_importing_leaves_no_trace() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def test_importing_the_shelf_does_not_pay_for_torch() -> None:
    code = "import sys, medtrans.metrics; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr

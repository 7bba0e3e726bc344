"""Numbers of public implementations: golden/README.md says where they differ among each other, and which is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtrans.errors import MetricError
from medtrans.metrics import gaussian_wasserstein, leep, logme, mean_inverse_distance, nce, transrate

Arrays = dict[str, np.ndarray]


def _entries(shared_root: Path) -> Iterator[tuple[str, Arrays, dict[str, Any]]]:
    golden = json.loads((shared_root / "golden/expected.json").read_text())
    with np.load(shared_root / "golden/cases.npz") as cases:
        for group in ("cases", "probes"):
            for name, entry in golden[group].items():
                prefix = f"{group}/{name}/"
                arrays = {key.removeprefix(prefix): cases[key] for key in cases.files if key.startswith(prefix)}
                yield name, arrays, entry.get("metrics", entry)


METRICS = {
    "nce": lambda arrays: nce(arrays["Ps"].argmax(axis=1), arrays["yt"]),
    "leep": lambda arrays: leep(arrays["Ps"], arrays["yt"]),
    "logme": lambda arrays: logme(arrays["Ft"], arrays["yt"]),
    "transrate": lambda arrays: transrate(arrays["Ft"], arrays["yt"]),
}


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_equal_the_golden_numbers(shared_root: Path, metric: str) -> None:
    compared = 0
    for name, arrays, expected in _entries(shared_root):
        number = expected.get(metric, {}).get("expected")
        if number is not None:
            assert METRICS[metric](arrays) == pytest.approx(number, rel=1e-9, abs=1e-12), name
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("metric", METRICS)
def test_where_there_is_no_sensible_number_there_is_an_error(shared_root: Path, metric: str) -> None:
    for name, arrays, expected in _entries(shared_root):
        if expected.get(metric, {}).get("expected", 0) is None:
            if name == "perfect_fit":
                assert np.isfinite(METRICS[metric](arrays))
            else:
                with pytest.raises(MetricError):
                    METRICS[metric](arrays)


def test_sample_weighted_transrate_equals_the_golden_numbers(shared_root: Path) -> None:
    for name, arrays, expected in _entries(shared_root):
        number = expected.get("transrate", {}).get("sample_weighted")
        if number is not None:
            value = transrate(arrays["Ft"], arrays["yt"], class_weights="sample")
            assert value == pytest.approx(number, rel=1e-9, abs=1e-12), name


def test_gaussian_wasserstein_between_class_halves_equals_the_golden_numbers(shared_root: Path) -> None:
    for name, arrays, expected in _entries(shared_root):
        halves = expected.get("ccfv", {})
        for label, entry in halves.get("class_halves", halves).items():
            if label == "variety" or entry["expected"] is None:
                continue
            features = arrays["Ft"][arrays["yt"] == int(label)]
            half = len(features) // 2
            distance = gaussian_wasserstein(features[:half], features[half:])
            assert distance == pytest.approx(entry["expected"], rel=1e-6, abs=entry.get("atol", 1e-9)), name


def test_mean_inverse_distance_equals_the_golden_variety(shared_root: Path) -> None:
    for name, arrays, expected in _entries(shared_root):
        variety = expected.get("ccfv", {}).get("variety", expected.get("variety"))
        if variety and variety["expected"] is not None:
            vectors = arrays["Ft"][arrays.get("variety_idx", slice(None))]
            assert mean_inverse_distance(vectors) == pytest.approx(variety["expected"], rel=1e-9), name

"""H-score and shrinkage H-score: by hand, by definition, on golden numbers, and where sums lose their digits."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from medtrans.metrics import h_score, shrinkage_h_score

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def clusters(seed: int, n_samples: int = 60, n_features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_samples) % 3)
    return rng.normal(size=(3, n_features))[labels] + rng.normal(size=(n_samples, n_features)), labels


def by_definition(features: np.ndarray, labels: np.ndarray) -> float:
    conditional_means = np.zeros_like(features)
    for label in np.unique(labels):
        conditional_means[labels == label] = features[labels == label].mean(axis=0)
    between = np.atleast_2d(np.cov(conditional_means, rowvar=False))
    return float(np.trace(np.linalg.solve(np.atleast_2d(np.cov(features, rowvar=False)), between)))


def test_two_features_by_hand() -> None:
    """Class means -1, 1 and within-class variance 1: between 1, total 2. The second feature knows nothing."""
    features = np.array([[-2, 1], [0, 1], [-2, -1], [0, -1], [0, 1], [2, 1], [0, -1], [2, -1]], dtype=float)
    assert h_score(features, [0, 0, 0, 0, 1, 1, 1, 1]) == pytest.approx(1 / 2)


def test_classes_without_scatter_in_general_position_score_k_minus_1() -> None:
    corners = np.array([[0, 0], [1, 0], [0, 1]], dtype=float)
    assert h_score(np.repeat(corners, 4, axis=0), np.repeat([0, 1, 2], 4)) == pytest.approx(2)


def test_classes_without_scatter_on_a_line_score_1() -> None:
    """One feature explains one direction of the labels, however many classes there are."""
    assert h_score(np.repeat([[0.0], [1.0], [2.0]], 4, axis=0), np.repeat([0, 1, 2], 4)) == pytest.approx(1)


def test_features_that_do_not_depend_on_the_label_score_0() -> None:
    assert h_score(np.tile([[1.0, 2], [3, 4], [5, 9]], (2, 1)), [0, 0, 0, 1, 1, 1]) == pytest.approx(0, abs=1e-12)


def test_random_features_score_about_what_chance_gives() -> None:
    """The score of D irrelevant features is about D (K - 1) / N."""
    rng = np.random.default_rng(0)
    assert h_score(rng.normal(size=(20_000, 10)), rng.integers(0, 3, 20_000)) == pytest.approx(1e-3, rel=1)


def test_two_samples() -> None:
    assert h_score([[0.0, 1], [1, 3]], [0, 1]) == pytest.approx(1)
    assert h_score([[2.0, 1], [2, 1]], [0, 1]) == 0


@few
@given(seed=seeds)
def test_equals_the_definition(seed: int) -> None:
    features, labels = clusters(seed)
    assert h_score(features, labels) == pytest.approx(by_definition(features, labels), rel=1e-9)


@few
@given(seed=seeds, n_samples=st.integers(4, 40), n_features=st.integers(1, 40))
def test_bounds_for_any_shape(seed: int, n_samples: int, n_features: int) -> None:
    features, labels = clusters(seed, n_samples, n_features)
    score = h_score(features, labels)
    assert 0 <= score <= min(n_features, 2) + 1e-9
    if n_features >= n_samples - 1:
        assert score == pytest.approx(2)


@few
@given(seed=seeds)
def test_an_invertible_map_of_the_features_changes_nothing(seed: int) -> None:
    features, labels = clusters(seed)
    mixing = np.random.default_rng(seed).normal(size=(5, 5)) + 3 * np.eye(5)
    assert h_score(features @ mixing, labels) == pytest.approx(h_score(features, labels), rel=1e-6)


@few
@given(seed=seeds)
def test_copies_sums_and_constants_of_columns_change_nothing(seed: int) -> None:
    features, labels = clusters(seed)
    redundant = [features, features[:, :2], features.sum(axis=1)[:, None], np.full((len(features), 1), 0.7)]
    assert h_score(np.hstack(redundant), labels) == pytest.approx(h_score(features, labels), rel=1e-9)


@few
@given(seed=seeds)
def test_relabelling_with_gaps_and_order_of_samples_change_nothing(seed: int) -> None:
    features, labels = clusters(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    renamed = np.array([4, 0, 2])[labels]
    assert h_score(features[order], renamed[order]) == pytest.approx(h_score(features, labels), rel=1e-9)


@few
@given(seed=seeds)
def test_taking_every_sample_twice_changes_nothing(seed: int) -> None:
    features, labels = clusters(seed)
    twice = h_score(np.repeat(features, 2, axis=0), np.repeat(labels, 2))
    assert twice == pytest.approx(h_score(features, labels), rel=1e-9)


@pytest.mark.parametrize("share", [1e-3, 1e-6, 1e-9])
def test_a_direction_hidden_behind_a_large_one_counts_in_full(share: float) -> None:
    """A copy of a column plus a little of a new one spans the same plane as the two columns: the same score."""
    features, labels = clusters(1, n_samples=300)
    hidden = np.column_stack([features[:, 0], features[:, 0] + share * features[:, 1]])
    assert h_score(hidden, labels) == pytest.approx(h_score(features[:, :2], labels), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_units_do_not_matter(scale: float) -> None:
    features, labels = clusters(2)
    assert h_score(features * scale, labels) == pytest.approx(h_score(features, labels), rel=1e-9)
    assert shrinkage_h_score(features * scale, labels) == pytest.approx(shrinkage_h_score(features, labels), rel=1e-9)


def test_columns_of_very_different_units() -> None:
    features, labels = clusters(3)
    assert h_score(features * [1e-30, 1e-10, 1, 1e10, 1e30], labels) == pytest.approx(
        h_score(features, labels), rel=1e-9
    )


def test_offsets_do_no_harm() -> None:
    features, labels = clusters(4)
    offset = (features + 1e4).astype(np.float32)
    assert h_score(offset, labels) == pytest.approx(by_definition(offset.astype(np.float64) - 1e4, labels), rel=1e-9)
    offset = features + 2.0**27
    assert h_score(offset, labels) == pytest.approx(by_definition(offset - 2.0**27, labels), rel=1e-9)


def test_samples_sorted_by_distant_classes() -> None:
    """The rows that the sums are moved by are spread over the array, not taken from its beginning."""
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1, 2], 20_000)
    features = rng.normal(size=(60_000, 3)) + 1e6 * np.eye(3)[0] * (labels > 0)[:, None]
    features[:, 1] += labels == 2
    order = rng.permutation(60_000)
    assert h_score(features, labels) == pytest.approx(h_score(features[order], labels[order]), rel=1e-9)


@pytest.mark.parametrize("metric", [h_score, shrinkage_h_score])
@pytest.mark.parametrize("shape", [(3, 3), (40, 3)])
def test_one_class_has_nothing_between_classes(metric, shape: tuple[int, int]) -> None:
    assert metric(np.random.default_rng(0).normal(size=shape), np.ones(shape[0])) == pytest.approx(0, abs=1e-12)


def test_shrinkage_equals_scikit_learn() -> None:
    features, labels = clusters(6, n_samples=30, n_features=12)
    fitted = LedoitWolf().fit(features)
    means = np.array([features[labels == label].mean(axis=0) for label in range(3)])[labels]
    expected = (1 - fitted.shrinkage_) * np.trace(fitted.precision_ @ np.cov(means, rowvar=False))
    assert shrinkage_h_score(features, labels) == pytest.approx(expected, rel=1e-9)


@few
@given(seed=seeds, n_features=st.integers(1, 60))
def test_shrinkage_is_bounded(seed: int, n_features: int) -> None:
    features, labels = clusters(seed, 30, n_features)
    assert 0 <= shrinkage_h_score(features, labels) <= 2 * 30 / 29


def test_shrinkage_without_variance_is_0() -> None:
    assert shrinkage_h_score(np.ones((4, 3)), [0, 1, 0, 1]) == 0


@pytest.mark.parametrize("metric", [h_score, shrinkage_h_score])
def test_golden_numbers(shared_root: Path, metric) -> None:
    golden = json.loads((shared_root / "golden/expected.json").read_text())
    compared = 0
    with np.load(shared_root / "golden/cases.npz") as arrays:
        for name, entry in (golden["cases"] | golden["probes"]).items():
            expected = entry.get("metrics", entry).get(metric.__name__, {}).get("expected")
            group = "cases" if name in golden["cases"] else "probes"
            features, labels = arrays[f"{group}/{name}/Ft"], arrays[f"{group}/{name}/yt"]
            if expected is None or len(np.unique(labels)) == 1:
                continue
            assert metric(features, labels) == pytest.approx(expected, rel=1e-9, abs=1e-12), name
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("metric", [h_score, shrinkage_h_score])
def test_memory_stays_far_below_a_copy_of_the_features(metric) -> None:
    features = np.random.default_rng(7).normal(size=(200_000, 32)).astype(np.float32)
    labels = np.arange(200_000) % 3
    tracemalloc.start()
    metric(features, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < features.nbytes / 2

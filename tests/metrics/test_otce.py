"""OTCE and its kin: by hand, on golden numbers, bounds, bad input."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrans.errors import ConvergenceError, MetricError
from medtrans.metrics import jc_otce, learn_otce_coefficients, otce, otce_sim, transported_labels
from medtrans.metrics.label_based import conditional_entropy
from medtrans.transport import couple, scale_of, squared_euclidean, transport_cost

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)
Quartet = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def pixels(seed: int = 0, n_source: int = 40, n_target: int = 50) -> Quartet:
    rng = np.random.default_rng(seed)
    source_labels, target_labels = np.arange(n_source) % 4, rng.permutation(np.arange(n_target) % 3)
    centres = 2 * rng.normal(size=(4, 3))
    source = centres[source_labels] + rng.normal(size=(n_source, 3))
    return source, source_labels, centres[target_labels] + rng.normal(size=(n_target, 3)), target_labels


def entropy(labels: np.ndarray) -> float:
    shares = np.bincount(labels) / len(labels)
    return float(-(shares * np.log(shares)).sum())


def test_matching_classes_give_no_task_difference() -> None:
    """Two far clusters, moved by 0.5: the label of the partner tells the label, and each pixel pays 0.25."""
    source, labels = np.repeat([[0.0], [100.0]], 5, axis=0), np.repeat([0, 1], 5)
    result = otce(source, labels, source + 0.5, labels, solver="exact")
    assert result.task_difference == pytest.approx(0, abs=1e-12)
    assert result.domain_difference == pytest.approx(0.25)
    assert result.converged
    assert otce_sim(source, labels, source + 0.5, labels) == pytest.approx(0, abs=1e-2)


def test_labels_that_tell_nothing_give_the_entropy_of_the_target() -> None:
    """One source class: H(Y_t | Y_s) = H(Y_t), here of shares 1/4 and 3/4."""
    source, _, target, _ = pixels(n_target=52)
    labels = np.arange(52) % 4 == 0
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert otce_sim(source, np.zeros(40), target, labels) == pytest.approx(-expected, rel=1e-5)


def test_half_of_a_cluster_by_hand() -> None:
    """Source class 0 at 0 and class 1 at 10; both pixels at 0 of the target differ in label, both at 10 do not.

    Given Y_s = 0 the target label is even odds, given Y_s = 1 it is sure: W_T = log(2) / 2.
    """
    result = otce(
        [[0.0], [0.0], [10.0], [10.0]], [0, 0, 1, 1], [[0.0], [0.1], [10.0], [10.1]], [0, 1, 1, 1], solver="exact"
    )
    assert result.task_difference == pytest.approx(np.log(2) / 2)
    assert result.score == -result.task_difference


def test_coefficients_make_the_score() -> None:
    plain, weighted = otce(*pixels()), otce(*pixels(), coefficients=(-0.5, -2.0, 3.0))
    assert weighted.score == pytest.approx(-0.5 * plain.domain_difference - 2 * plain.task_difference + 3)
    assert otce_sim(*pixels()) == pytest.approx(-plain.task_difference, rel=1e-6)


@few
@given(seed=seeds)
def test_task_difference_is_between_0_and_the_entropy_of_the_target(seed: int) -> None:
    source, source_labels, target, target_labels = pixels(seed)
    for metric in (otce_sim, jc_otce):
        assert -entropy(target_labels) - 1e-6 <= metric(source, source_labels, target, target_labels) <= 0


@few
@given(seed=seeds)
def test_moving_turning_scaling_and_shuffling_change_nothing(seed: int) -> None:
    source, source_labels, target, target_labels = pixels(seed)
    rng = np.random.default_rng(seed)
    turn, order = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.permutation(len(source))
    moved = otce(7 * source[order] @ turn + 20, source_labels[order] * 3 - 1, 7 * target @ turn + 20, target_labels)
    still = otce(source, source_labels, target, target_labels)
    assert moved.task_difference == pytest.approx(still.task_difference, abs=1e-5)
    assert moved.domain_difference == pytest.approx(49 * still.domain_difference, rel=1e-5)


@few
@given(seed=seeds)
def test_taking_every_pixel_twice_changes_nothing(seed: int) -> None:
    arrays = pixels(seed)
    twice = otce(*(np.repeat(array, 2, axis=0) for array in arrays))
    assert twice.task_difference == pytest.approx(otce(*arrays).task_difference, abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_of_1e30(dtype: type) -> None:
    source, source_labels, target, target_labels = pixels()
    huge = otce((source * 1e30).astype(dtype), source_labels, (target * 1e30).astype(dtype), target_labels)
    plain = otce(source, source_labels, target, target_labels)
    assert huge.task_difference == pytest.approx(plain.task_difference, rel=1e-5)
    assert huge.domain_difference == pytest.approx(1e60 * plain.domain_difference, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_beyond_float64_are_an_error(scale: float) -> None:
    source, source_labels, target, target_labels = pixels()
    with pytest.raises(MetricError, match="rescale them"):
        otce(source * scale, source_labels, target * scale, target_labels)


def test_torch_tensors() -> None:
    tensors = [torch.from_numpy(array) for array in pixels()]
    assert otce(*tensors) == otce(*pixels())


GOLDEN = {
    "otce_exact": ({"solver": "exact"}, 1e-9),
    "otce_sinkhorn_normalised": ({"cost_scale": "max"}, 1e-5),
    "otce_sinkhorn_raw": ({"cost_scale": None}, 1e-5),
}


@pytest.mark.parametrize("entry", GOLDEN)
def test_golden_numbers(shared_root: Path, entry: str) -> None:
    settings, tolerance = GOLDEN[entry]
    cases = json.loads((shared_root / "golden/expected.json").read_text())["cases"]
    with np.load(shared_root / "golden/cases.npz") as arrays:
        for name in cases.keys() - {"c09_large"}:  # ten seconds of iterations on the raw cost
            result = otce(*(arrays[f"cases/{name}/{key}"] for key in ("Fs", "ys", "Ft", "yt")), **settings)
            expected = cases[name][entry]
            assert result.domain_difference == pytest.approx(expected["wasserstein"], rel=tolerance), name
            assert result.task_difference == pytest.approx(expected["conditional_entropy"], rel=tolerance), name


def test_golden_probes(shared_root: Path) -> None:
    probes = json.loads((shared_root / "golden/expected.json").read_text())["probes"]
    compared = 0
    with np.load(shared_root / "golden/cases.npz") as arrays:
        for name in probes:
            expected = probes[name]["metrics"].get("otce", {}).get("expected")
            if expected is not None:
                quartet = (arrays[f"probes/{name}/{key}"] for key in ("Fs", "ys", "Ft", "yt"))
                result = otce(*quartet, solver="exact")
                assert result.domain_difference == pytest.approx(expected["wasserstein"], rel=1e-9), name
                assert result.task_difference == pytest.approx(expected["conditional_entropy"], rel=1e-9), name
                compared += 1
    assert compared >= 5


@pytest.mark.parametrize("epsilon", [0.1, 0.02])
def test_differences_of_many_pixels_are_right_to_a_thousandth(epsilon: float) -> None:
    """1,200 x 1,000 pixels, in float32, against POT's plan in float64."""
    source, source_labels, target, target_labels = arrays = pixels(n_source=1200, n_target=1000)
    cost = squared_euclidean(source, target)
    costs = ot.dist(source, target)
    plan = ot.sinkhorn([], [], costs, epsilon * scale_of(cost, "trimmed"), stopThr=1e-10, numItermax=20_000)
    joint = np.eye(4)[source_labels].T @ plan @ np.eye(3)[target_labels]
    found = otce(*arrays, epsilon=epsilon)
    assert found.task_difference == pytest.approx(conditional_entropy(joint), abs=1e-3)
    assert found.domain_difference == pytest.approx((plan * costs).sum(), rel=1e-3)


def test_jc_otce_without_label_term_is_otce_sim() -> None:
    assert jc_otce(*pixels(), gamma=1) == pytest.approx(otce_sim(*pixels()), rel=1e-6)


def test_jc_otce_draws_pixels_of_similar_classes_together() -> None:
    """Source classes at 0 and 10; each target class has one pixel astray in the other's cluster.

    By features alone the strays are coupled to the wrong class. By label distance (26 on average to the
    own class, 76 to the other) all keep to their own: W_T = 0.
    """
    source, source_labels = [[0.0], [0.1], [10.0], [10.1]], [0, 0, 1, 1]
    target, target_labels = [[0.0], [0.1], [0.2], [10.2], [9.8], [9.9], [10.0], [0.3]], [0, 0, 0, 0, 1, 1, 1, 1]
    arrays = (source, source_labels, target, target_labels)
    assert otce_sim(*arrays, solver="exact") == pytest.approx(-entropy(np.array([0, 1, 1, 1])))
    assert jc_otce(*arrays, solver="exact", gamma=0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("solver", ["sinkhorn", "exact"])
def test_jc_otce_with_classes_of_one_pixel_and_coinciding_classes(solver: str) -> None:
    value = jc_otce([[0.0], [1.0], [1.0]], [0, 1, 1], [[0.0], [1.0], [2.0]], [0, 1, 1], solver=solver)
    assert -np.log(3) <= value <= 0


def test_coefficients_of_an_exact_relation_are_found() -> None:
    differences = np.random.default_rng(0).random((10, 2)) * [1e4, 1]
    accuracies = -3e-5 * differences[:, 0] - 0.2 * differences[:, 1] + 0.9
    assert learn_otce_coefficients(differences, accuracies) == pytest.approx((-3e-5, -0.2, 0.9))


@pytest.mark.parametrize(
    "differences", [[[1.0, 2], [3, 5]], [[1.0, 2], [2, 4], [3, 6], [4, 8]], [[1.0, 2], [1, 3], [1, 5], [1, 4]]]
)
def test_underdetermined_coefficients_are_an_error(differences: list) -> None:
    with pytest.raises(MetricError, match="transfers do not fix three coefficients"):
        learn_otce_coefficients(differences, np.arange(len(differences), dtype=float))


def test_coefficients_need_two_columns() -> None:
    with pytest.raises(MetricError, match=r"expected W_D and W_T, shape \(n, 2\), found \(4, 3\)"):
        learn_otce_coefficients(np.ones((4, 3)), np.ones(4))


def test_features_of_different_width_are_an_error() -> None:
    source, source_labels, target, target_labels = pixels()
    with pytest.raises(MetricError, match="source_features have 2 columns, target_features 3"):
        otce(source[:, :2], source_labels, target, target_labels)


def test_gamma_is_a_weight() -> None:
    with pytest.raises(MetricError, match=r"gamma is 1\.5"):
        jc_otce(*pixels(), gamma=1.5)


def test_non_convergence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtrans.transport.sinkhorn.MAX_ITERATIONS", 3)
    with pytest.raises(ConvergenceError, match="use a larger epsilon"):
        otce(*pixels(), epsilon=1e-3)


def test_memory_is_one_float32_kernel() -> None:
    """2,000 x 2,000 in float32 are 16 MB; the block that finds the largest cost is as large, but gone by then."""
    arrays = pixels(n_source=2000, n_target=2000)
    tracemalloc.start()
    otce(*arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 16e6 < peak < 24e6


def two_clouds() -> Quartet:
    """2,000 pixels on either side, in two classes whose centres are 6.9 standard deviations apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2
    source, target = (rng.normal(size=(2000, 2)) + 6.9 * labels[:, None] * [1, 0] for _ in range(2))
    return source, labels, target, labels


@pytest.mark.parametrize("times", [8, 100, 1000])
def test_one_far_pixel_does_not_move_the_default(times: float) -> None:
    """Where the largest cost is the scale, eight times as far is enough for the floor, -H(Y_t) = -0.693."""
    near = two_clouds()
    far = (near[0] * np.where(np.arange(2000) == 1, times, 1)[:, None], *near[1:])
    assert otce_sim(*near, cost_scale="max") == pytest.approx(-0.308, abs=2e-3)
    assert otce_sim(*far, cost_scale="max") == pytest.approx(-0.692, abs=2e-3)
    assert otce_sim(*far) == pytest.approx(otce_sim(*near), abs=1e-3)


def wide_and_tight(seed: int, n_pixels: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Class 0 with a standard deviation of 3.3 in each of eight features, class 1 of 0.1 and elsewhere."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_pixels) % 2
    spread = np.where(labels == 0, 3.3, 0.1)[:, None]
    return rng.normal(size=(n_pixels, 8)) * spread + 0.5 * labels[:, None], labels


def label_distances(*arrays: np.ndarray, **settings) -> np.ndarray:
    pixels = transported_labels._Pixels.of(*arrays)
    return transported_labels._label_distances(pixels, **({"regularization": 8.0, "solver": "sinkhorn"} | settings))


def exact_distances(
    source: np.ndarray, source_labels: np.ndarray, target: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    return np.array(
        [
            [ot.emd2([], [], ot.dist(source[source_labels == s], target[labels == t])) for t in np.unique(labels)]
            for s in np.unique(source_labels)
        ]
    )


def test_a_wide_class_is_nearer_to_itself_than_to_a_tight_one() -> None:
    """The cost of the entropic plan, without the self terms taken off, is 116 to itself and 78 to the other."""
    source, target = wide_and_tight(0), wide_and_tight(1)
    costs = [squared_euclidean(source[0][source[1] == 0], target[0][target[1] == label]) for label in (0, 1)]
    biased = [transport_cost(couple(cost, cost_scale="max"), cost) for cost in costs]
    distances = label_distances(*source, *target)
    assert biased[0] > 110 > 90 > biased[1]
    assert distances[0, 0] < distances[0, 1]


def test_equal_classes_lie_at_no_distance() -> None:
    features, labels = wide_and_tight(0)
    distances = label_distances(features, labels, features, labels)
    assert np.diag(distances) == pytest.approx(0, abs=1e-6)
    assert (distances[[0, 1], [1, 0]] > 50).all()


@pytest.mark.parametrize("seed", range(3))
def test_label_distances_are_near_those_of_exact_transport_where_the_entropy_is_small(seed: int) -> None:
    arrays = (*wide_and_tight(seed), *wide_and_tight(seed + 1))
    expected = exact_distances(*arrays)
    assert label_distances(*arrays, solver="exact") == pytest.approx(expected)
    found = label_distances(*arrays, regularization=0.5)
    assert (found >= 0).all()
    assert found == pytest.approx(expected, rel=0.01, abs=0.1)


def test_where_nearly_all_pixels_coincide_the_mean_is_the_scale() -> None:
    features = np.zeros((1000, 8))
    features[:8] = np.random.default_rng(0).normal(size=(8, 8))
    labels = np.arange(1000) % 2
    trimmed, mean = (otce_sim(features, labels, features, labels, cost_scale=scale) for scale in ("trimmed", "mean"))
    assert trimmed == mean

"""Couplings: against POT's, against what can be derived by hand, stored or not, on NumPy and on torch."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrans.errors import ConvergenceError, MetricError
from medtrans.transport import Arrays, couple, joint_cost, kernel, sinkhorn, squared_euclidean, transport_cost

few = settings(max_examples=15, deadline=None)


def clouds(seed: int = 0, n_source: int = 40, n_target: int = 50, n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_source, n_features)), rng.normal(size=(n_target, n_features)) + 0.5


def plan(cost, **settings) -> np.ndarray:
    """The whole plan: the expectation of pixel indicators."""
    return couple(cost, **settings).expectation(np.eye(len(cost.left)), np.eye(len(cost.right)))


def distances(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.square(source[:, None] - target[None]).sum(axis=2)


def trimmed_mean(source: np.ndarray, target: np.ndarray) -> float:
    """Of 40 x 50 costs: the farthest of each side weighs 0.6 of a pixel, or 0.5."""
    weights = []
    for cloud in (source, target):
        radius = np.linalg.norm(cloud - target.mean(axis=0), axis=1)
        weights.append(np.where(radius == radius.max(), 1 - 0.01 * len(cloud), 1.0))
    return float(np.average(np.average(distances(source, target), axis=0, weights=weights[0]), weights=weights[1]))


@few
@given(
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from([0, 1e4, 2.0**27]),
    scale=st.sampled_from([1e-30, 1, 1e30]),
)
def test_cost_is_the_squared_distance(seed: int, offset: float, scale: float) -> None:
    source, target = ((cloud + offset) * scale for cloud in clouds(seed))
    cost = squared_euclidean(source, target)
    expected = distances(source / scale, target / scale)
    assert cost.dense() * (cost.unit / scale**2) == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert cost.largest() == pytest.approx(cost.dense().max(), rel=1e-5)
    assert cost.mean() == pytest.approx(cost.dense().mean())


def test_no_pixel_of_many_moves_the_trimmed_mean() -> None:
    source, target = clouds(n_source=300, n_target=200)
    moved = source.copy()
    moved[7] *= 1e4
    still, changed = squared_euclidean(source, target), squared_euclidean(moved, target)
    assert changed.trimmed_mean() * changed.unit == pytest.approx(still.trimmed_mean() * still.unit, rel=0.02)
    assert changed.mean() * changed.unit > 1e4 * still.mean() * still.unit


def test_the_trimmed_mean_of_coinciding_pixels_falls_back_on_the_mean() -> None:
    source, target = np.zeros((300, 2)), np.zeros((200, 2))
    source[7] = 1.0
    cost = squared_euclidean(source, target)
    assert cost.trimmed_mean() == pytest.approx(cost.mean())
    assert couple(cost).group_masses == pytest.approx(np.full((1, 200), 1 / 200))


def test_float32_features_far_from_the_origin_keep_their_distances() -> None:
    source, target = ((cloud + 1e4).astype(np.float32) for cloud in clouds())
    cost = squared_euclidean(source, target)
    expected = distances(source.astype(np.float64), target.astype(np.float64))
    assert cost.dense() * cost.unit == pytest.approx(expected, rel=1e-9, abs=1e-9)


@few
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-5, 5), n_features=st.integers(1, 8))
def test_the_largest_cost_is_found_though_most_pairs_are_skipped(seed: int, shift: float, n_features: int) -> None:
    source, target = clouds(seed, n_features=n_features)
    cost = squared_euclidean(source + shift, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medtrans.transport.cost.SCAN_SIZE", 60)
        assert cost.largest() == pytest.approx(cost.dense().max(), rel=1e-5)


def test_joint_cost_adds_label_distances() -> None:
    source, target = clouds()
    source_codes, target_codes = np.arange(40) % 2, np.arange(50) % 3
    between_labels = np.array([[1.0, 2, 3], [4, 5, 6]])
    cost = joint_cost(source, source_codes, target, target_codes, between_labels, gamma=0.3)
    expected = 0.3 * distances(source, target) + 0.7 * between_labels[np.ix_(source_codes, target_codes)]
    assert cost.dense() * cost.unit == pytest.approx(expected)
    assert cost.largest() * cost.unit == pytest.approx(expected.max(), rel=1e-5)


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.04, 0.01])
@pytest.mark.parametrize("cost_scale", ["max", "mean", "trimmed", None])
def test_plan_equals_pots(epsilon: float, cost_scale: str | None) -> None:
    """From float32 (0.04 of the maximum) to float64 with annealing (0.01 of a raw cost of up to 40)."""
    source, target = clouds()
    costs = distances(source, target)
    scale = {"max": costs.max(), "mean": costs.mean(), "trimmed": trimmed_mean(source, target), None: 1.0}[cost_scale]
    expected = ot.sinkhorn(
        [], [], costs, epsilon * scale, method="sinkhorn_log", stopThr=1e-10, numItermax=20_000, warn=False
    )
    found = plan(squared_euclidean(source, target), epsilon=epsilon, cost_scale=cost_scale)
    assert np.abs(found - expected).sum() < 1e-4


def test_marginals_are_uniform() -> None:
    found = plan(squared_euclidean(*clouds()))
    assert found.sum(axis=1) == pytest.approx(np.full(40, 1 / 40), rel=1e-4)
    assert found.sum(axis=0) == pytest.approx(np.full(50, 1 / 50), rel=1e-5)


@pytest.mark.parametrize("factor", [8.0, 100.0])
def test_large_clouds_with_a_far_pixel_equal_pots(factor: float) -> None:
    """1,100 x 1,000 pixels, in float32 and from a few rows first, which the far pixel is not among."""
    source, target = clouds(n_source=1100, n_target=1000)
    source[1] *= factor / np.linalg.norm(source[1])
    costs = distances(source, target)
    cost = squared_euclidean(source, target)
    coupling = couple(cost, epsilon=1.0, cost_scale=None)
    expected = ot.sinkhorn([], [], costs - costs.min(axis=1, keepdims=True), 1.0, stopThr=1e-9)
    assert coupling.kernel.dtype == np.float32
    assert coupling.group_masses == pytest.approx(np.full((1, 1000), 1 / 1000))
    assert np.abs(coupling.expectation(np.eye(1100), np.eye(1000)) - expected).sum() < 4e-3
    entropic = costs + np.log(np.maximum(1100 * 1000 * expected, 1e-300))
    assert coupling.objective * cost.unit == pytest.approx((expected * entropic).sum(), rel=1e-5)


@pytest.mark.parametrize("distance", [30.0, 1000.0])
def test_far_pixels_on_both_sides_find_each_other(distance: float) -> None:
    """Two far source pixels share one far target pixel: from a few rows first, in float32, and from all in float64."""
    source, target = clouds(n_source=1100, n_target=1000)
    source[[1, 5]], target[3] = distance, distance
    found = plan(squared_euclidean(source, target), epsilon=1.0, cost_scale=None)
    assert found[[1, 5], 3].sum() == pytest.approx(1 / 1000, rel=1e-3)


@few
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 4), epsilon=st.sampled_from([0.1, 0.05, 0.034]))
def test_outliers_do_not_leave_the_range_of_float32(seed: int, spread: float, epsilon: float) -> None:
    source, target = clouds(seed)
    source = source * 10 ** (spread * np.random.default_rng(seed).random((40, 1)))
    found = plan(squared_euclidean(source, target), epsilon=epsilon)
    assert np.isfinite(found).all()
    assert np.abs(found.sum(axis=1) - 1 / 40).sum() < 1e-4


def test_coinciding_pixels_are_coupled_independently() -> None:
    cost = squared_euclidean(np.ones((3, 2)), np.ones((4, 2)))
    assert plan(cost) == pytest.approx(np.full((3, 4), 1 / 12))
    with pytest.raises(MetricError, match="all features coincide"):
        couple(cost, solver="exact")


def test_exact_transport_of_a_shift_costs_its_square() -> None:
    """Points on a line moved by 0.3 each, less than half their distance: each keeps its partner."""
    source = np.arange(6.0)[:, None]
    cost = squared_euclidean(source, source[::-1] + 0.3)
    coupling = couple(cost, solver="exact")
    assert coupling.expectation(np.eye(6), np.eye(6)) == pytest.approx(np.eye(6)[::-1] / 6)
    assert transport_cost(coupling, cost) == pytest.approx(0.09)


@pytest.mark.parametrize("solver", ["sinkhorn", "exact"])
def test_transport_cost_is_the_sum_over_the_plan(solver: str) -> None:
    source, target = clouds()
    cost = squared_euclidean(source, target)
    expected = (plan(cost, solver=solver) * distances(source, target)).sum()
    assert transport_cost(couple(cost, solver=solver), cost) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("epsilon", [0.1, 0.005])
def test_a_recomputed_kernel_gives_the_plan_of_a_stored_one(monkeypatch: pytest.MonkeyPatch, epsilon: float) -> None:
    cost = squared_euclidean(*clouds())
    stored = plan(cost, epsilon=epsilon)
    monkeypatch.setattr(kernel, "MIN_STRIP_ROWS", 7)
    monkeypatch.setattr(kernel, "STORED_BYTES", 0)
    assert plan(cost, epsilon=epsilon) == pytest.approx(stored, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("strip_size", [1, 120, 10**6])
def test_strips_of_any_size_give_the_same_plan(strip_size: int) -> None:
    cost = squared_euclidean(*clouds())
    arrays = Arrays(np, "cpu", strip_size)
    assert plan(cost, arrays=arrays) == pytest.approx(plan(cost), rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"epsilon": 0.005}, {"solver": "exact"}])
def test_masses_of_groups_are_sums_over_rows_of_the_plan(settings: dict) -> None:
    cost = squared_euclidean(*clouds())
    whole = plan(cost, **settings)
    arrays = Arrays(np, "cpu", 3 * 50)
    masses = couple(cost, **settings, arrays=arrays, group_sizes=[1, 16, 23]).group_masses
    expected = [whole[:1].sum(axis=0), whole[1:17].sum(axis=0), whole[17:].sum(axis=0)]
    assert masses == pytest.approx(np.array(expected), rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("epsilon", [0.1, 0.005])
def test_torch_and_numpy_agree(epsilon: float) -> None:
    """The code that runs on a GPU, on the CPU."""
    cost = squared_euclidean(*clouds())
    found = plan(cost, epsilon=epsilon, arrays=Arrays.torch(torch.device("cpu")))
    assert found == pytest.approx(plan(cost, epsilon=epsilon), rel=1e-3, abs=1e-9)


def test_few_iterations_at_the_default_regularisation() -> None:
    """Those on a few rows, which are most, are counted too."""
    assert couple(squared_euclidean(*clouds(n_source=1100, n_target=1000))).n_iterations <= 20


def test_acceleration_survives_a_regularisation_at_which_plain_sinkhorn_is_slow() -> None:
    """Plain Sinkhorn takes 20,000 iterations for such a ratio of cost and regularisation."""
    coupling = couple(squared_euclidean(*clouds(n_features=20)), epsilon=5e-5)
    assert coupling.n_iterations < 2000


def test_giving_up_names_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinkhorn, "MAX_ITERATIONS", 2)
    with pytest.raises(ConvergenceError, match="after 2 iterations; use a larger epsilon, cost_scale='max', or solver"):
        couple(squared_euclidean(*clouds()))


@pytest.mark.parametrize("epsilon", [1e-12, 1e-320])
def test_a_hopeless_regularisation_is_refused_at_once(epsilon: float) -> None:
    with pytest.raises(ConvergenceError, match="under a billionth of the largest cost; use a larger epsilon"):
        couple(squared_euclidean(*clouds()), epsilon=epsilon)


@pytest.mark.parametrize("wildness", [0.1, 1e6])
def test_a_wild_step_is_survived(monkeypatch: pytest.MonkeyPatch, wildness: float) -> None:
    """One correction of the acceleration gone wild: the plan is the same."""
    cost = squared_euclidean(*clouds())
    expected, calm = plan(cost), sinkhorn._Anderson._correction
    calls = []

    def wild(self, residual: np.ndarray) -> np.ndarray:
        calls.append(len(calls))
        return calm(self, residual) + (wildness * np.arange(50) if len(calls) == 2 else 0.0)

    monkeypatch.setattr(sinkhorn._Anderson, "_correction", wild)
    assert plan(cost) == pytest.approx(expected, rel=1e-3)
    assert len(calls) > 2


def test_no_regularisation_takes_the_kernel_out_of_range() -> None:
    cost = squared_euclidean(*clouds())
    steep = kernel.GibbsKernel(cost, 1e-6, np.zeros(50), Arrays.numpy())
    rows = np.vstack([strip for _, _, strip in steep._strips()])
    assert rows.max(axis=1) == pytest.approx(np.ones(40))
    assert rows.min() >= 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "exakt"}, "unknown solver 'exakt': did you mean 'exact'"),
        ({"cost_scale": "median"}, "unknown cost_scale 'median': use 'trimmed', 'mean', 'max', or None"),
        ({"epsilon": 0.0}, "epsilon is 0.0, but must be positive"),
        ({"epsilon": float("nan")}, "epsilon is nan, but must be positive"),
    ],
)
def test_unknown_settings_are_errors(settings: dict, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        couple(squared_euclidean(*clouds()), **settings)


def test_exact_transport_refuses_what_does_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtrans.transport.exact.MAX_BYTES", 1000)
    with pytest.raises(MetricError, match="40 x 50 costs take too much memory; use solver='sinkhorn'"):
        couple(squared_euclidean(*clouds()), solver="exact")

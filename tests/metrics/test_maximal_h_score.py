from __future__ import annotations

import numpy as np
import pytest
from scipy.stats.contingency import association

from medtrans.errors import MetricError
from medtrans.metrics import h_score, maximal_h_score_ace, maximal_h_score_neural, normalized_h_score


def _discrete(seed: int, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """x of five values; y of three classes, which x makes more or less likely."""
    rng = np.random.default_rng(seed)
    x = rng.integers(5, size=n_samples)
    chances = np.array([[8, 1, 1], [1, 8, 1], [1, 1, 8], [4, 4, 2], [3, 3, 4]]) / 10
    return x, np.array([rng.choice(3, p=chances[value]) for value in x])


def test_ace_is_the_h_score_of_all_functions_of_x() -> None:
    x, y = _discrete(0, 500)
    assert maximal_h_score_ace(x, y) == pytest.approx(h_score(np.eye(5)[x], y))


def test_ace_is_chi_square_over_n() -> None:
    x, y = _discrete(1, 300)
    table = np.zeros((5, 3), dtype=int)
    np.add.at(table, (x, y), 1)
    cramer = association(table, method="cramer")  # sqrt(chi^2 / N / (min(rows, columns) - 1))
    assert maximal_h_score_ace(x, y) == pytest.approx(2 * cramer**2)


def test_fewer_functions_reach_less_and_enough_reach_all() -> None:
    x, y = _discrete(2, 400)
    one, two, all_of_them = (maximal_h_score_ace(x, y, n_functions=k) for k in (1, 2, None))
    assert 0 < one < two == pytest.approx(all_of_them)
    with pytest.raises(MetricError, match="n_functions"):
        maximal_h_score_ace(x, y, n_functions=0)


def test_ace_at_its_ends() -> None:
    y = np.arange(60) % 3
    assert maximal_h_score_ace(y, y) == pytest.approx(2)
    assert maximal_h_score_ace(np.arange(60) // 3 % 4, y) == pytest.approx(0, abs=1e-12)


def test_the_network_comes_near_ace_where_both_apply() -> None:
    x, y = _discrete(3, 4000)
    angles = 2 * np.pi * x / 5
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    estimate = maximal_h_score_neural(points, y, rng=np.random.default_rng(0))
    assert estimate == pytest.approx(maximal_h_score_ace(x, y), rel=0.1)


def test_the_network_needs_a_curve_and_finds_it() -> None:
    # labels in rings: no linear feature tells them apart
    rng = np.random.default_rng(4)
    y = rng.integers(2, size=1500)
    angles = rng.uniform(0, 2 * np.pi, size=1500)
    x = (1 + 2 * y)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    assert h_score(x, y) < 0.05
    assert maximal_h_score_neural(x, y, steps=60) > 0.9


def test_normalized_h_score() -> None:
    """All functions of x reach the maximum, up to what chance adds to it in sample; two of them a part."""
    x, y = _discrete(5, 4000)
    features = np.eye(5)[x][:, :2]
    maximal = maximal_h_score_ace(x, y)
    share = normalized_h_score(features, y, maximal=maximal)
    assert share == pytest.approx(h_score(features, y) / maximal, abs=0.03)
    assert 0.4 < share < 0.8
    assert normalized_h_score(np.eye(5)[x], y, maximal=maximal) == pytest.approx(1, abs=0.03)
    with pytest.raises(MetricError, match="no maximum"):
        normalized_h_score(features, y, maximal=maximal * share / 2)
    with pytest.raises(MetricError, match="positive"):
        normalized_h_score(features, y, maximal=0)


@pytest.mark.parametrize("seed", range(3))
def test_useless_features_reach_next_to_nothing_of_the_maximum(seed: int) -> None:
    """In sample, 200 of them on 400 pixels explain half of the labels: several times the held-out maximum."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(400, 2)), np.arange(400) % 2
    x[:, 0] += 0.7 * y
    useless = rng.normal(size=(400, 200))
    maximal = maximal_h_score_neural(x, y)
    assert h_score(useless, y) > 2 * maximal
    assert normalized_h_score(useless, y, maximal=maximal) < 0.15


def test_the_best_features_reach_the_held_out_maximum() -> None:
    """Of two classes near each other, whose most likely label is nearly linear in x."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=3000)
    x = 0.7 * y[:, None] + rng.normal(size=(3000, 2))
    assert normalized_h_score(x, y, maximal=maximal_h_score_neural(x, y)) > 0.9


def test_too_little_to_train_on() -> None:
    with pytest.raises(MetricError, match="too few"):
        maximal_h_score_neural(np.ones((4, 2)), [0, 1, 0, 1])
    with pytest.raises(MetricError, match="1 class"):
        maximal_h_score_neural(np.ones((20, 2)), np.zeros(20))
    with pytest.raises(MetricError, match="target_features: 4 samples of 2 classes are too few"):
        normalized_h_score(np.ones((4, 2)), [0, 1, 0, 1], maximal=1)
    with pytest.raises(MetricError, match="target_labels: 1 class"):
        normalized_h_score(np.ones((20, 2)), np.zeros(20), maximal=1)

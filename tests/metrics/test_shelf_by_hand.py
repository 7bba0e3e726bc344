"""Values that follow from the definition by hand, or by a second, slower formula."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from medtrans.errors import MetricError
from medtrans.metrics import (
    cc_fv,
    gaussian_wasserstein,
    gbc,
    leep,
    logme,
    logme_regression,
    nce,
    nleep,
    transrate,
    zero_shot_dice,
)


def _clusters(rng: np.random.Generator, n_samples: int, n_features: int, n_classes: int, distance: float = 3.0):
    labels = np.arange(n_samples) % n_classes
    centres = distance * rng.normal(size=(n_classes, n_features))
    return centres[labels] + rng.normal(size=(n_samples, n_features)), labels


def test_nce_of_a_prediction_that_halves_the_choice() -> None:
    # given z = 0 the label is 0 or 1 with equal chance, given z = 1 it is 2: H = 2/3 log 2
    assert nce([0, 0, 1], [0, 1, 2]) == pytest.approx(-2 / 3 * np.log(2))


def test_zero_shot_dice_by_hand() -> None:
    # class 1: one of one predicted, two labelled: 2/3; class 2: both predicted, one labelled: 2/3; class 3: never
    # predicted: 0; class 5 is not labelled, and 0 is background
    assert zero_shot_dice([1, 2, 2, 5, 0], [1, 1, 2, 0, 3]) == pytest.approx(4 / 9)


def test_zero_shot_dice_of_right_predictions_is_one_and_of_background_alone_an_error() -> None:
    labels = np.array([0, 1, 2, 1])
    assert zero_shot_dice(labels, labels) == 1
    assert zero_shot_dice(labels, labels[:, None]) == 1
    with pytest.raises(MetricError, match="all are 0"):
        zero_shot_dice(labels, np.zeros(4, int))


def test_leep_by_hand() -> None:
    # P(y=0|z=0) = 0.8 and P(y=0|z=1) = 0.2, and the mirror for y = 1: 0.8 0.8 + 0.2 0.2 at both samples
    assert leep([[0.8, 0.2], [0.2, 0.8]], [0, 1]) == pytest.approx(np.log(0.68))


def test_leep_of_certain_predictions_is_nce() -> None:
    rng = np.random.default_rng(0)
    predictions, labels = rng.integers(4, size=200), rng.integers(3, size=200)
    assert leep(np.eye(4)[predictions], labels) == pytest.approx(nce(predictions, labels))


@pytest.mark.parametrize(("n_samples", "n_features"), [(40, 3), (12, 30)])
def test_logme_is_the_maximum_of_the_gaussian_density(n_samples: int, n_features: int) -> None:
    rng = np.random.default_rng(n_samples)
    features, labels = _clusters(rng, n_samples, n_features, 2, distance=0.5)

    def loss(logs: np.ndarray, target: np.ndarray) -> float:
        alpha, beta = np.exp(np.clip(logs, -25, 25))
        covariance = np.eye(n_samples) / beta + features @ features.T / alpha
        return -float(multivariate_normal(np.zeros(n_samples), covariance).logpdf(target)) / n_samples

    expected = []
    for label in (0, 1):
        starts = [(0.0, 0.0), (3.0, 3.0), (6.0, 1.0)]
        target = (labels == label).astype(float)
        fits = [
            minimize(loss, s, (target,), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-13}) for s in starts
        ]
        expected.append(-min(fit.fun for fit in fits))
    assert logme(features, labels) == pytest.approx(np.mean(expected), rel=1e-8)


def test_logme_of_useless_features_is_the_evidence_without_them() -> None:
    # each feature is orthogonal to both indicators: the weights' precision goes to infinity, y ~ N(0, I / beta)
    features, labels = np.array([[1.0], [-1], [1], [-1]]), [0, 0, 1, 1]
    assert logme(features, labels) == pytest.approx(-0.5 * (np.log(2 * np.pi * 0.5) + 1))


def test_logme_regression_of_an_indicator_is_logme_of_its_class() -> None:
    rng = np.random.default_rng(3)
    features, labels = _clusters(rng, 60, 4, 3)
    indicators = np.eye(3)[labels]
    assert logme_regression(features, indicators) == pytest.approx(logme(features, labels), rel=1e-12)
    assert logme_regression(features, 100 * indicators) == pytest.approx(logme(features, labels) - np.log(100))
    with pytest.raises(MetricError, match="target_values: a column is zero"):
        logme_regression(features, np.zeros(60))


def test_logme_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = _clusters(np.random.default_rng(4), 101, 5, 3)
    whole = logme(features, labels)
    monkeypatch.setattr(import_module("medtrans.metrics.log_evidence"), "BLOCK_ROWS", 10)
    assert logme(features, labels) == pytest.approx(whole, rel=1e-13)


def test_transrate_by_hand() -> None:
    # centred: -1 (twice), 1 (twice). R(Z) = R(Z_c) = log(1 + 1 / eps) / 2, so the classes explain nothing of scatter
    features, labels = np.array([[0.0], [0], [2], [2]]), [0, 0, 1, 1]
    assert transrate(features, labels) == pytest.approx(0, abs=1e-12)
    # in two axes: each class keeps one of the two directions; e = 2 / (4 eps) overall, 2 / (2 eps) within
    features = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert transrate(features, labels, epsilon=0.5) == pytest.approx(np.log(1 + 1) - 0.5 * np.log(1 + 2))


def test_only_sample_weights_keep_transrate_from_falling_below_zero() -> None:
    # the rare class is wide: with equal weights its rate outweighs that of all samples, which log det forbids
    rng = np.random.default_rng(5)
    features = np.vstack([rng.normal(size=(400, 2)), 30 * rng.normal(size=(5, 2))])
    labels = np.repeat([0, 1], [400, 5])
    assert transrate(features, labels) < 0 < transrate(features, labels, class_weights="sample")


def test_gbc_of_two_unit_gaussians() -> None:
    # one axis, variance 1 in each class, means 2 apart: D_B = 4 / 8, twice counted
    features, labels = np.array([[-2.0], [0], [0], [2]]), [0, 0, 1, 1]
    assert gbc(features, labels) == pytest.approx(-2 * np.exp(-0.5))
    assert gbc(features, labels, covariance="spherical") == pytest.approx(-2 * np.exp(-0.5))


def test_gbc_of_equal_means_and_different_variances() -> None:
    # D_B = 1/2 ln(((1 + 4) / 2) / sqrt(1 4)) = 1/2 ln 1.25
    features, labels = np.array([[-1.0], [1], [-2], [2]]), [0, 0, 1, 1]
    assert gbc(features, labels) == pytest.approx(-2 / np.sqrt(1.25))


def test_nleep_tells_clusters_from_noise() -> None:
    rng = np.random.default_rng(6)
    features, labels = _clusters(rng, 300, 6, 3, distance=5)
    assert nleep(features, labels) > -0.01
    noise = nleep(features, rng.integers(3, size=300))
    assert noise < -0.9


def test_gaussian_wasserstein_by_hand() -> None:
    # in one axis: distance of the means squared plus that of the standard deviations squared
    first, second = np.array([[-1.0], [1]]), np.array([[1.0], [7]])
    assert gaussian_wasserstein(first, second) == pytest.approx(np.sqrt(4**2 + (3 * 2**0.5 - 2**0.5) ** 2))
    # commuting covariances, diag(2, 0) and diag(0, 2): W^2 = 2 + 2
    assert gaussian_wasserstein([[1.0, 0], [-1, 0]], [[0.0, 1], [0, -1]]) == pytest.approx(2)


def test_cc_fv_by_hand() -> None:
    # unit vectors e1, -e1 twice each; within a class both images show the same points but for a factor 3
    features = np.array([[1.0], [-1], [3], [-3], [1], [-1], [3], [-3]])
    labels, images = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1]
    inconsistency = 2 * (3 * 2**0.5 - 2**0.5)  # two classes, each sigma 2^0.5 against 3 2^0.5
    # 8 points: of the 7 others of each, 3 coincide, 4 lie 2 apart
    energy = (3 / np.sqrt(1e-3) + 4 / np.sqrt(4 + 1e-3)) / 7
    assert cc_fv(features, labels, target_images=images) == pytest.approx(-np.log(energy * inconsistency))


def test_cc_fv_prefers_classes_alike_between_images() -> None:
    rng = np.random.default_rng(7)
    features, labels = _clusters(rng, 400, 5, 2)
    images = rng.integers(4, size=400)
    moved = features + 4 * rng.normal(size=(4, 5))[images]
    assert cc_fv(features, labels, target_images=images) > cc_fv(moved, labels, target_images=images)

"""Discriminants and correlations with the labels, held against slow references of the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from medtrans.errors import MetricError
from medtrans.metrics import h_score, logme
from medtrans.metrics.discriminants import lfc, ped, sfda


def data(seed: int, n_classes: int = 3, apart: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(n_classes), 12)
    return rng.normal(size=(len(labels), 4)) + apart * np.eye(4)[labels], labels


def test_correlation_by_hand() -> None:
    # Two pixels of one class at -1, two of the other at 1: the Gram matrix is the label kernel itself.
    assert lfc([[-1.0], [-1.0], [1.0], [1.0]], [0, 0, 1, 1]) == pytest.approx(1)
    # Labels that the feature does not follow: sum_c (sum of its features)^2 is 0.
    assert lfc([[-1.0], [1.0], [-1.0], [1.0]], [0, 0, 1, 1]) == pytest.approx(0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_correlation_of_all_pairs(seed: int, n_classes: int) -> None:
    features, labels = data(seed, n_classes)
    gram = (features - features.mean(axis=0)) @ (features - features.mean(axis=0)).T
    kernel = np.where(labels[:, None] == labels, 1.0, -1.0)
    # the Gram matrix of centred features has mean 0, so this is Pearson's correlation
    assert lfc(features, labels) == pytest.approx(np.corrcoef(gram.ravel(), kernel.ravel())[0, 1])


def slow_sfda(features: np.ndarray, labels: np.ndarray) -> float:
    """The published steps, one pixel at a time, on scikit-learn's discriminant where it can serve."""
    classes, n = np.unique(labels), len(labels)

    def within(x):
        return sum(np.cov(x[labels == c].T, bias=True) * (labels == c).mean() for c in classes)

    shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within(features)).max()), 1e-10)

    def posterior(x):
        covariance = within(x)
        size = np.trace(covariance) / len(covariance)
        inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * size * np.eye(len(covariance)))
        means = np.array([x[labels == c].mean(axis=0) for c in classes])
        odds = x @ inverse @ means.T - 0.5 * np.diag(means @ inverse @ means.T)
        odds = odds + np.log([(labels == c).mean() for c in classes])
        return np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)

    sure = np.exp(posterior(features))
    sure /= sure.sum(axis=1, keepdims=True)
    means = np.array([features[labels == c].mean(axis=0) for c in classes])
    moved = features.copy()
    for i in range(n):
        q, others = sure[i, labels[i]], [means[c] for c in classes if c != labels[i]]
        moved[i] = q * features[i] + (1 - q) * np.mean(others, axis=0)
    return float(posterior(moved)[np.arange(n), labels].mean())


@pytest.mark.parametrize("seed", range(4))
def test_self_challenge_as_published(seed: int) -> None:
    features, labels = data(seed)
    assert sfda(features, labels) == pytest.approx(slow_sfda(features, labels))


def test_without_doubt_it_is_the_discriminant() -> None:
    # Far apart, p is 1 for the right class, q = e / (e + 1) of two: pixels move, and yet are told apart for sure.
    features, labels = data(0, 2, apart=30)
    assert LinearDiscriminantAnalysis().fit(features, labels).score(features, labels) == 1
    assert sfda(features, labels) == pytest.approx(1, abs=1e-6)


def test_classes_that_do_not_overlap_are_judged_as_they_are() -> None:
    # Two balls of radius 2 R touch at a distance of 4 R; standardised, four points at +-1 have R near 0.
    features, labels = np.array([[0.0], [0.01], [1.0], [1.01]]), np.array([0, 0, 1, 1])
    assert ped(features, labels) == pytest.approx(logme(features, labels))
    assert ped(features, labels, base="h_score") == pytest.approx(h_score(features, labels))


def test_overlapping_classes_are_pushed_apart() -> None:
    features, labels = data(1, 2, apart=0.3)
    assert ped(features, labels, base="h_score") > h_score(features, labels)
    assert ped(features, labels) > logme(features, labels)


@given(st.integers(0, 2**32 - 1))
def test_bounds_and_order(seed: int) -> None:
    features, labels = data(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    for metric in (lfc, sfda):
        assert 0 <= metric(features, labels) <= 1
    for metric in (lfc, sfda, ped):
        assert metric(features[order], labels[order]) == pytest.approx(metric(features, labels))


@pytest.mark.parametrize("metric", [lfc, sfda])
def test_constant_features_have_no_value(metric) -> None:
    with pytest.raises(MetricError, match=r"constant|do not vary"):
        metric(np.ones((6, 2)), [0, 1] * 3)


def test_another_base_is_refused() -> None:
    with pytest.raises(MetricError, match="base is 'leep'; choose logme or h_score"):
        ped(*data(0), base="leep")

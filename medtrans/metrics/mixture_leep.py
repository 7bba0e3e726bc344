"""N-LEEP: LEEP with the components of a Gaussian mixture in place of the source's classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from medtrans.errors import MetricError
from medtrans.metrics.arrays import Floats, as_features, as_labels, centred
from medtrans.metrics.label_based import leep

ENERGY = 0.8
COMPONENTS_PER_CLASS = 5
CANONICAL_DECIMALS = 9


def nleep(target_features: Any, target_labels: Any, *, rng: np.random.Generator | None = None) -> float:
    r"""LEEP of soft clusters of the target features, for sources whose head is missing or says nothing.

    Principal components that keep 80 % of the variance; a Gaussian mixture with 5 K components for K classes; its
    posteriors :math:`P(v | x)` replace the source's probabilities in `leep`.

    The components are divided by the standard deviation of the first, so that the value does not depend on the unit of
    the features (scikit-learn's floor on variances would). The mixture is a local optimum found from a random start, so
    the value depends on ``rng`` and on the order of samples. Without ``rng`` the start is the same each time.
    scikit-learn warns (ConvergenceWarning) where samples repeat so often that some components stay empty.

    Args:
        target_features: floating, shape (N, D), N at least 5 K.
        target_labels: integers, shape (N,).
        rng: the random start of the mixture; ``numpy.random.default_rng(0)`` when None.

    Returns:
        Nats, between -H(Y) and 0. Higher is better. Identical features say nothing: -H(Y).

    Raises:
        MetricError: fewer samples than mixture components, NaN, or arrays of different length.

    Source: Li et al., "Ranking neural checkpoints", CVPR 2021.
    """
    features = as_features(target_features)
    labels, n_classes = as_labels(target_labels, len(features))
    n_components = COMPONENTS_PER_CLASS * n_classes
    if len(features) < n_components:
        raise MetricError(
            f"target_features: {len(features)} samples cannot carry nleep's {n_components} mixture components "
            f"({COMPONENTS_PER_CLASS} per class); sample more pixels"
        )
    components = principal_components(features, ENERGY)
    if components.shape[1] == 0:
        return leep(np.ones((len(features), 1)), labels)
    components = _canonical(components / components[:, 0].std())
    generator = np.random.default_rng(0) if rng is None else rng
    mixture = GaussianMixture(n_components, random_state=int(generator.integers(2**31)))
    return leep(mixture.fit(components).predict_proba(components), labels)


def _canonical(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same components whatever signs and last digits the decomposition left.

    The search for a mixture is chaotic: a difference in the last digit, as a rotation of the features makes, can end
    it in another optimum.
    """
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=0)[None], axis=0)
    return np.asarray(np.round(components * np.sign(largest), CANONICAL_DECIMALS) + 0.0)  # + 0.0: no negative zeros


def principal_components(features: Floats, energy: float) -> NDArray[np.float64]:
    """Scores on the fewest principal axes that keep a share ``energy`` of the variance; none for identical samples.

    In units of the largest deviation from the mean, so that squares neither overflow nor vanish.
    """
    deviations = centred(features)
    largest = np.abs(deviations).max()
    if largest == 0:
        return np.empty((len(features), 0))
    left, singular, _ = np.linalg.svd(deviations / largest, full_matrices=False)
    share = np.cumsum(singular**2) / np.sum(singular**2)
    n_kept = int(np.searchsorted(share, energy - 1e-12)) + 1
    return np.asarray(left[:, :n_kept] * singular[:n_kept], dtype=np.float64)

"""The linear discriminant in closed form, from the moments of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from medtrans.metrics.arrays import one_hot


@dataclass(frozen=True, eq=False)
class ClassMoments:
    """What a linear discriminant needs to know of labelled features.

    Attributes:
        mass: float64 (K,), the weight of each class, above 0.
        means: float64 (K, D).
        within: float64 (D, D), covariance of the features around the mean of their class.
    """

    mass: NDArray[np.float64]
    means: NDArray[np.float64]
    within: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        features: NDArray[np.float64],
        labels: NDArray[np.int64],
        n_classes: int,
        weights: NDArray[np.float64] | None = None,
    ) -> ClassMoments:
        """Of features (N, D) with labels 0 to K - 1, each of which occurs; weights (N,), None: 1."""
        weight = np.ones(len(features)) if weights is None else weights
        mass = np.asarray(np.bincount(labels, weight, n_classes), dtype=np.float64)
        means = class_means(features, labels, n_classes, weight)
        within = features - means[labels]
        return cls(mass, means, within.T @ (within * weight[:, None]) / mass.sum())

    def discriminant(self, ridge: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r"""Slopes (D, K) and offsets (K,) of the scores :math:`\delta_c(x)`, whose softmax are class probabilities.

        .. math:: \delta_c(x) = \mu_c^T \Sigma^{-1} x - \tfrac12 \mu_c^T \Sigma^{-1} \mu_c + \log \pi_c

        ``ridge``, above 0, is added to the diagonal of the covariance :math:`\Sigma`.
        """
        covariance = self.within.copy()
        covariance[np.diag_indices_from(covariance)] += ridge
        slopes = np.asarray(cho_solve(cho_factor(covariance), self.means.T))
        return slopes, np.log(self.mass / self.mass.sum()) - 0.5 * np.einsum("kd,dk->k", self.means, slopes)


def class_means(
    features: NDArray[np.float64], labels: NDArray[np.int64], n_classes: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Mean of each class's features, (K, D)."""
    weighted = features if weights is None else features * weights[:, None]
    return np.asarray((one_hot(labels, n_classes).T @ weighted) / np.bincount(labels, weights, n_classes)[:, None])

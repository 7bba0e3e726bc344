"""GBC: how much the classes overlap in feature space, each taken as a Gaussian."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError, did_you_mean
from medtrans.metrics.arrays import as_features, as_labels, one_hot, require_classes
from medtrans.metrics.mixture_leep import principal_components

Covariance = Literal["diagonal", "spherical"]
MAX_COMPONENTS = 64
VARIANCE_FLOOR = 1e-4  # of the mean variance of a component


def gbc(target_features: Any, target_labels: Any, *, covariance: Covariance = "diagonal") -> float:
    r"""Negative sum of Bhattacharyya coefficients over ordered pairs of classes.

    .. math::
        GBC = -\sum_{i \ne j} e^{-D_B(i, j)}, \qquad
        D_B = \tfrac18 (\mu_i - \mu_j)^\top \Sigma^{-1} (\mu_i - \mu_j)
              + \tfrac12 \ln \frac{|\Sigma|}{\sqrt{|\Sigma_i| |\Sigma_j|}}, \quad
        \Sigma = \tfrac12 (\Sigma_i + \Sigma_j)

    on the first 64 principal components, with variances (1/N) at least 1e-4 of the mean variance of a component. The
    public code floors at 1e-4 itself, which makes the value depend on the unit of the features; ours does not.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,), at least two classes.
        covariance: one variance per component and class, or one per class.

    Returns:
        Between -K (K - 1), all classes alike, and 0, no overlap. Higher is better.

    Raises:
        MetricError: an unknown covariance, fewer than two classes, NaN, or arrays of different length.

    Source: Pandy et al., "Transferability estimation using Bhattacharyya class separability", CVPR 2022.
    """
    if covariance not in get_args(Covariance):
        raise MetricError(f"unknown covariance '{covariance}': {did_you_mean(str(covariance), get_args(Covariance))}")
    features = as_features(target_features)
    labels, n_classes = as_labels(target_labels, len(features))
    require_classes(n_classes)
    components = principal_components(features, energy=1.0)[:, :MAX_COMPONENTS]
    if components.shape[1] == 0:
        return -float(n_classes * (n_classes - 1))
    means, variances = _class_gaussians(components, labels, n_classes)
    if covariance == "spherical":
        variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), variances.shape)
    variances = np.maximum(variances, VARIANCE_FLOOR * components.var(axis=0).mean())
    overlap = np.exp(-_bhattacharyya_distances(means, variances))
    return -float(overlap.sum() - np.trace(overlap))


def _class_gaussians(
    components: NDArray[np.float64], labels: NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    members = one_hot(labels, n_classes).T
    counts = np.bincount(labels)[:, None]
    means = members @ components / counts
    return means, members @ (components - means[labels]) ** 2 / counts


def _bhattacharyya_distances(means: NDArray[np.float64], variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between all pairs of K axis-aligned Gaussians, shape (K, K)."""
    pooled = (variances[:, None] + variances[None]) / 2
    shift = (means[:, None] - means[None]) ** 2 / pooled
    logs = np.log(variances)
    spread = np.log(pooled) - (logs[:, None] + logs[None]) / 2
    return np.asarray((shift / 8 + spread / 2).sum(axis=2), dtype=np.float64)

"""TransRate: how much shorter the features' code becomes when the classes are known."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError, did_you_mean
from medtrans.metrics.arrays import above_rounding, as_features, as_labels, centred

ClassWeights = Literal["equal", "sample"]


def transrate(
    target_features: Any,
    target_labels: Any,
    *,
    epsilon: float = 1e-4,
    class_weights: ClassWeights = "equal",
) -> float:
    r"""Coding rate of all features minus the mean coding rate of each class.

    .. math::
        R(Z) = \tfrac12 \log\det\!\Big(I + \frac{1}{N \epsilon} Z^\top Z\Big), \qquad
        TrR = R(Z) - \sum_c w_c R(Z_c)

    Z is centred once, on the mean of all samples. ``class_weights="equal"`` is the paper's listing and tllib,
    :math:`w_c = 1/K`. ``"sample"`` is the paper's equation, :math:`w_c = N_c / N`: only then is the value a gain in
    code length, never negative (log det is concave), so prefer it when classes are imbalanced. The authors' code also
    scales each sample to unit length and divides by the rank; we follow the paper.

    Args:
        target_features: floating, shape (N, D). The value depends on their unit: compare sources of like scale only.
        target_labels: integers, shape (N,).
        epsilon: squared distortion allowed by the code, in squared units of the features; positive.
        class_weights: weight of each class's rate.

    Returns:
        Nats. With ``"sample"`` at least 0, and 0 when there is one class only; with ``"equal"`` any real number.
        Higher is better.

    Raises:
        MetricError: an unknown setting, columns of too different size for float64, NaN, or arrays of different length.

    Source: Huang et al., "Frustratingly easy transferability estimation", ICML 2022.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise MetricError(f"epsilon is {epsilon}, but must be positive and finite")
    known = get_args(ClassWeights)
    if class_weights not in known:
        raise MetricError(f"unknown class_weights '{class_weights}': {did_you_mean(str(class_weights), known)}")
    features = as_features(target_features)
    labels, n_classes = as_labels(target_labels, len(features))
    deviations = centred(features)
    shares = np.bincount(labels) / len(labels) if class_weights == "sample" else np.full(n_classes, 1 / n_classes)
    rates = [_coding_rate(deviations[labels == label], epsilon) for label in range(n_classes)]
    return _coding_rate(deviations, epsilon) - float(shares @ rates)


def _coding_rate(features: NDArray[np.float64], epsilon: float) -> float:
    singular = np.linalg.svd(features, compute_uv=False)
    singular = singular[above_rounding(singular, features, "target_features")]
    log_squares = 2 * np.log(singular) - np.log(len(features) * epsilon)  # the squares themselves could overflow
    return float(0.5 * np.logaddexp(0, log_squares).sum())

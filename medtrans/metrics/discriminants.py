"""How well classes are told apart: shrunk discriminants, classes pushed apart, and the correlation with the labels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from medtrans.errors import MetricError
from medtrans.metrics.arrays import as_features, labelled, one_hot
from medtrans.metrics.h_scores import h_score
from medtrans.metrics.linear_discriminant import ClassMoments, class_means
from medtrans.metrics.log_evidence import logme

_FLOOR = 1e-10  # of the shrinkage
_STEPS, _TIME_STEP, _RADIUS, _EXIT = 6, 0.1, 2.0, 0.5  # as the public code sets them


def lfc(target_features: Any, target_labels: Any) -> float:
    r"""Label-feature correlation: Pearson correlation of the features' Gram matrix with the labels' over all pairs.

    With centred features X (N x D), one-hot labels O and the label kernel Y = 2 O O^T - 1, which is 1 for pixels of one
    class and -1 for others:

    .. math:: LFC = \frac{\sum_{ij} (XX^T)_{ij} Y_{ij}}{\|XX^T\| \, \|Y - \bar Y\|}
        = \frac{2 \|X^T O\|^2}{\|X^T X\| \sqrt{N^2 - (2 \sum_c N_c^2 - N^2)^2 / N^2}}

    (Frobenius norms); the N x N matrices are never formed.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,).

    Returns:
        0 to 1. Higher is better.

    Raises:
        MetricError: one class, constant features, arrays that do not fit.

    Source: arXiv 2102.00084.
    """
    shifted, labels, n_classes, _ = labelled(target_features, target_labels)
    n = len(shifted)
    gram = float(np.linalg.norm(shifted.T @ shifted))
    if gram == 0:
        raise MetricError("target_features: are constant, so they correlate with nothing; look at another layer")
    counts = np.bincount(labels).astype(np.float64)
    spread = np.sqrt(n**2 - (2 * (counts**2).sum() - n**2) ** 2 / n**2)
    by_class = one_hot(labels, n_classes).T @ shifted
    return float(min(2 * (by_class**2).sum() / (gram * spread), 1.0))


def sfda(target_features: Any, target_labels: Any) -> float:
    r"""Self-challenging Fisher discriminant: confidence in the right class after unsure pixels were made harder.

    A linear discriminant with within-class covariance shrunk by :math:`\lambda = \max(e^{-5 \sigma}, 10^{-10})`,
    :math:`\sigma` its largest eigenvalue, gives probabilities p(c | x). Each pixel is then pulled towards the mean of
    the other classes' means in proportion to its doubt, with :math:`q = softmax(p)`:

    .. math:: x' = q_y x + (1 - q_y) \frac{1}{K - 1} \sum_{c \neq y} \mu_c

    and the discriminant is fitted again, with the same shrinkage: the score is the mean of :math:`p'(y | x')`. The
    public code estimates the eigenvalue by three rounds of power iteration; here it is exact.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,).

    Returns:
        0 to 1. Higher is better.

    Raises:
        MetricError: one class, constant features, arrays that do not fit.

    Source: Shao et al., "Not all models are equal: predicting model transferability in a self-challenging Fisher
    space", ECCV 2022.
    """
    features, labels, n_classes, size = labelled(target_features, target_labels)
    means = class_means(features, labels, n_classes)
    within = features - means[labels]
    largest = float(np.linalg.eigvalsh(within.T @ within / len(features))[-1])
    shrinkage = max(math.exp(-5 * min(largest * size * size, 100.0)), _FLOOR)
    doubt = softmax(_posterior(features, labels, n_classes, shrinkage), axis=1)[np.arange(len(labels)), labels]
    elsewhere = (means.sum(axis=0) - means) / (n_classes - 1)
    moved = doubt[:, None] * features + (1 - doubt[:, None]) * elsewhere[labels]
    return float(_posterior(moved, labels, n_classes, shrinkage)[np.arange(len(labels)), labels].mean())


def ped(target_features: Any, target_labels: Any, *, base: Literal["logme", "h_score"] = "logme") -> float:
    r"""A metric after potential energy descent: classes that overlap push each other apart first.

    On features of mean 0 and variance 1, each class is a ball around its mean :math:`\mu_c` of radius 2 times
    :math:`R_c`, the root of its total variance. Two balls that overlap repel each other by
    :math:`F = \max(2 (R_a + R_b) - \|\mu_a - \mu_b\|, 0)`, and the classes move along the line between their means by
    :math:`\min(\tfrac12 t^2 F, F)`, t = 0.1; at most 6 steps, until they move less than half as far as at first. Then
    the features, scaled back, are judged by the base metric. The public code scales by the features of ImageNet's
    validation images, which a pool of segmentation sources has no counterpart of; here by the target's own.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,).
        base: the metric that judges.

    Returns:
        As the base metric. Higher is better.

    Raises:
        MetricError: another base, one class, constant features, arrays that do not fit.

    Source: Li et al., "Exploring model transferability through the lens of potential energy", ICCV 2023.
    """
    if base not in ("logme", "h_score"):
        raise MetricError(f"base is '{base}'; choose logme or h_score")
    given = as_features(target_features)
    features, labels, n_classes, size = labelled(given, target_labels)
    scale = np.maximum(features.std(axis=0), 1e-9)
    scaled, first = features / scale, 0.0
    for step in range(_STEPS):
        push = _repulsion(scaled, labels, n_classes)
        moved = float(np.abs(push).sum())
        first = first or moved
        if (step and moved <= _EXIT * first) or not moved:
            break
        scaled = scaled + push[labels]
    return (logme if base == "logme" else h_score)(scaled * scale * size + given.mean(axis=0, dtype=np.float64), labels)


def _posterior(
    features: NDArray[np.float64], labels: NDArray[np.int64], n_classes: int, shrinkage: float
) -> NDArray[np.float64]:
    """Class probabilities (N, K) of the discriminant of these very pixels."""
    moments = ClassMoments.of(features, labels, n_classes)
    size = float(np.trace(moments.within)) / len(moments.within)
    if size <= 0:
        raise MetricError("target_features: do not vary within classes; look at another layer")
    shrunk = replace(moments, within=(1 - shrinkage) * moments.within)
    slopes, offsets = shrunk.discriminant(max(shrinkage, _FLOOR) * size)
    return np.asarray(softmax(features @ slopes + offsets, axis=1))


def _repulsion(features: NDArray[np.float64], labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """How far each class moves in a step, (K, D)."""
    means = class_means(features, labels, n_classes)
    within = features - means[labels]
    radius = np.sqrt((one_hot(labels, n_classes).T @ (within**2)).sum(axis=1) / np.bincount(labels))
    push = np.zeros_like(means)
    for a in range(n_classes):
        for b in range(a + 1, n_classes):
            line = means[a] - means[b]
            distance = float(np.linalg.norm(line))
            force = max(_RADIUS * (radius[a] + radius[b]) - distance, 0.0)
            if distance > 0 and force > 0:
                step = min(0.5 * _TIME_STEP**2 * force, force) * line / distance
                push[a] += step
                push[b] -= step
    return push

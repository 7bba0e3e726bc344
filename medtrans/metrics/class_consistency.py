"""CC-FV: are the classes alike from image to image, and do the features fill their space?"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from medtrans.errors import MetricError
from medtrans.metrics.arrays import as_features, as_labels

OFFSET = 1e-3
ROUNDING = 1e-14
BLOCK_ROWS = 512


def cc_fv(target_features: Any, target_labels: Any, *, target_images: Any | None = None) -> float:
    r"""Log ratio of feature variety and class inconsistency.

    .. math::
        T = \log \frac{F_v}{C}, \qquad
        C = \sum_k \operatorname{mean}_{i < j} W_2(F_i^k, F_j^k), \qquad
        F_v = \Big(\operatorname{mean}_{i < j} \big(|v_i - v_j|^2 + 10^{-3}\big)^{-1/2}\Big)^{-1}

    :math:`F_i^k` are the features of class k in image i, taken as a Gaussian; v are the features scaled to unit length.
    The authors' released code departs from their paper (its consistency is not normalised, its variety is not on the
    sphere); we follow the paper, with s = 1, the mean over pairs in place of the sum, and the code's offset 1e-3, which
    keeps coinciding features finite. A class that fewer than two images show with two samples each is left out.

    Args:
        target_features: floating, shape (N, D). The value depends on their unit and offset: compare like with like.
        target_labels: integers, shape (N,).
        target_images: integers, shape (N,): which image each sample is from. When None, the samples of each class are
            split into a first and a second half in the order given, so the order matters.

    Returns:
        Any real number. Higher is better.

    Raises:
        MetricError: no class has two images (halves) of two samples; classes do not differ at all between images; NaN.

    Cost: N^2 D, in blocks.

    Source: Yang et al., "Pick the best pre-trained model: towards transferability estimation for medical image
    segmentation", MICCAI 2023.
    """
    features = as_features(target_features).astype(np.float64)
    labels, n_classes = as_labels(target_labels, len(features))
    images = None if target_images is None else as_labels(target_images, len(features), "target_images")[0]
    distances = [
        _mean_distance(_groups(features[labels == label], None if images is None else images[labels == label]))
        for label in range(n_classes)
    ]
    seen = [distance for distance in distances if distance is not None]
    if not seen:
        raise MetricError("target_labels: no class has two samples in each of two images; sample more pixels or images")
    if sum(seen) == 0:
        raise MetricError("target_features: no class differs between images, so cc_fv has no value; are they copies?")
    return float(-np.log(mean_inverse_distance(_on_sphere(features))) - np.log(sum(seen)))


def gaussian_wasserstein(first: Any, second: Any) -> float:
    r"""2-Wasserstein distance between Gaussians fitted to two sets of samples (covariances with N - 1).

    .. math::
        W_2^2 = |\mu_1 - \mu_2|^2 + tr \Sigma_1 + tr \Sigma_2 - 2\, tr (\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2})^{1/2}

    The last trace is the nuclear norm of :math:`A_1 A_2^\top` for any roots :math:`\Sigma_i = A_i^\top A_i`, here those
    of a QR decomposition: no matrix root, and singular covariances are no trouble.

    Args:
        first: floating, shape (N, D), N at least 2.
        second: floating, shape (M, D), M at least 2.

    Returns:
        At least 0, in the unit of the features. Less than rounding can tell (about 1e-7 of their spread) counts as 0.
    """
    one, two = as_features(first, "first").astype(np.float64), as_features(second, "second").astype(np.float64)
    if min(len(one), len(two)) < 2 or one.shape[1] != two.shape[1]:
        raise MetricError(f"first, second: shapes {one.shape} and {two.shape}; give two samples each, of equal width")
    unit = max(np.abs(one).max(), np.abs(two).max()) or 1.0  # squares of 1e200 would overflow
    one, two = one / unit, two / unit
    shift = one.mean(axis=0) - two.mean(axis=0)
    root_one, root_two = _covariance_root(one), _covariance_root(two)
    common = np.linalg.svd(root_one @ root_two.T, compute_uv=False).sum()
    spread = (root_one**2).sum() + (root_two**2).sum()
    squared = shift @ shift + max(spread - 2 * common, 0.0)
    return float(unit * np.sqrt(squared)) if squared > ROUNDING * spread else 0.0


def mean_inverse_distance(vectors: Any) -> float:
    r"""Mean over pairs of :math:`(|v_i - v_j|^2 + 10^{-3})^{-1/2}` of vectors, shape (N, D): low when they spread."""
    points = as_features(vectors, "vectors").astype(np.float64)
    if len(points) < 2:
        raise MetricError("vectors: one vector has no pairs; pass at least two")
    total = 0.0
    for start in range(0, len(points), BLOCK_ROWS):
        block, rest = points[start : start + BLOCK_ROWS], points[start + BLOCK_ROWS :]
        total += _sum_inverse_distances(block, block) + 2 * _sum_inverse_distances(block, rest)
    with_itself = len(points) / np.sqrt(OFFSET)
    return float((total - with_itself) / (len(points) * (len(points) - 1)))


def _sum_inverse_distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    squares = cdist(first, second, "sqeuclidean")
    squares += OFFSET
    np.sqrt(squares, out=squares)
    return float(np.reciprocal(squares, out=squares).sum())


def _on_sphere(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each sample scaled to unit length; zeros stay."""
    largest = np.abs(features).max(axis=1, keepdims=True)
    directions = features / np.where(largest > 0, largest, 1)
    return np.asarray(directions / np.where(largest > 0, np.linalg.norm(directions, axis=1, keepdims=True), 1))


def _groups(features: NDArray[np.float64], images: NDArray[np.int64] | None) -> list[NDArray[np.float64]]:
    """One class's features by image, or in two halves; groups of fewer than two samples have no covariance."""
    half = len(features) // 2
    if images is None:
        groups = [features[:half], features[half:]]
    else:
        groups = [features[images == image] for image in np.unique(images)]
    return [group for group in groups if len(group) >= 2]


def _mean_distance(groups: list[NDArray[np.float64]]) -> float | None:
    distances = [gaussian_wasserstein(one, two) for one, two in combinations(groups, 2)]
    return float(np.mean(distances)) if distances else None


def _covariance_root(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """A with A'A the covariance, shape (min(N, D), D)."""
    centred = samples - samples.mean(axis=0)
    return np.asarray(np.linalg.qr(centred, mode="r") / np.sqrt(len(samples) - 1), dtype=np.float64)

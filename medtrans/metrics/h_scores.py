"""H-score and its shrinkage variant, from moments that are summed block by block, without a copy of the features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError
from medtrans.metrics.arrays import Floats, as_features, as_labels, one_hot

Doubles = NDArray[np.float64]

RANK_TOLERANCE = 1e-10
"""Directions whose singular value is below this share of the largest count as collinear."""

WELL_CONDITIONED = 1e-7
"""Ratio of eigenvalues down to which one pass gives nine digits: squares are rounded relative to the largest."""

BLOCK_BYTES = 2**22
SAMPLE_ROWS = 1024
SAFE_SPREAD = 1e-50, 1e50


def h_score(target_features: Any, target_labels: Any) -> float:
    r"""Between-class scatter of the features relative to their total scatter.

    .. math:: H(f) = tr(cov(f)^+ cov(E[f | Y]))

    The pseudo-inverse drops collinear directions (singular value below 1e-10 of the largest, columns standardised), so
    that copies and constant columns change nothing. Sums are in float64 after moving the features to about their mean:
    a common offset does no harm. With at least N - 1 independent features the score is K - 1 whatever they mean.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,), of K classes; one class has nothing between classes, and scores 0.

    Returns:
        Dimensionless, 0 (class means coincide) to min(D, K - 1) (no scatter within classes). Higher is better.

    Raises:
        MetricError: NaN, or arrays of different length.

    Source: Bao et al., "An information-theoretic approach to transferability in task transfer learning", ICIP 2019.
    """
    features, codes, n_classes = _checked(target_features, target_labels)
    columns = _Columns.of(features)
    directions = _wide_score if features.shape[1] >= len(features) else _tall_score
    return float(np.clip(directions(features, codes, n_classes, columns), 0, n_classes - 1))


def shrinkage_h_score(target_features: Any, target_labels: Any) -> float:
    r"""H-score with the Ledoit-Wolf covariance, for few samples and many features.

    .. math::
        H_\alpha = (1 - \alpha)\, tr(\Sigma_\alpha^{-1} cov(E[f | Y])), \qquad
        \Sigma_\alpha = (1 - \alpha) \Sigma + \alpha \frac{tr \Sigma}{D} I

    with the :math:`\alpha` of Ledoit and Wolf (2004), which equals scikit-learn's. As in the public implementations
    :math:`\Sigma` is normalised by N and the between-class covariance by N - 1. Not invariant to the scale of single
    columns, since the target of the shrinkage is not.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,), of K classes; one class has nothing between classes, and scores 0.

    Returns:
        Dimensionless, 0 to (K - 1) N / (N - 1). Higher is better.

    Raises:
        MetricError: NaN, or arrays of different length.

    Source: Ibrahim, Ponomareva, Mazumder, "Newer is not always better: rethinking transferability metrics, their
    peculiarities, stability and performance", arXiv 2110.06893.
    """
    features, codes, n_classes = _checked(target_features, target_labels)
    columns = _Columns.of(features, scaled_alike=True)
    moments = _moments(features, codes, n_classes, columns)
    covariance = moments.scatter / len(features)
    if not covariance.any():
        return 0.0
    alpha = _ledoit_wolf_shrinkage(features, columns.centred_on(moments.mean), covariance)
    shrunk = (1 - alpha) * covariance
    shrunk.flat[:: len(shrunk) + 1] += alpha * np.trace(covariance) / len(covariance)
    eigenvalues, vectors = np.linalg.eigh(shrunk)
    kept = eigenvalues > len(shrunk) * np.finfo(np.float64).eps * eigenvalues[-1]
    whitening = vectors[:, kept] / np.sqrt(eigenvalues[kept])
    return float((1 - alpha) * moments.between_classes(whitening) / (len(features) - 1))


@dataclass(frozen=True, eq=False)
class _Columns:
    """How columns are moved before sums are taken, to about their mean, and scaled if fourth powers may overflow."""

    shift: Doubles
    scale: Doubles

    @classmethod
    def of(cls, features: Floats, *, scaled_alike: bool = False) -> _Columns:
        """From evenly spaced rows; from all rows for columns that are constant in those."""
        sample = features[:: max(1, len(features) // SAMPLE_ROWS)].astype(np.float64)
        spread = np.ptp(sample / 2, axis=0)  # halves, since the range of the largest numbers overflows
        for column in np.flatnonzero(spread == 0):
            spread[column] = np.ptp(features[:, column].astype(np.float64) / 2)
        if scaled_alike:
            spread = np.full_like(spread, spread.max())
        shift = sample[0] + (sample / len(sample) - sample[0] / len(sample)).sum(axis=0)  # a constant stays exact
        is_extreme = (spread > 0) & ((spread < SAFE_SPREAD[0]) | (spread > SAFE_SPREAD[1]))
        return cls(shift, np.where(is_extreme, spread, 1))

    def centred_on(self, mean: Doubles) -> _Columns:
        """Moved to the mean that these columns turned out to have."""
        return _Columns(self.shift + mean * self.scale, self.scale)

    def blocks(self, features: Floats) -> Iterator[tuple[slice, Doubles]]:
        """Slices of rows with the moved and scaled features, which are valid until the next ones are asked for."""
        n_samples, n_columns = features.shape
        n_rows = max(1, BLOCK_BYTES // (8 * n_columns))
        memory = np.empty((min(n_rows, n_samples), n_columns))
        is_scaled = (self.scale != 1).any()
        for start in range(0, n_samples, n_rows):
            rows = slice(start, min(start + n_rows, n_samples))
            block = np.subtract(features[rows], self.shift, out=memory[: rows.stop - start])
            if is_scaled:
                block /= self.scale
            yield rows, block


@dataclass(frozen=True, eq=False)
class _Moments:
    """Of moved and scaled features.

    Attributes:
        mean: (D,).
        scatter: (D, D), sum of squares and products about the mean.
        class_deviations: (K, D), sqrt(n_c) (mean of class c - mean).
    """

    mean: Doubles
    scatter: Doubles
    class_deviations: Doubles

    def between_classes(self, directions: Doubles) -> float:
        """Trace of the between-class scatter along directions (D, r)."""
        return float(np.square(self.class_deviations @ directions).sum())


def _moments(
    features: Floats, codes: NDArray[np.int64], n_classes: int, columns: _Columns, basis: Doubles | None = None
) -> _Moments:
    """Moments of the features, or of their coordinates along a basis (D, r)."""
    n_columns = features.shape[1] if basis is None else basis.shape[1]
    products, class_sums = np.zeros((n_columns, n_columns)), np.zeros((n_classes, n_columns))
    for rows, block in columns.blocks(features):
        coordinates = block if basis is None else block @ basis
        products += coordinates.T @ coordinates
        class_sums += one_hot(codes[rows], n_classes).T @ coordinates
    if not np.isfinite(products).all():
        raise MetricError(
            "target_features: values differ so much in size that their squares overflow; find the outliers"
        )
    mean = class_sums.sum(axis=0) / len(features)
    class_sizes = np.bincount(codes, minlength=n_classes)[:, None]
    deviations = (class_sums - class_sizes * mean) / np.sqrt(class_sizes)
    return _Moments(mean, products - len(features) * np.outer(mean, mean), deviations)


def _tall_score(features: Floats, codes: NDArray[np.int64], n_classes: int, columns: _Columns) -> float:
    """H-score for N > D.

    One pass where the columns are well conditioned. Else a second pass takes the moments along the eigenvectors of the
    first: there, small directions are summed apart from large ones, and keep their digits.
    """
    moments = _moments(features, codes, n_classes, columns)
    eigenvalues, vectors, lengths = _correlation_eigen(moments.scatter)
    if eigenvalues[0] <= WELL_CONDITIONED * eigenvalues[-1]:
        columns = columns.centred_on(moments.mean)
        moments = _moments(features, codes, n_classes, columns, basis=vectors / lengths[:, None])
        eigenvalues, vectors, lengths = _correlation_eigen(moments.scatter, RANK_TOLERANCE)
    kept = eigenvalues > RANK_TOLERANCE * eigenvalues[-1]
    return moments.between_classes(vectors[:, kept] / lengths[:, None] / np.sqrt(eigenvalues[kept]))


def _correlation_eigen(scatter: Doubles, least_share: float = 0.0) -> tuple[Doubles, Doubles, Doubles]:
    """Eigenvalues and -vectors of the correlation, and the columns' lengths, infinite for columns that are left out.

    Those are the ones whose length is at most a share of the largest: constants, and where units agree rounding.
    """
    lengths = np.sqrt(np.maximum(np.diag(scatter), 0))
    lengths[lengths <= least_share * lengths.max()] = np.inf
    eigenvalues, vectors = np.linalg.eigh(scatter / lengths / lengths[:, None])
    return eigenvalues, vectors, lengths


def _wide_score(features: Floats, codes: NDArray[np.int64], n_classes: int, columns: _Columns) -> float:
    """H-score for N <= D: the squared length of the normalised class indicators within the span of the columns."""
    standardised = (features - columns.shift) / columns.scale
    standardised -= standardised.mean(axis=0)
    lengths = np.linalg.norm(standardised, axis=0)
    standardised /= np.where(lengths > 0, lengths, 1)
    triangle: Any = np.linalg.qr(standardised.T, mode="r")  # (N, N); its transpose has the same left singular vectors
    vectors, singular_values, _ = np.linalg.svd(triangle.T)
    span = vectors[:, singular_values > RANK_TOLERANCE * singular_values[0]]
    class_sizes = np.bincount(codes, minlength=n_classes)[:, None]
    return float((np.square(one_hot(codes, n_classes).T @ span) / class_sizes).sum())


def _ledoit_wolf_shrinkage(features: Floats, columns: _Columns, covariance: Doubles) -> float:
    fourth_moment = sum(
        float(np.square(np.einsum("nd,nd->n", block, block)).sum()) for _, block in columns.blocks(features)
    )
    spread = (fourth_moment / len(features) - np.square(covariance).sum()) / len(features)
    n_columns = len(covariance)
    distance = np.square(covariance).sum() - np.trace(covariance) ** 2 / n_columns
    return min(1.0, spread / distance) if spread > 0 and distance > 0 and n_columns > 1 else 0.0


def _checked(target_features: Any, target_labels: Any) -> tuple[Floats, NDArray[np.int64], int]:
    features = as_features(target_features)
    codes, n_classes = as_labels(target_labels, len(features))
    return features, codes, n_classes

"""LogME: the evidence of a Bayesian linear model from features to labels, at its exact maximum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array

from medtrans.errors import MetricError
from medtrans.metrics.arrays import Floats, above_rounding, as_features, as_labels, as_values, one_hot

Targets: TypeAlias = NDArray[np.float64] | csr_array

BLOCK_ROWS = 4096
RESIDUAL_FLOOR = 1e-12  # share of |y|^2 below which rounding, not the data, decides the residual
GRID_STEP = 0.25  # in log(alpha / beta), in which the evidence changes over distances of 1


def logme(target_features: Any, target_labels: Any) -> float:
    r"""Largest log evidence per sample of one-against-rest linear models, averaged over classes.

    For each class, with y its 0/1 column and F the features, neither centred nor given an intercept:

    .. math:: \max_{\alpha, \beta} \frac1N \log \mathcal N(y;\ 0,\ \beta^{-1} I + \alpha^{-1} F F^\top)

    The maximum over beta is known in closed form, the one over alpha / beta is searched on a grid and refined, so the
    value is the maximum itself, also for D > N. The usual fixed-point iterations stop short of it (differences up to
    2.5e-3), and those that leave out :math:`\frac{D - N}{2} \log \alpha` for D > N are off by 6 and more
    (``LogME._fit_fixed_point``, ``transformer_ranker``).

    Labels that are an exact linear function of the features have no finite maximum: residuals count as at least 1e-12
    of :math:`|y|^2`, which bounds the value.

    Args:
        target_features: floating, shape (N, D). The unit does not matter.
        target_labels: integers, shape (N,).

    Returns:
        Nats per sample, any real number; comparable between sources on the same target only. Higher is better.

    Raises:
        MetricError: all features are zero, columns too different in size for float64, NaN, or another length.

    Cost: one product :math:`F^\top F` in float64, in blocks, and one decomposition of a D x D matrix for all classes.

    Source: You, Liu, Wang, Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021.
    """
    features = as_features(target_features)
    labels, n_classes = as_labels(target_labels, len(features))
    return float(_largest_evidences(features, one_hot(labels, n_classes)).mean())


def logme_regression(target_features: Any, target_values: Any) -> float:
    """Like `logme` for continuous targets: largest log evidence per sample, averaged over the columns of the values.

    Args:
        target_features: floating, shape (N, D).
        target_values: floating, shape (N,) or (N, T). Their unit shifts the value: c times the values give -log c more.

    Returns:
        Nats per sample, any real number. Higher is better.

    Raises:
        MetricError: all features or a column of values are zero, NaN, or arrays of different length.

    Source: as `logme`.
    """
    features = as_features(target_features)
    values = as_values(target_values, len(features))
    units = np.abs(values).max(axis=0)
    if not units.all():
        raise MetricError("target_values: a column is zero everywhere, so its evidence has no maximum; leave it out")
    return float((_largest_evidences(features, values / units) - np.log(units)).mean())


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Targets split along the singular vectors of the features, all that the evidence needs.

    Attributes:
        eigenvalues: of F'F, positive, shape (R,).
        explained: of each target's squared length, the part along each left singular vector, shape (R, T).
        unexplained: the rest, outside the span of the features, shape (T,).
        n_samples: N.
    """

    eigenvalues: NDArray[np.float64]
    explained: NDArray[np.float64]
    unexplained: NDArray[np.float64]
    n_samples: int

    def evidence(self, log_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log evidence per sample at alpha / beta = exp(log_ratio) and the best beta for it, shape (ratios, T)."""
        ratio = np.exp(log_ratio)[:, None]
        residual = self.unexplained + (ratio / (self.eigenvalues + ratio)) @ self.explained  # N / beta
        log_determinant = np.log1p(self.eigenvalues / ratio).sum(axis=1, keepdims=True)
        fit = np.log(2 * np.pi * residual / self.n_samples) + 1
        return np.asarray(-0.5 * (fit + log_determinant / self.n_samples), dtype=np.float64)

    def evidence_without_features(self) -> NDArray[np.float64]:
        """The limit of large alpha, shape (T,): the maximum when the features tell nothing."""
        energy = self.explained.sum(axis=0) + self.unexplained
        return np.asarray(-0.5 * (np.log(2 * np.pi * energy / self.n_samples) + 1), dtype=np.float64)

    def target(self, index: int) -> _Spectrum:
        """The same for one target."""
        return replace(self, explained=self.explained[:, [index]], unexplained=self.unexplained[[index]])

    def largest_evidence(self) -> NDArray[np.float64]:
        """The maximum over alpha and beta, shape (T,)."""
        grid = np.arange(np.log(self.eigenvalues[-1]) - 30, np.log(self.eigenvalues[0]) + 14, GRID_STEP)
        nearest = grid[self.evidence(grid).argmax(axis=0)]
        refined = [_refine(self.target(index), start) for index, start in enumerate(nearest)]
        return np.maximum(refined, self.evidence_without_features())


def _refine(spectrum: _Spectrum, start: float) -> float:
    found = minimize_scalar(
        lambda log_ratio: -spectrum.evidence(np.array([log_ratio])).item(),
        bounds=(start - GRID_STEP, start + GRID_STEP),
        method="bounded",
    )
    return -float(found.fun)


def _largest_evidences(features: Floats, targets: Targets) -> NDArray[np.float64]:
    """Largest log evidence per sample for each of T target columns, dense or sparse (N, T)."""
    root, cross = _moments(features, targets)
    _, singular, axes = np.linalg.svd(root, full_matrices=False)
    kept = above_rounding(singular, root, "target_features")
    explained = (axes[kept] @ cross / singular[kept, None]) ** 2
    energy = np.asarray((targets * targets).sum(axis=0))
    unexplained = np.maximum(energy - explained.sum(axis=0), RESIDUAL_FLOOR * energy)
    if kept.sum() == len(features):
        unexplained = np.zeros_like(energy)  # the features span everything, and the evidence stays bounded
    return _Spectrum(singular[kept] ** 2, explained, unexplained, len(features)).largest_evidence()


def _moments(features: Floats, targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A small root R with R'R = F'F, shape (min(N, D + 1), D), and F'Y, shape (D, T), of F over its largest value."""
    n_samples, n_features = features.shape
    unit = float(max(features.max(), -features.min()))
    if unit == 0:
        raise MetricError("target_features: all features are zero, so their evidence says nothing; drop this source")
    if n_samples <= n_features:
        scaled = features.astype(np.float64) / unit
        return scaled, np.asarray(targets.T @ scaled).T
    mean = features.mean(axis=0, dtype=np.float64) / unit
    scatter = np.zeros((n_features, n_features))
    cross = np.outer(targets.sum(axis=0), mean)
    for start in range(0, n_samples, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        centred = features[rows].astype(np.float64)
        centred /= unit
        centred -= mean  # a large common offset would drown the spread in F'F
        scatter += centred.T @ centred
        cross += targets[rows].T @ centred
    return np.vstack([_root(scatter), np.sqrt(n_samples) * mean]), cross.T


def _root(scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """R with R'R = scatter. Columns are brought to one scale first, which keeps the small ones exact."""
    widths = np.sqrt(np.diag(scatter))
    units = np.where(widths > 0, widths, 1)
    values, vectors = np.linalg.eigh(scatter / np.outer(units, units))
    values[values < values[-1] * len(values) * np.finfo(np.float64).eps] = 0
    return np.asarray(np.sqrt(values)[:, None] * vectors.T * widths, dtype=np.float64)

"""Costs between two clouds of pixels as inner products, so that a matrix product makes any block of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError

Doubles = NDArray[np.float64]

NEAR = 0.99
"""Share of the rows, and of the columns, that the trimmed mean is over."""

COINCIDING = 1e-9
"""Share of the mean below which a trimmed mean is what rounding leaves of 0."""

SCAN_SIZE = 2**22
"""Elements of the block of costs that is looked at at once."""


@dataclass(frozen=True, eq=False)
class BilinearCost:
    r"""$c_{ij} = o_i + q_j - 2\, l_i^\top r_j$.

    Attributes:
        left: (N, p).
        right: (M, p).
        left_offset: o (N,). No coupling depends on offsets, since the masses of rows and columns are fixed.
        right_offset: q (M,).
        left_radius: (N,), with right_radius (M,) and excess a bound: $c_{ij} \le (\rho_i + \sigma_j)^2 + e$.
        right_radius: (M,).
        excess: e.
        unit: what a cost of 1 is in squared units of the features (a power of two).
    """

    left: Doubles
    right: Doubles
    left_offset: Doubles
    right_offset: Doubles
    left_radius: Doubles
    right_radius: Doubles
    excess: float
    unit: float

    def factors(self) -> tuple[Doubles, Doubles]:
        """Arrays (N, p + 2) and (M, p + 2) whose inner products are the costs, in units of ``unit``."""
        left = np.column_stack([-2 * self.left, self.left_offset, np.ones_like(self.left_offset)])
        return left, np.column_stack([self.right, np.ones_like(self.right_offset), self.right_offset])

    def dense(self) -> Doubles:
        """The whole cost matrix (N, M), in units of ``unit``."""
        left, right = self.factors()
        products = left @ right.T
        return np.maximum(products, 0, out=products)

    def subset(self, rows: NDArray[np.int64]) -> BilinearCost:
        """The costs of some rows."""
        return replace(
            self, left=self.left[rows], left_offset=self.left_offset[rows], left_radius=self.left_radius[rows]
        )

    def mean(self) -> float:
        """Mean over all pairs, in closed form."""
        return self._weighted_mean(np.ones(len(self.left)), np.ones(len(self.right)))

    def trimmed_mean(self) -> float:
        """Mean over the pairs of the 99 % of rows and of columns that have the smallest radius, in closed form.

        The mean over all pairs where these coincide.
        """
        trimmed = self._weighted_mean(_weights_of_near(self.left_radius), _weights_of_near(self.right_radius))
        mean = self.mean()
        return trimmed if trimmed > COINCIDING * mean else mean

    def _weighted_mean(self, left_weights: Doubles, right_weights: Doubles) -> float:
        left_weights, right_weights = left_weights / left_weights.sum(), right_weights / right_weights.sum()
        products = 2 * (left_weights @ self.left) @ (right_weights @ self.right)
        return max(0.0, float(left_weights @ self.left_offset + right_weights @ self.right_offset - products))

    def largest(self) -> float:
        """Largest cost of all pairs; single precision is enough for a scale.

        Widest rows come first. A block of them meets only those columns whose bound exceeds the largest cost so far.
        """
        rows, columns = np.argsort(-self.left_radius), np.argsort(-self.right_radius)
        left, right = (-2 * self.left[rows]).astype(np.float32), self.right[columns].astype(np.float32)
        right_radius, right_offset = self.right_radius[columns], self.right_offset[columns].astype(np.float32)
        n_rows = max(1, SCAN_SIZE // len(right))
        memory = np.empty(min(n_rows, len(left)) * len(right), dtype=np.float32)
        largest = 0.0
        for start in range(0, len(left), n_rows):
            block = rows[start : start + n_rows]
            least_radius = math.sqrt(max(0.0, largest - self.excess)) - self.left_radius[block[0]]
            n_columns = int(np.searchsorted(-right_radius, -least_radius, side="right"))
            if n_columns == 0:
                break
            products = memory[: len(block) * n_columns].reshape(len(block), n_columns)
            np.matmul(left[start : start + n_rows], right[:n_columns].T, out=products)
            products += right_offset[:n_columns]
            largest = max(largest, float(np.max(self.left_offset[block] + products.max(axis=1))))
        return largest


def squared_euclidean(source: NDArray[Any], target: NDArray[Any]) -> BilinearCost:
    """Squared Euclidean distance between the rows of source (N, D) and target (M, D)."""
    (source, target), unit = _conditioned(source, target)
    return _squared_distances(source, target, unit)


def joint_cost(
    source: NDArray[Any],
    source_codes: NDArray[np.int64],
    target: NDArray[Any],
    target_codes: NDArray[np.int64],
    label_distance: Doubles,
    gamma: float,
) -> BilinearCost:
    r"""$\gamma \lVert x_i - y_j\rVert^2 + (1-\gamma)\, d(a_i, b_j)$ with codes a (N,), b (M,) and distances d (Ks, Kt).

    The label term is an inner product too: of a pixel's row of ``label_distance`` with a one-hot label.
    """
    (source, target), unit = _conditioned(source, target)
    features = _squared_distances(np.sqrt(gamma) * source, np.sqrt(gamma) * target, unit)
    rows_of_distances = -(1 - gamma) / 2 * (label_distance / unit)[source_codes]
    return BilinearCost(
        left=np.hstack([features.left, rows_of_distances]),
        right=np.hstack([features.right, np.eye(label_distance.shape[1])[target_codes]]),
        left_offset=features.left_offset,
        right_offset=features.right_offset,
        left_radius=features.left_radius,
        right_radius=features.right_radius,
        excess=(1 - gamma) * float(label_distance.max()) / unit,
        unit=unit,
    )


def _squared_distances(source: Doubles, target: Doubles, unit: float) -> BilinearCost:
    source_squares, target_squares = (np.einsum("ij,ij->i", cloud, cloud) for cloud in (source, target))
    return BilinearCost(
        left=source,
        right=target,
        left_offset=source_squares,
        right_offset=target_squares,
        left_radius=np.sqrt(source_squares),
        right_radius=np.sqrt(target_squares),
        excess=0.0,
        unit=unit,
    )


def _weights_of_near(radius: Doubles) -> Doubles:
    """1 for the nearest 99 %, 0 for the others, a fraction for the one between: taking all twice changes nothing."""
    weights = np.empty_like(radius)
    weights[np.argsort(radius, kind="stable")] = np.clip(NEAR * len(radius) - np.arange(len(radius)), 0, 1)
    return weights


def _conditioned(source: NDArray[Any], target: NDArray[Any]) -> tuple[tuple[Doubles, Doubles], float]:
    """Both clouds moved to the target's mean and scaled to about 1, and the unit of their squared distances.

    The move comes first, in double precision: neighbouring float32 values near 1e4 keep their distance.
    """
    first = _exponent(source, target)
    source, target = (np.ldexp(np.asarray(cloud, dtype=np.float64), -first) for cloud in (source, target))
    centre = target.mean(axis=0)
    source, target = source - centre, target - centre
    second = _exponent(source, target)
    if abs(first + second) > 500:
        raise MetricError("features: squares of values as large or small as these are beyond float64; rescale them")
    return (np.ldexp(source, -second), np.ldexp(target, -second)), math.ldexp(1.0, 2 * (first + second))


def _exponent(source: NDArray[Any], target: NDArray[Any]) -> int:
    return math.frexp(max(np.abs(source).max(), np.abs(target).max()))[1]

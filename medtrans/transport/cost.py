"""Costs between two clouds of pixels as inner products, so that a matrix product makes any block of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError

Doubles = NDArray[np.float64]

SCAN_SIZE = 2**22
"""Elements of the block of costs that is looked at at once."""


@dataclass(frozen=True, eq=False)
class BilinearCost:
    r"""$c_{ij} = o_i - 2\, l_i^\top r_j$.

    Attributes:
        left: (N, p).
        right: (M, p).
        offset: (N,). No coupling depends on it, since each row's mass is fixed.
        left_radius: (N,), with right_radius (M,) and excess a bound: $c_{ij} \le (\rho_i + \sigma_j)^2 + e$.
        right_radius: (M,).
        excess: e.
        unit: what a cost of 1 is in squared units of the features (a power of two).
    """

    left: Doubles
    right: Doubles
    offset: Doubles
    left_radius: Doubles
    right_radius: Doubles
    excess: float
    unit: float

    def factors(self) -> tuple[Doubles, Doubles]:
        """Arrays (N, p + 1) and (M, p + 1) whose inner products are the costs, in units of ``unit``."""
        return -2 * np.column_stack([self.left, self.offset]), np.column_stack(
            [self.right, np.full(len(self.right), -0.5)]
        )

    def dense(self) -> Doubles:
        """The whole cost matrix (N, M), in units of ``unit``."""
        products = self.left @ self.right.T
        products *= -2
        products += self.offset[:, None]
        return np.maximum(products, 0, out=products)

    def mean(self) -> float:
        """Mean over all pairs, in closed form."""
        return float(self.offset.mean() - 2 * self.left.mean(axis=0) @ self.right.mean(axis=0))

    def largest(self) -> float:
        """Largest cost of all pairs; single precision is enough for a scale.

        Widest rows come first. A block of them meets only those columns whose bound exceeds the largest cost so far.
        """
        rows, columns = np.argsort(-self.left_radius), np.argsort(-self.right_radius)
        left, right = self.left[rows].astype(np.float32), self.right[columns].astype(np.float32)
        right_radius = self.right_radius[columns]
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
            largest = max(largest, float(np.max(self.offset[block] - 2.0 * products.min(axis=1))))
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
        offset=features.offset,
        left_radius=features.left_radius,
        right_radius=features.right_radius,
        excess=(1 - gamma) * float(label_distance.max()) / unit,
        unit=unit,
    )


def _squared_distances(source: Doubles, target: Doubles, unit: float) -> BilinearCost:
    source_squares, target_squares = (np.einsum("ij,ij->i", cloud, cloud) for cloud in (source, target))
    return BilinearCost(
        left=np.column_stack([source, np.ones(len(source))]),
        right=np.column_stack([target, -target_squares / 2]),
        offset=source_squares,
        left_radius=np.sqrt(source_squares),
        right_radius=np.sqrt(target_squares),
        excess=0.0,
        unit=unit,
    )


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

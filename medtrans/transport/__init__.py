r"""Optimal transport between two clouds of pixels, for what can be read off the coupling without forming it.

`couple` finds the coupling $P \ge 0$ of N source with M target pixels, rows summing to 1/N, columns to 1/M, that has

$$\min_{P} \sum_{ij} P_{ij} c_{ij} - \lambda H(P)$$

with $\lambda$ = epsilon times the cost scale for ``solver="sinkhorn"`` and $\lambda = 0$ for ``solver="exact"``.

- `cost`: costs as inner products, conditioned so that offsets and huge values do no harm
- `kernel`: the Gibbs kernel in blocks of rows, stored while it is small, recomputed when it is not
- `sinkhorn`: entropic transport, matrix-vector products only
- `exact`: POT's network simplex
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from medtrans.errors import MetricError, did_you_mean
from medtrans.threads import one_blas_thread
from medtrans.transport.cost import BilinearCost, Doubles, joint_cost, squared_euclidean
from medtrans.transport.exact import exact_coupling
from medtrans.transport.kernel import Arrays
from medtrans.transport.sinkhorn import sinkhorn_coupling

__all__ = [
    "Arrays",
    "BilinearCost",
    "Coupling",
    "Doubles",
    "check_settings",
    "couple",
    "joint_cost",
    "scale_of",
    "squared_euclidean",
    "transport_cost",
]

SOLVERS = ("exact", "sinkhorn")
COST_SCALES = ("trimmed", "mean", "max", None)


class Coupling(Protocol):
    """A plan P (N, M), known by the expectations taken over it."""

    @property
    def n_iterations(self) -> int:
        """Passes over the kernel until convergence; 0 where the solver does not count."""

    @property
    def objective(self) -> float:
        r"""$\sum_{ij} P_{ij} \big(c_{ij} + \lambda \log (N M P_{ij})\big)$, which the coupling makes least."""

    @property
    def group_masses(self) -> Doubles:
        """Mass that each group of rows sends to each column, (G, M)."""

    def expectation(self, left: Doubles, right: Doubles) -> Doubles:
        r"""$\sum_{ij} P_{ij}\, l_i r_j^\top$, shape (p, q), of left (N, p) and right (M, q)."""


def couple(
    cost: BilinearCost,
    *,
    epsilon: float = 0.1,
    cost_scale: str | None = "trimmed",
    solver: str = "sinkhorn",
    arrays: Arrays | None = None,
    group_sizes: Sequence[int] | None = None,
    tolerance: float = 1.0,
) -> Coupling:
    """The coupling of ``cost``; ``arrays`` says where Sinkhorn computes (NumPy on the CPU if None).

    ``group_sizes`` (G,) divides the rows into consecutive groups, one if None. Sinkhorn stops when the marginals are
    right to 4e-3 (L1) at most, or to a smaller ``tolerance``; those of groups and of columns come out exact.

    Raises MetricError for unknown settings, and ConvergenceError where the solver gives up.
    """
    check_settings(epsilon, cost_scale, solver)
    if solver == "exact":
        return exact_coupling(cost, group_sizes)
    with one_blas_thread():
        return sinkhorn_coupling(
            cost,
            regularization=epsilon * scale_of(cost, cost_scale) / cost.unit,
            arrays=arrays or Arrays.numpy(),
            group_sizes=group_sizes,
            tolerance=tolerance,
        )


def scale_of(cost: BilinearCost, cost_scale: str | None) -> float:
    """What epsilon is a share of, in squared units of the features."""
    if cost_scale is None:
        return 1.0
    scales = {"trimmed": cost.trimmed_mean, "mean": cost.mean, "max": cost.largest}
    return float(scales[cost_scale]()) * cost.unit


def transport_cost(coupling: Coupling, cost: BilinearCost) -> float:
    r"""$\sum_{ij} P_{ij} c_{ij}$, in squared units of the features."""
    with one_blas_thread():
        return max(float(np.trace(coupling.expectation(*cost.factors()))), 0.0) * cost.unit


def check_settings(epsilon: float, cost_scale: str | None, solver: str) -> None:
    """Raise MetricError for settings that `couple` does not know."""
    if solver not in SOLVERS:
        raise MetricError(f"unknown solver '{solver}': {did_you_mean(str(solver), SOLVERS)}")
    if cost_scale not in COST_SCALES:
        raise MetricError(
            f"unknown cost_scale '{cost_scale}': use 'trimmed', 'mean', 'max', or None for the cost as it is"
        )
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise MetricError(f"epsilon is {epsilon}, but must be positive; for unregularised transport use solver='exact'")

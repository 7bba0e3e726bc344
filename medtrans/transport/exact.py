"""Unregularised transport, by POT's network simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medtrans.errors import ConvergenceError, MetricError
from medtrans.transport.cost import BilinearCost, Doubles

MAX_BYTES = 4 * 2**30
"""Largest cost matrix for which exact transport is tried (about 23,000 x 23,000); the plan takes as much again."""

MAX_PIVOTS = 100_000_000


@dataclass(frozen=True, eq=False)
class ExactCoupling:
    """P itself, shape (N, M), its column sums (G, M) by group of rows, and its cost."""

    plan: Doubles
    group_masses: Doubles
    objective: float
    n_iterations: int = 0

    def expectation(self, left: Doubles, right: Doubles) -> Doubles:
        """See `Coupling`."""
        expectation: Doubles = left.T @ (self.plan @ right)
        return expectation


def exact_coupling(cost: BilinearCost, group_sizes: Sequence[int] | None = None) -> ExactCoupling:
    """The plan of least cost. Raises MetricError where it is not unique or too large, ConvergenceError on failure."""
    import ot  # imports every array library it can find, so only on demand

    n_rows, n_columns = len(cost.left), len(cost.right)
    if n_rows * n_columns * 8 > MAX_BYTES:
        raise MetricError(f"solver 'exact': {n_rows} x {n_columns} costs take too much memory; use solver='sinkhorn'")
    costs = cost.dense()
    if not costs.any():
        raise MetricError("solver 'exact': all features coincide, so any plan is as good; use solver='sinkhorn'")
    plan, log = ot.emd([], [], costs, numItermax=MAX_PIVOTS, log=True)
    if log["warning"] is not None:
        raise ConvergenceError(f"solver 'exact': {log['warning']}; use solver='sinkhorn'")
    group_starts = np.cumsum([0, *(group_sizes or [n_rows])])[:-1]
    return ExactCoupling(plan, np.add.reduceat(plan, group_starts, axis=0), float((plan * costs).sum()))

"""Entropic transport by Sinkhorn's iteration, the plan never formed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import ConvergenceError
from medtrans.transport.cost import BilinearCost, Doubles
from medtrans.transport.kernel import Array, Arrays, GibbsKernel

REMEDIES = "use a larger epsilon, cost_scale='max', or solver='exact'"


class Regime(NamedTuple):
    """How to iterate where the largest inner product is at most ``reach`` times the regularisation.

    The first rows, evenly spaced, are iterated on alone: their passes are cheap, and what the acceleration learns there
    about the slow directions holds for all rows, the better the more of them. The iteration stops at ``tolerance``, the
    L1 distance of the columns' masses from the uniform ones before their last scaling makes them so; the plan is off by
    more where convergence is slow.
    """

    reach: float
    first_rows: int
    tolerance: float
    double: bool = False


ALL = 2**62

REGIMES = (
    Regime(100.0, 500, 4e-3),
    Regime(700.0, 2000, 1e-3),
    Regime(1e4, ALL, 1e-5),  # where float32 still gets exponents right to 1e-3
    Regime(1e9, ALL, 1e-6, double=True),
)

FIRST_TOLERANCE = 1e-4
"""On the first rows, whose passes are cheap."""

SMALL, SMALL_TOLERANCE = 2**20, 1e-6
"""Elements of a kernel that is cheap in float64 anyway."""

MAX_ITERATIONS = 10_000

ANNEALING_START = 100.0
ANNEALING_FACTOR = 3.0
ANNEALING_TOLERANCE = 0.3
"""In shares of one column's mass: a single far pixel that a step leaves off takes thousands of iterations later."""

ANNEALING_ITERATIONS = 100

NEAREST_ROWS = 64

DRIFT = 30.0
"""Size of log v at which it moves into the kernel's potential, since float32 would not hold v much longer."""

SMALLEST_SUM = 1e-38
BALANCING_ITERATIONS = 20
HISTORY = 20
RIDGE = 1e-10


@dataclass(frozen=True, eq=False)
class SinkhornCoupling:
    """P = diag(u) K diag(v), and its column sums (G, M) by group of rows."""

    kernel: GibbsKernel
    u: Array
    v: Array
    group_masses: Doubles
    objective: float
    n_iterations: int

    def expectation(self, left: Doubles, right: Doubles) -> Doubles:
        """See `Coupling`; one pass over the kernel."""
        arrays = self.kernel.arrays
        products = self.kernel.left_products(self.u[:, None] * arrays.doubles(left))
        return arrays.to_numpy(products @ (self.v[:, None] * arrays.doubles(right)))


def sinkhorn_coupling(
    cost: BilinearCost,
    *,
    regularization: float,
    arrays: Arrays,
    group_sizes: Sequence[int] | None = None,
    tolerance: float,
) -> SinkhornCoupling:
    """Entropic coupling of ``cost``, its marginals right to ``tolerance`` or to that of its regime if that is smaller.

    On the first rows, the regularisation is lowered in steps; the potential of the columns goes on to all rows. Raises
    ConvergenceError if the marginals stay off.
    """
    largest = 2 * float(cost.left_radius.max() * cost.right_radius.max()) + cost.excess
    if largest == 0:  # one of the clouds is a point: any regularisation gives the same
        regularization = 1.0
    regime = _regime(largest / regularization if regularization > 0 else math.inf, len(cost.left) * len(cost.right))
    tolerance = min(tolerance, regime.tolerance)
    n_rows, n_first = len(cost.left), min(len(cost.left), regime.first_rows)
    rows = np.linspace(0, n_rows - 1, n_first).round().astype(np.int64)
    first, first_sizes = cost.subset(rows), _sizes_among(rows, group_sizes or [n_rows])
    columns = _Columns(_nearest(first), _Anderson(arrays), arrays, regime.double)
    for step in _annealing(largest, regularization):
        columns.run(first, step, ANNEALING_TOLERANCE / len(cost.right), ANNEALING_ITERATIONS, first_sizes)
        columns.accelerator = _Anderson(arrays)
    if n_first < n_rows:
        columns.run(first, regularization, FIRST_TOLERANCE, MAX_ITERATIONS, first_sizes)
    coupling, error = columns.run(cost, regularization, tolerance, MAX_ITERATIONS, group_sizes)
    if error <= tolerance:
        return coupling
    raise ConvergenceError(
        f"sinkhorn: marginals are still off by {error:.1e} after {coupling.n_iterations} iterations; {REMEDIES}"
    )


def _regime(reach: float, n_elements: int) -> Regime:
    for regime in REGIMES:
        if reach <= regime.reach:
            return regime._replace(double=True, tolerance=SMALL_TOLERANCE) if n_elements <= SMALL else regime
    raise ConvergenceError(f"sinkhorn: the regularisation is under a billionth of the largest cost; {REMEDIES}")


def _sizes_among(rows: NDArray[np.int64], group_sizes: Sequence[int]) -> list[int]:
    """How many of the rows each group has; groups that have none are left out."""
    counts = np.bincount(np.searchsorted(np.cumsum(group_sizes), rows, side="right"))
    return [int(count) for count in counts if count]


def _nearest(cost: BilinearCost) -> Doubles:
    """Cost from each column to the nearest of some rows, a potential that leaves no column out of reach of all rows."""
    some = np.arange(0, len(cost.left), max(1, len(cost.left) // NEAREST_ROWS))
    return np.asarray(cost.subset(some).dense().min(axis=0), dtype=np.float64)


def _annealing(largest: float, regularization: float) -> Iterator[float]:
    step = largest / ANNEALING_START
    while step > regularization:
        yield step
        step /= ANNEALING_FACTOR


@dataclass
class _Columns:
    """The columns' potential g (M,) and what else goes on from one kernel to the next."""

    potential: Doubles
    accelerator: _Anderson
    arrays: Arrays
    double: bool
    n_iterations: int = 0

    def run(
        self,
        cost: BilinearCost,
        regularization: float,
        tolerance: float,
        max_iterations: int,
        group_sizes: Sequence[int] | None = None,
    ) -> tuple[SinkhornCoupling, float]:
        """Sinkhorn's iteration on log v, and the error of the column sums it ends with.

        The kernel is built anew, its potential moved by log v, whenever v has drifted far.
        """
        last = self.n_iterations + max_iterations
        while True:
            kernel = GibbsKernel(
                cost, regularization, self.potential, self.arrays, double=self.double, group_sizes=group_sizes
            )
            u, sums_by_group, error = self._iterate(kernel, tolerance, last)
            r, v = _balanced(sums_by_group, kernel.group_shares)
            log_v = self.arrays.to_numpy(self.arrays.library.log(v))
            self.potential = self.potential + regularization * log_v
            if error <= tolerance or self.n_iterations >= last:
                u = u * r[kernel.group_of_row]
                masses = self.arrays.to_numpy(r[:, None] * sums_by_group * v)
                objective = self._objective(cost, kernel, u, regularization)
                return SinkhornCoupling(kernel, u, v, masses, objective, self.n_iterations), error

    def _iterate(self, kernel: GibbsKernel, tolerance: float, last: int) -> tuple[Array, Array, float]:
        library, (_, n_columns) = kernel.arrays.library, kernel.shape
        log_v, error = kernel.arrays.zeros(n_columns), math.inf
        self.accelerator.start()
        while error > tolerance and self.n_iterations < last and abs(log_v).max() < DRIFT:
            v = library.exp(log_v)
            u, sums_by_group = kernel.scale_rows(v)
            error = float(abs(v * sums_by_group.sum(0) - 1 / n_columns).sum())
            log_v = self.accelerator.step(log_v, library.log(_balanced(sums_by_group, kernel.group_shares)[1]), error)
            self.n_iterations += 1
        return u, sums_by_group, error

    def _objective(self, cost: BilinearCost, kernel: GibbsKernel, u: Array, regularization: float) -> float:
        """The dual's value: means of both potentials, those of a kernel that counts each pair 1 / (N M)."""
        n_rows, n_columns = kernel.shape
        exponents = self.arrays.to_numpy(self.arrays.library.log(u) - kernel.row_shifts)
        entropies = regularization * (float(exponents.mean()) + math.log(n_rows * n_columns))
        return float(cost.left_offset.mean() + self.potential.mean()) + entropies


def _balanced(sums_by_group: Array, group_shares: Array) -> tuple[Array, Array]:
    """Scalings r (G,) of groups of rows and v (M,) of columns that make the masses of both right: Sinkhorn's on groups.

    Between groups Sinkhorn's iteration is slowest, and here it costs next to nothing. The columns' masses, hence
    H(Y_t), come out exact. Sums are at least tiny, so that a column out of reach comes nearer instead of being lost.
    """
    n_columns = sums_by_group.shape[1]
    sums = sums_by_group.clip(SMALLEST_SUM)
    v = 1 / (n_columns * sums.sum(0))
    for _ in range(BALANCING_ITERATIONS):
        r = group_shares / (sums @ v)
        v = 1 / (n_columns * (r @ sums))
    return r, v


class _Anderson:
    """Anderson acceleration of x <- G(x): the combination of the last images whose residuals cancel best.

    Plain Sinkhorn needs thousands of iterations at small regularisation, where this takes a few hundred.
    Source: Walker, Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 49, 2011.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._image_steps: list[Array] = []
        self._residual_steps: list[Array] = []
        self.start()

    def start(self) -> None:
        """A new kernel: what was learnt about directions stays, but no step leads from the old one to it."""
        self._last: tuple[Array, Array] | None = None
        self._best_error = math.inf
        self._best_image: Array = None

    def step(self, point: Array, image: Array, error: float) -> Array:
        """The next point after G(point) = image with its error; afresh from the best image if it is twice the best."""
        if error > 2 * self._best_error:
            fallback = self._best_image
            self._image_steps, self._residual_steps = [], []
            self.start()
            return fallback
        if error < self._best_error:
            self._best_error, self._best_image = error, image
        residual = image - point
        if self._last is not None:
            self._image_steps = [*self._image_steps[1 - HISTORY :], image - self._last[0]]
            self._residual_steps = [*self._residual_steps[1 - HISTORY :], residual - self._last[1]]
        self._last = image, residual
        return image - self._correction(residual) if self._image_steps else image

    def _correction(self, residual: Array) -> Array:
        images, residuals = (self._arrays.library.stack(steps) for steps in (self._image_steps, self._residual_steps))
        gram = self._arrays.to_numpy(self._arrays.library.einsum("in,jn->ij", residuals, residuals))
        gram += RIDGE * np.trace(gram) * np.eye(len(gram))
        weights = np.linalg.solve(gram, self._arrays.to_numpy(residuals @ residual))
        return self._arrays.doubles(weights) @ images

"""Entropic transport by Sinkhorn's iteration, the plan never formed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medtrans.errors import ConvergenceError
from medtrans.transport.cost import BilinearCost, Doubles
from medtrans.transport.kernel import Array, Arrays, GibbsKernel

REMEDIES = "use a larger epsilon, cost_scale='max', or solver='exact'"

SINGLE_TOLERANCE, DOUBLE_TOLERANCE = 1e-4, 1e-6
"""L1 distance of the plan's marginals from the uniform ones at which the iteration stops, by precision.

Slow convergence at small regularisation makes the distance of the plan larger than that of its marginals.
"""

MAX_ITERATIONS = 10_000

SINGLE_PRECISION_RANGE = 30.0
"""Largest cost over regularisation up to which float32 holds the kernel, the scalings and their products.

The kernel's exponents stay within this range for any features, because the cost is convex.
"""

DOUBLE_PRECISION_RANGE = 1e9
"""The same for float64, where the kernel's exponents are relative to potentials and lose seven digits at most."""

ANNEALING_START = 10.0
ANNEALING_FACTOR = 3.0
ANNEALING_TOLERANCE = 1e-2
ANNEALING_ITERATIONS = 100

HISTORY = 20
RIDGE = 1e-10


@dataclass(frozen=True, eq=False)
class SinkhornCoupling:
    """P = diag(u) K diag(v), and its column sums (G, M) by group of rows."""

    kernel: GibbsKernel
    u: Array
    v: Array
    group_masses: Doubles
    n_iterations: int

    def expectation(self, left: Doubles, right: Doubles) -> Doubles:
        """See `Coupling`; one pass over the kernel."""
        arrays = self.kernel.arrays
        products = self.kernel.left_products(self.u[:, None] * arrays.doubles(left))
        return arrays.to_numpy(products @ (self.v[:, None] * arrays.doubles(right)))


def sinkhorn_coupling(
    cost: BilinearCost,
    *,
    largest: float,
    regularization: float,
    arrays: Arrays,
    group_sizes: Sequence[int] | None = None,
) -> SinkhornCoupling:
    """Entropic coupling of ``cost``, whose largest value is ``largest``.

    In float32 where its range allows; else in float64, with the regularisation lowered in steps, each starting from
    the potentials of the one before. Raises ConvergenceError if the marginals stay off.
    """
    if largest <= regularization * SINGLE_PRECISION_RANGE:
        kernel = GibbsKernel(cost, regularization if largest > 0 else 1.0, arrays, group_sizes=group_sizes)
        return _converged(kernel, SINGLE_TOLERANCE)
    if largest > regularization * DOUBLE_PRECISION_RANGE:
        raise ConvergenceError(f"sinkhorn: the regularisation is under a billionth of the largest cost; {REMEDIES}")
    f, g = np.zeros(len(cost.left)), np.zeros(len(cost.right))
    n_before = 0
    for step in _annealing(largest, regularization):
        kernel = GibbsKernel(cost, step, arrays, double=True, potentials=(f, g))
        coupling, _ = _iterate(kernel, ANNEALING_TOLERANCE, ANNEALING_ITERATIONS)
        f = f + step * np.log(arrays.to_numpy(coupling.u))
        g = g + step * np.log(arrays.to_numpy(coupling.v))
        n_before += coupling.n_iterations
    kernel = GibbsKernel(cost, regularization, arrays, double=True, potentials=(f, g), group_sizes=group_sizes)
    coupling = _converged(kernel, DOUBLE_TOLERANCE)
    return replace(coupling, n_iterations=n_before + coupling.n_iterations)


def _annealing(largest: float, regularization: float) -> Iterator[float]:
    step = largest / ANNEALING_START
    while step > regularization:
        yield step
        step /= ANNEALING_FACTOR


def _iterate(kernel: GibbsKernel, tolerance: float, max_iterations: int) -> tuple[SinkhornCoupling, float]:
    """Sinkhorn's iteration on log v with Anderson acceleration, and the error of the column sums it ends with."""
    library, (_, n_columns) = kernel.arrays.library, kernel.shape
    log_v, error, n_iterations = kernel.arrays.zeros(n_columns), math.inf, 0
    accelerator = _Anderson(kernel.arrays)
    with np.errstate(all="ignore"):  # an overflow shows in the error
        while not error <= tolerance and n_iterations < max_iterations and log_v is not None:
            v = library.exp(log_v)
            u, sums_by_group = kernel.scale_rows(v)
            column_sums = sums_by_group.sum(0)
            error = float(abs(v * column_sums - 1 / n_columns).sum())
            log_v = accelerator.step(log_v, -library.log(n_columns * column_sums), error)
            n_iterations += 1
    v = 1 / (n_columns * column_sums)  # the target's marginal, hence H(Y_t), is exact
    return SinkhornCoupling(kernel, u, v, kernel.arrays.to_numpy(sums_by_group * v), n_iterations), error


def _converged(kernel: GibbsKernel, tolerance: float) -> SinkhornCoupling:
    coupling, error = _iterate(kernel, tolerance, MAX_ITERATIONS)
    if error <= tolerance:
        return coupling
    raise ConvergenceError(
        f"sinkhorn: marginals are still off by {error:.1e} after {coupling.n_iterations} iterations; {REMEDIES}"
    )


class _Anderson:
    """Anderson acceleration of x <- G(x): the combination of the last images whose residuals cancel best.

    Plain Sinkhorn needs thousands of iterations at small regularisation, where this takes a few hundred.
    Source: Walker, Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 49, 2011.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._images: list[Array] = []
        self._residuals: list[Array] = []
        self._best_error = math.inf
        self._best_image: Array = None

    def step(self, point: Array, image: Array, error: float) -> Array:
        """The next point after G(point) = image with its error.

        After an overflow, or an error twice the best, it starts afresh from the best image; None if there is none.
        """
        if not error <= 2 * self._best_error:  # overflow gives NaN
            fallback, self._best_image = self._best_image, None
            self._images, self._residuals, self._best_error = [], [], math.inf
            return fallback
        if error < self._best_error:
            self._best_error, self._best_image = error, image
        self._images = [*self._images[-HISTORY:], image]
        self._residuals = [*self._residuals[-HISTORY:], image - point]
        return image if len(self._images) == 1 else image - self._correction()

    def _correction(self) -> Array:
        images, residuals = (self._arrays.library.stack(history) for history in (self._images, self._residuals))
        steps = residuals[1:] - residuals[:-1]
        gram = self._arrays.to_numpy(self._arrays.library.einsum("in,jn->ij", steps, steps))
        gram += RIDGE * np.trace(gram) * np.eye(len(gram))
        weights = np.linalg.solve(gram, self._arrays.to_numpy(steps @ residuals[-1]))
        return self._arrays.doubles(weights) @ (images[1:] - images[:-1])

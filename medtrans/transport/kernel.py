"""The Gibbs kernel of a cost, handed out in strips of rows: stored while it is small, recomputed when it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medtrans.transport.cost import BilinearCost, Doubles

STORED_BYTES = 2**30
"""Kernels up to this size are kept in memory; larger ones are computed anew in every pass."""

STRIP_SIZE, GPU_STRIP_SIZE = 2**20, 2**25
"""Elements of the strip of rows that is computed and multiplied by vectors at once: it stays in the cache meanwhile."""

MIN_STRIP_ROWS = 16
"""Rows of a strip at least: with fewer, adding up a wide kernel's column sums would outweigh its products."""

Array = Any
"""A NumPy array or a torch tensor: what the code below does is spelled the same in both."""


@dataclass(frozen=True)
class Arrays:
    """Where arrays live and which library computes on them.

    NumPy on the CPU: its matrix-vector products are about twice as fast there as torch's, and the two
    libraries' thread pools get in each other's way when calls to them alternate.
    """

    library: Any
    device: Any
    strip_size: int

    @classmethod
    def numpy(cls) -> Arrays:
        """On the CPU."""
        return cls(np, "cpu", STRIP_SIZE)

    @classmethod
    def torch(cls, device: Any) -> Arrays:
        """On a torch device; wide strips, to keep a GPU busy."""
        import torch

        return cls(torch, device, GPU_STRIP_SIZE)

    def doubles(self, values: Array) -> Array:
        """``values`` as float64 on the device."""
        return self.library.asarray(values, dtype=self.library.float64, device=self.device)

    def zeros(self, *shape: int) -> Array:
        """Float64 zeros on the device."""
        return self.library.zeros(shape, dtype=self.library.float64, device=self.device)

    def to_numpy(self, values: Array) -> Doubles:
        """``values`` as a NumPy array on the CPU."""
        return np.asarray(values if self.library is np else values.cpu().numpy(), dtype=np.float64)


class GibbsKernel:
    r"""$K_{ij} = \exp\big((2\, l_i^\top r_j - q_j + g_j) / \lambda - m_i\big)$ for the columns' potential g (M,).

    m makes each row's largest element 1, so that nothing overflows whatever the costs. K differs from
    $\exp(-c_{ij} / \lambda)$ by factors of rows and columns alone, which the scalings take up. ``group_sizes`` (G,)
    divides the rows into consecutive groups, whose column sums are kept apart.
    """

    def __init__(
        self,
        cost: BilinearCost,
        regularization: float,
        potential: Doubles,
        arrays: Arrays,
        *,
        double: bool = False,
        group_sizes: Sequence[int] | None = None,
    ) -> None:
        self.arrays = arrays
        self.dtype = arrays.library.float64 if double else arrays.library.float32
        n_rows, n_columns = len(cost.left), len(cost.right)
        exponents = (potential - cost.right_offset) / regularization
        self._left = self._cast(np.column_stack([2 / regularization * cost.left, np.ones(n_rows)]))
        self._right = self._cast(np.vstack([cost.right.T, exponents]))  # contiguous rows: faster for narrow strips
        self.row_shifts = arrays.zeros(n_rows)
        sizes = np.array(group_sizes or [n_rows])
        self.group_shares = arrays.doubles(sizes / n_rows)
        self.group_of_row = np.repeat(np.arange(len(sizes)), sizes)
        self._group_ends = np.cumsum(sizes)
        self._strip_rows = min(n_rows, max(MIN_STRIP_ROWS, arrays.strip_size // n_columns))
        self._is_stored = n_rows * n_columns * (8 if double else 4) <= STORED_BYTES
        self._memory = arrays.library.empty(
            (n_rows if self._is_stored else self._strip_rows, n_columns), dtype=self.dtype, device=arrays.device
        )
        self._is_filled = False

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return len(self.row_shifts), self._right.shape[1]

    def scale_rows(self, v: Array) -> tuple[Array, Array]:
        """Scaling u (N,) that makes row sums of diag(u) K diag(v) 1/N, and column sums (G, M) of diag(u) K by group.

        One pass: each strip of rows serves both products while it is in the cache.
        """
        n_rows, n_columns = self.shape
        u, column_sums = self.arrays.zeros(n_rows), self.arrays.zeros(len(self._group_ends), n_columns)
        v = self._cast(v)
        for rows, group, strip in self._strips():
            u[rows] = 1 / (n_rows * self.arrays.doubles(strip @ v))
            column_sums[group] += self._cast(u[rows]) @ strip
        return u, column_sums

    def left_products(self, left: Array) -> Array:
        """left.T @ K, float64 (p, M), for left (N, p)."""
        products = self.arrays.zeros(left.shape[1], self.shape[1])
        for rows, _, strip in self._strips():
            products += self._cast(left[rows].T) @ strip
        return products

    def _strips(self) -> Iterator[tuple[slice, int, Array]]:
        """Slices of rows of one group, the group, and these rows of K, which are valid until the next are asked for."""
        start = 0
        for group, end in enumerate(self._group_ends):
            while start < end:
                rows = slice(start, min(start + self._strip_rows, int(end)))
                strip = self._memory[rows] if self._is_stored else self._memory[: rows.stop - start]
                if not self._is_filled:
                    self._fill(strip, rows)
                yield rows, group, strip
                start = rows.stop
        self._is_filled = self._is_stored

    def _fill(self, strip: Array, rows: slice) -> None:
        library = self.arrays.library
        library.matmul(self._left[rows], self._right, out=strip)
        largest = library.amax(strip, 1)
        strip -= largest[:, None]
        library.exp(strip, out=strip)
        self.row_shifts[rows] = self.arrays.doubles(largest)

    def _cast(self, values: Array) -> Array:
        return self.arrays.library.asarray(values, dtype=self.dtype, device=self.arrays.device)

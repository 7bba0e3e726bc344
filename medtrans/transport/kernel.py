"""The Gibbs kernel of a cost, handed out in blocks of rows: stored while it is small, recomputed when it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medtrans.transport.cost import BilinearCost, Doubles

STORED_BYTES = 2**30
"""Kernels up to this size are kept in memory; larger ones are computed anew in every pass."""

BLOCK_SIZE, GPU_BLOCK_SIZE = 2**22, 2**25
"""Elements of a block. On the CPU it stays in the last cache from its inner products to its exponentials."""

STRIP_SIZE = 400_000
"""Elements of the strip of rows that is multiplied by vectors at once.

It stays in the cache from one product to the next, and OpenBLAS leaves products of up to 460,800 elements to one
thread. Threads that meet in each of thousands of small products gain a third of the time on a quiet machine, and lose
a hundredfold on a busy one.
"""

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
    block_size: int
    strip_size: int

    @classmethod
    def numpy(cls) -> Arrays:
        """On the CPU."""
        return cls(np, "cpu", BLOCK_SIZE, STRIP_SIZE)

    @classmethod
    def torch(cls, device: Any) -> Arrays:
        """On a torch device; whole blocks at once, to keep a GPU busy."""
        import torch

        return cls(torch, device, GPU_BLOCK_SIZE, GPU_BLOCK_SIZE)

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
    r"""$K_{ij} = \exp\big((2\, l_i^\top r_j + f_i + g_j) / \lambda\big)$ for potentials f (N,), g (M,), 0 if None.

    It differs from $\exp(-c_{ij} / \lambda)$ by factors of rows and columns alone, which the scalings take up.
    ``group_sizes`` (G,) divides the rows into consecutive groups, whose column sums are kept apart.
    """

    def __init__(
        self,
        cost: BilinearCost,
        regularization: float,
        arrays: Arrays,
        *,
        double: bool = False,
        potentials: tuple[Doubles, Doubles] | None = None,
        group_sizes: Sequence[int] | None = None,
    ) -> None:
        left, right = 2 / regularization * cost.left, cost.right
        if potentials is not None:
            f, g = (potential / regularization for potential in potentials)
            left = np.column_stack([left, f, np.ones_like(f)])
            right = np.column_stack([right, np.ones_like(g), g])
        self.arrays = arrays
        self._group_ends = np.cumsum(group_sizes or [len(left)])
        self.dtype = arrays.library.float64 if double else arrays.library.float32
        self._left, self._right = self._cast(left), self._cast(right)
        row_bytes = len(right) * (8 if double else 4)
        self._block_rows = min(len(left), max(1, arrays.block_size // len(right)))
        self._is_stored = len(left) * row_bytes <= STORED_BYTES
        self._memory = self._empty(len(left) if self._is_stored else self._block_rows)
        self._is_filled = False

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return len(self._left), len(self._right)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Slices of rows with their block of K, which is valid until the next one is asked for."""
        n_rows = len(self._left)
        for start in range(0, n_rows, self._block_rows):
            rows = slice(start, min(start + self._block_rows, n_rows))
            block = self._memory[rows] if self._is_stored else self._memory[: rows.stop - rows.start]
            if not self._is_filled:
                library = self.arrays.library
                library.matmul(self._left[rows], self._right.T, out=block)
                library.exp(block, out=block)
            yield rows, block
        self._is_filled = self._is_stored

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
        total = 0.0
        for rows, block in self.blocks():
            total = total + self.arrays.doubles(self._cast(left[rows].T) @ block)
        return total

    def _strips(self) -> Iterator[tuple[slice, int, Array]]:
        """Slices of rows of one group, the group, and these rows of K."""
        n_rows = max(MIN_STRIP_ROWS, self.arrays.strip_size // self.shape[1])
        for rows, block in self.blocks():
            start = rows.start
            while start < rows.stop:
                group = int(np.searchsorted(self._group_ends, start, side="right"))
                stop = min(start + n_rows, rows.stop, int(self._group_ends[group]))
                yield slice(start, stop), group, block[start - rows.start : stop - rows.start]
                start = stop

    def _cast(self, values: Array) -> Array:
        return self.arrays.library.asarray(values, dtype=self.dtype, device=self.arrays.device)

    def _empty(self, n_rows: int) -> Array:
        return self.arrays.library.empty((n_rows, len(self._right)), dtype=self.dtype, device=self.arrays.device)

"""Evenly spaced ones of a list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly(n_items: int, n: int) -> NDArray[np.int64]:
    """Positions in a list of the middles of n equal parts; of all items where there are no more than n.

    >>> evenly(10, 2).tolist(), evenly(3, 5).tolist()
    ([2, 7], [0, 1, 2])
    """
    parts = min(n, n_items)
    return (2 * np.arange(parts) + 1) * n_items // (2 * max(parts, 1))

"""How a learning rate changes over the steps of a descent: of a network, and of the head of a metric."""

from __future__ import annotations

import math

WARM_UP = 0.05
"""Share of the steps in which the rate rises."""


def warmed_cosine(step: int, steps: int, highest: float) -> float:
    """The rate of a step: rises linearly to the highest one at first, then falls to 0 on half a cosine.

    >>> [round(warmed_cosine(step, 40, 1.0), 2) for step in (0, 1, 2, 21, 39)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rising = math.ceil(WARM_UP * steps)
    if step < rising:
        return highest * (step + 1) / rising
    falling = (step - rising) / max(steps - rising, 1)
    return highest * 0.5 * (1 + math.cos(math.pi * falling))

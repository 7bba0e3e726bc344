"""The pinhole camera above the street."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera over the ground plane, looking along the street.

    The world is in metres: x to the right, y up from the ground, z ahead; the camera is at (0, height_m, 0). The image
    plane stays upright, and a nod of the car only moves the horizon, which is exact for a shift lens and near the truth
    for the few degrees that a car nods. Then, with f the focal length and v the row,

        column = centre + f x / z,    row = horizon - f (y - height_m) / z,

    and a ground pixel has the depth z = f height_m / (row - horizon).

    Attributes:
        size: rows and columns of the image.
        focal_px: f, in pixels.
        horizon_px: row of the horizon, not rounded.
        height_m: above the ground.
    """

    size: tuple[int, int]
    focal_px: float
    horizon_px: float
    height_m: float

    @property
    def centre_px(self) -> float:
        """Column straight ahead."""
        return (self.size[1] - 1) / 2

    def column(self, x_m: float, z_m: float) -> float:
        """Column of a point at depth ``z_m`` > 0."""
        return self.centre_px + self.focal_px * x_m / z_m

    def row(self, y_m: float, z_m: float) -> float:
        """Row of a point at depth ``z_m`` > 0."""
        return self.horizon_px - self.focal_px * (y_m - self.height_m) / z_m

    @cached_property
    def slopes(self) -> Floats:
        """Slope x / z of each column, float32 (columns,)."""
        columns = np.arange(self.size[1], dtype=np.float32)
        return np.asarray((columns - np.float32(self.centre_px)) / np.float32(self.focal_px), dtype=np.float32)

    @cached_property
    def drops(self) -> Floats:
        """Slope (height_m - y) / z of each row, float32 (rows,): positive below the horizon."""
        rows = np.arange(self.size[0], dtype=np.float32)
        return np.asarray((rows - np.float32(self.horizon_px)) / np.float32(self.focal_px), dtype=np.float32)

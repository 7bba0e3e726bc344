"""What each pixel shows: label, depth, material, and where on which surface it lies. The nearest surface wins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Camera, Floats
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material

Codes = NDArray[np.uint8]
Pattern = Callable[[Floats, Floats], Codes]
"""Material codes at (along, up) in metres on a panel, 0 where there is nothing; arrays broadcast."""

NEAREST_M = 1.0
"""Nothing nearer to the camera is drawn."""


@dataclass(frozen=True)
class Panel:
    """A vertical rectangle that stands in the street.

    Attributes:
        label: what all of it is.
        start, end: (x, z) in metres of its lower corners; ``along`` runs from start to end.
        top_m, bottom_m: heights above the ground.
        pattern: which of it is solid, and of which material; one material for all of it.
        tone: four numbers in [0, 1] from which its colours are made; panels of one thing share them.
    """

    label: Label
    start: tuple[float, float]
    end: tuple[float, float]
    top_m: float
    pattern: Pattern | Material
    tone: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.5)
    bottom_m: float = 0.0

    @cached_property
    def length_m(self) -> float:
        """From start to end."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @cached_property
    def normal(self) -> tuple[float, float]:
        """Unit (x, z) at right angles to the panel, towards the camera."""
        x, z = (self.end[1] - self.start[1]) / self.length_m, -(self.end[0] - self.start[0]) / self.length_m
        return (x, z) if x * self.start[0] + z * self.start[1] < 0 else (-x, -z)


@dataclass(eq=False)
class Canvas:
    """Buffers of the image's size, (rows, columns).

    Attributes:
        label, material: uint8; the sky where nothing was drawn.
        depth_m: float32, z of what is shown; infinite in the sky.
        surface: int32 index into ``panels``; -1 for ground, sky and the camera's own car.
        panels: what was drawn.
    """

    camera: Camera
    label: Codes = field(init=False)
    material: Codes = field(init=False)
    depth_m: Floats = field(init=False)
    surface: NDArray[np.int32] = field(init=False)
    panels: list[Panel] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = self.camera.size
        self.label = np.full(size, Label.SKY, dtype=np.uint8)
        self.material = np.full(size, Material.SKY, dtype=np.uint8)
        self.depth_m = np.full(size, np.inf, dtype=np.float32)
        self.surface = np.full(size, -1, dtype=np.int32)

    def draw(self, panel: Panel) -> None:
        """Draw what of a panel is nearer than what is there."""
        columns, along, z = self._columns(panel)
        if not z.size:
            return
        camera, rows, ends = self.camera, self.camera.size[0], (float(z[0]), float(z[-1]))
        top = max(0, math.ceil(min(camera.row(panel.top_m, end) for end in ends) - 0.01))
        bottom = min(rows, math.floor(max(camera.row(panel.bottom_m, end) for end in ends) + 0.01) + 1)
        if top >= bottom:
            return
        self.panels.append(panel)
        box = slice(top, bottom), columns
        up = np.float32(camera.height_m) - camera.drops[box[0], None] * z
        seen = (up >= panel.bottom_m) & (up <= panel.top_m) & (z < self.depth_m[box])
        code: Codes | Material = panel.pattern if isinstance(panel.pattern, Material) else panel.pattern(along, up)
        seen &= code > 0
        np.copyto(self.label[box], panel.label, where=seen, casting="unsafe")
        np.copyto(self.material[box], code, where=seen, casting="unsafe")
        np.copyto(self.depth_m[box], z, where=seen)
        np.copyto(self.surface[box], len(self.panels) - 1, where=seen, casting="unsafe")

    def _columns(self, panel: Panel) -> tuple[slice, Floats, Floats]:
        """Columns whose rays meet the panel, how far from its start in metres, and at which depth."""
        (x0, z0), (x1, z1) = panel.start, panel.end
        seen = [(x, max(z, NEAREST_M)) for x, z in ((x0, z0), (x1, z1))]
        if z0 <= NEAREST_M >= z1:
            return slice(0, 0), *(np.zeros(0, np.float32),) * 2
        if min(z0, z1) < NEAREST_M:  # only what is far enough
            nearer = 0 if z0 < z1 else 1
            seen[nearer] = x0 + (x1 - x0) * (NEAREST_M - z0) / (z1 - z0), NEAREST_M
        edges = [self.camera.column(x, z) for x, z in seen]
        columns = slice(max(0, math.ceil(min(edges))), max(0, min(self.camera.size[1], math.floor(max(edges)) + 1)))
        slopes = self.camera.slopes[columns].astype(np.float64)
        across = slopes * (z1 - z0) - (x1 - x0)
        share = (x0 - slopes * z0) / np.where(across == 0, np.inf, across)  # 0 / 0 where it is seen edge-on
        z = z0 + (z1 - z0) * share
        return columns, (share * panel.length_m).astype(np.float32), z.astype(np.float32)

    @cached_property
    def positions(self) -> tuple[Floats, Floats, Floats]:
        """World coordinates x, y, z in metres of what each pixel shows, float32, once all is drawn; sky is far away."""
        z = np.minimum(self.depth_m, np.float32(1e5))
        return self.camera.slopes * z, np.float32(self.camera.height_m) - self.camera.drops[:, None] * z, z

    def along_and_grain(self) -> tuple[Floats, Floats]:
        """Distance from each panel's start, and the width of a pixel on it, both in metres, float32.

        With n the panel's normal and r = (x / z, 1) the ray's direction, one column is z / (f |n . r|) metres wide.
        """
        x, _, z = self.positions
        starts = np.array([panel.start for panel in self.panels] + [(0.0, 0.0)], dtype=np.float32)[self.surface]
        normals = np.array([panel.normal for panel in self.panels] + [(0.0, 1.0)], dtype=np.float32)[self.surface]
        slant = np.abs(normals[..., 0] * self.camera.slopes + normals[..., 1])
        grain = z / (np.float32(self.camera.focal_px) * np.maximum(slant, np.float32(1e-3)))
        return np.hypot(x - starts[..., 0], z - starts[..., 1]), grain

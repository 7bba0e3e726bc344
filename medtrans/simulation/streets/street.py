"""The plan of a street, seen from above: where road, pavement, verge and plots are, and what the ground is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Canvas, Codes
from medtrans.simulation.streets.cities import Plan
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material

END_M = 180.0
"""Depth at which the view of the street is closed."""

LINE_M = 0.14  # width of a painted line
DASH_M = 3.0  # length of a dash; the gap is twice as long
KERB_M = 0.2
GAUGE_M = 1.435

LABELS = {
    Material.ASPHALT: Label.ROAD,
    Material.MARKING: Label.ROAD,
    Material.PAVING: Label.SIDEWALK,
    Material.KERB: Label.SIDEWALK,
    Material.GRASS: Label.TERRAIN,
    Material.RAIL: Label.ROAD,
}


@dataclass(frozen=True)
class Plot:
    """A building's plot: ``side`` -1 left or 1 right, from ``near_m`` to ``far_m``; height 0 for an empty plot."""

    side: int
    near_m: float
    far_m: float
    setback_m: float
    height_m: float
    tone: tuple[float, float, float, float]


@dataclass(frozen=True)
class Street:
    """The plan. ``lateral`` is the distance in x from the road's centre line, right positive.

    Attributes:
        offset_m, slope, curvature_per_m: the centre line is at x = offset + slope z + curvature z^2 / 2.
        road_m: width of the carriageway.
        parking_m, pavement_m, verge_m: widths of the strips beside it, on both sides.
        bays: whether the parking strips are paved, which makes them parking and not road.
        crossing_m: depths between which another street crosses; (inf, inf) for none.
        zebra: whether that crossing has zebras.
        rails: whether a tram runs in the middle.
        plots: from near to far, both sides.
    """

    offset_m: float
    slope: float
    curvature_per_m: float
    road_m: float
    parking_m: float
    bays: bool
    pavement_m: float
    verge_m: float
    crossing_m: tuple[float, float]
    zebra: bool
    rails: bool
    plots: tuple[Plot, ...]

    @property
    def kerb_m(self) -> float:
        """Lateral distance of the kerb."""
        return self.road_m / 2 + self.parking_m

    @property
    def front_m(self) -> float:
        """Lateral distance of the line along which plots begin."""
        return self.kerb_m + self.pavement_m + self.verge_m

    def axis(self, z_m: float) -> float:
        """Where the centre line is, in x."""
        return self.offset_m + self.slope * z_m + self.curvature_per_m * z_m**2 / 2

    def at(self, lateral_m: float, z_m: float) -> tuple[float, float]:
        """(x, z) of a place on the street."""
        return self.axis(z_m) + lateral_m, z_m

    def heading(self, z_m: float) -> tuple[float, float]:
        """Unit (x, z) along the street, away from the camera."""
        x = self.slope + self.curvature_per_m * z_m
        length = float(np.hypot(x, 1))
        return x / length, 1 / length

    def on_crossing(self, z_m: float, margin_m: float = 0.0) -> bool:
        """Whether the crossing street passes within ``margin_m`` of this depth."""
        return self.crossing_m[0] - margin_m < z_m < self.crossing_m[1] + margin_m

    def lateral(self, x_m: Floats, z_m: Floats) -> Floats:
        """Distance in x from the centre line, float32."""
        curve = np.float32(self.slope) + np.float32(self.curvature_per_m / 2) * z_m
        return np.asarray(x_m - np.float32(self.offset_m) - curve * z_m, dtype=np.float32)

    def ground(self, lateral_m: Floats, z_m: Floats) -> tuple[Codes, Codes]:
        """Labels and materials of the ground, uint8, at places of the street."""
        distance = np.abs(lateral_m)
        crossing = (z_m > self.crossing_m[0]) & (z_m < self.crossing_m[1])
        kerb, walk = np.float32(self.kerb_m), np.float32(self.kerb_m + self.pavement_m)
        corner = (z_m > self.crossing_m[0] - self.pavement_m) & (z_m < self.crossing_m[1] + self.pavement_m)
        material = np.full(distance.shape, Material.GRASS, dtype=np.uint8)
        material[(distance < walk) | corner] = Material.PAVING
        material[(distance < kerb + np.float32(KERB_M)) & ~crossing] = Material.KERB
        material[(distance < kerb) | crossing] = Material.ASPHALT
        material[self._painted(lateral_m, z_m, crossing)] = Material.MARKING
        if self.rails:
            material[np.abs(distance - GAUGE_M / 2) < 0.08] = Material.RAIL
        label = _LABEL_OF[material]
        if self.bays:
            strip = (distance > self.road_m / 2) & (distance < kerb) & ~crossing
            label[strip], material[strip] = Label.PARKING, Material.PAVING
        return label, material

    def _painted(self, lateral_m: Floats, z_m: Floats, crossing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        distance = np.abs(lateral_m)
        dashed = (z_m % (3 * DASH_M) < DASH_M) & (distance < LINE_M / 2)
        edge = np.abs(distance - np.float32(self.road_m / 2 - 0.25)) < LINE_M / 2
        line = edge if self.rails else dashed | edge
        before = np.float32(self.crossing_m[0]) - z_m
        stop = (before > 4.2) & (before < 4.7) & (lateral_m > 0)
        if self.zebra:
            stop |= (before > 0.5) & (before < 3.5) & (lateral_m % 1.0 < 0.5)
            line &= ~((before > 0) & (before < 4.7))
        return np.asarray((line | stop) & ~crossing & (distance < self.road_m / 2))

    def draw_ground(self, canvas: Canvas) -> None:
        """Cover everything below the horizon; nothing has been drawn on ``canvas`` yet."""
        camera = canvas.camera
        drops = camera.drops
        first = int(np.searchsorted(drops, 1e-5))
        z = (np.float32(camera.height_m) / drops[first:, None]) * np.ones((1, camera.size[1]), dtype=np.float32)
        lateral = self.lateral(camera.slopes * z, z)
        canvas.label[first:], canvas.material[first:] = self.ground(lateral, z)
        canvas.depth_m[first:] = z


_LABEL_OF = np.zeros(max(Material) + 1, dtype=np.uint8)
for _material, _label in LABELS.items():
    _LABEL_OF[_material] = _label


def draw_street(plan: Plan, rng: np.random.Generator) -> Street:
    """A street of a city, from its ranges; the camera drives in the right lane."""
    road = rng.uniform(*plan.road_m)
    crossing = (np.inf, np.inf)
    if rng.random() < 0.5:
        near = rng.uniform(14, 50)
        crossing = (near, near + rng.uniform(7, 11))
    rails = bool(rng.random() < plan.trams)
    slope, curvature = rng.normal(0, 0.015), rng.normal(0, 0.0006)
    return Street(
        offset_m=-road / 4 + rng.normal(0, 0.25),
        slope=float(slope),
        curvature_per_m=float(curvature),
        road_m=road + (2.0 if rails else 0.0),
        parking_m=2.1 if rng.random() < plan.parking else 0.0,
        bays=bool(rng.random() < 0.3),
        pavement_m=rng.uniform(*plan.pavement_m),
        verge_m=rng.uniform(*plan.verge_m),
        crossing_m=crossing,
        zebra=bool(rng.random() < 0.6),
        rails=rails,
        plots=tuple(plot for side in (-1, 1) for plot in _plots(plan, side, crossing, rng)),
    )


def _plots(plan: Plan, side: int, crossing_m: tuple[float, float], rng: np.random.Generator) -> list[Plot]:
    plots, near = [], -rng.uniform(0, 10)
    while near < END_M:
        far = near + rng.uniform(*plan.plot_m)
        if near < crossing_m[1] + 3 and far > crossing_m[0] - 3:  # the crossing street and its pavements stay free
            if crossing_m[0] - 3 - near > 5:
                far = crossing_m[0] - 3
            else:
                near = crossing_m[1] + 3
                continue
        height = 0.0 if rng.random() < plan.gaps else 1.0 + 3.2 * rng.integers(*plan.storeys, endpoint=True)
        a, b, c, d = (float(value) for value in rng.random(4))
        plots.append(Plot(side, near, far, rng.uniform(*plan.setback_m), height, (a, b, c, d)))
        near = far + (rng.uniform(2, 6) if rng.random() < plan.detached else 0.0)
    return plots

"""Houses, walls, fences, and what closes the view."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Codes, Panel, Pattern
from medtrans.simulation.streets.cities import Plan
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.street import END_M, Plot, Street
from medtrans.simulation.streets.texture import noise

DEPTH_M = 11.0
"""How far houses reach back from the street."""


def houses(street: Street) -> Iterator[Panel]:
    """Front and the gable that faces the camera, of each house."""
    for plot in street.plots:
        if not plot.height_m or plot.far_m < 2:
            continue
        front = plot.side * (street.front_m + plot.setback_m)
        back = front + plot.side * DEPTH_M
        near, far, behind = street.at(front, plot.near_m), street.at(front, plot.far_m), street.at(back, plot.near_m)
        roof_m = 1.2 + 2.2 * plot.tone[3]
        top = plot.height_m + roof_m
        yield Panel(Label.BUILDING, near, far, top, _front(plot), plot.tone)
        yield Panel(Label.BUILDING, near, behind, top, _gable(plot.height_m, roof_m), plot.tone)


def _front(plot: Plot) -> Pattern:
    """A front under its roof, whose ends slope where the house stands back from the street."""
    run = 1.0 if plot.setback_m > 1 else 0.01
    length_m = plot.far_m - plot.near_m

    def pattern(along: Floats, up: Floats) -> Codes:
        roof = (up - np.float32(plot.height_m)) * np.float32(run) < np.minimum(along, length_m - along)
        return np.where(
            up < plot.height_m, np.uint8(Material.FACADE), np.where(roof, np.uint8(Material.ROOF), np.uint8(0))
        )

    return pattern


def _gable(eaves_m: float, roof_m: float) -> Pattern:
    """A wall that narrows to its ridge."""

    def pattern(along: Floats, up: Floats) -> Codes:
        half = np.float32(DEPTH_M / 2)
        inside = up - eaves_m < roof_m * np.minimum(1, 1.6 * (1 - np.abs(along / half - 1)) + 0.02)
        return np.where(inside, np.uint8(Material.GABLE), np.uint8(0))

    return pattern


def enclosures(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Walls, fences and hedges along the fronts of plots, more often where no house stands."""
    for plot in street.plots:
        a, b, height, tone = rng.random(), rng.random(), rng.uniform(0.9, 2.0), _tone(rng)
        likely = (plan.enclosed if plot.setback_m > 1 else 0.0) if plot.height_m else 0.85
        if a > likely or plot.far_m < 2:
            continue
        front = plot.side * (street.front_m + 0.1)
        ends = street.at(front, plot.near_m), street.at(front, plot.far_m)
        if b < 0.38:
            yield Panel(Label.WALL, *ends, height, Material.MASONRY, tone)
        elif b < 0.76:
            yield Panel(Label.FENCE, *ends, height, Material.FENCE, tone)
        else:
            yield Panel(Label.VEGETATION, *ends, height + 0.4, _ragged(height + 0.2, 0.15, tone[0] * 60), tone)


def backdrop(street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Trees and houses far behind everything else, so that no street ends at the horizon."""
    z = END_M + 20
    shift, height = rng.uniform(0, 500), rng.uniform(7, 15)
    yield Panel(Label.VEGETATION, (-320, z), (320, z), 2 * height, _ragged(height, 3.0, shift), (0.4, 0.5, 0.2, 0.5))
    for _ in range(7):
        x, width, tone = rng.uniform(-150, 150), rng.uniform(14, 30), _tone(rng)
        depth, top = z + rng.uniform(-15, 30), rng.uniform(9, 24)
        yield Panel(Label.BUILDING, (x, depth), (x + width, depth), top, Material.FACADE, tone)
    if street.crossing_m[0] < np.inf:  # what is seen into the side streets
        for side in (-1, 1):
            x, z = street.at(side * (street.front_m + 45), street.crossing_m[1] + 2)
            shift = rng.uniform(0, 500)
            yield Panel(Label.VEGETATION, (x, z - 14), (x, z + 10), 9, _ragged(6, 1.5, shift), (0.5, 0.5, 0.5, 0.5))


def _ragged(height_m: float, relief_m: float, shift_m: float) -> Pattern:
    """Foliage whose upper edge goes up and down."""

    def pattern(along: Floats, up: Floats) -> Codes:
        edge = noise(along + np.float32(shift_m), np.zeros(1, np.float32), max(0.05, relief_m / 6))
        return np.where(up < height_m + relief_m * edge, np.uint8(Material.FOLIAGE), np.uint8(0))

    return pattern


def _tone(rng: np.random.Generator) -> tuple[float, float, float, float]:
    a, b, c, d = (float(value) for value in rng.random(4))
    return a, b, c, d

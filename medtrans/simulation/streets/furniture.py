"""What stands along the kerb: trees, lamps, traffic lights, signs, bins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medtrans.simulation.streets.canvas import Panel
from medtrans.simulation.streets.cities import Plan
from medtrans.simulation.streets.figures import Tone, crown, facing, sign_plate, traffic_light
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.street import Street

FAR_M = 110.0
"""Beyond it, small things are left out."""


def random_tone(rng: np.random.Generator) -> Tone:
    """Four numbers in [0, 1]."""
    a, b, c, d = (float(value) for value in rng.random(4))
    return a, b, c, d


def trees(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Trees in a row along the kerb, and trees and bushes on empty plots."""
    for side in (-1, 1):
        row = rng.random() < 0.35 + plan.trees
        for z in np.arange(rng.uniform(6, 14), FAR_M, 11.0):
            place = street.at(side * (street.kerb_m + 0.9), float(z + rng.uniform(-1.5, 1.5)))
            radius, stem, tone, there = rng.uniform(1.4, 2.6), rng.uniform(2.4, 3.2), random_tone(rng), rng.random()
            child = rng.spawn(1)[0]
            if row and there < plan.trees and not street.on_crossing(place[1], 4.0):
                yield from _tree(place, radius, stem, tone, child)
    for plot in street.plots:
        tone, child, aside = random_tone(rng), rng.spawn(1)[0], rng.uniform(2, 7)
        if plot.height_m or plot.near_m < 4:
            continue
        for share in (0.25, 0.75):
            z = plot.near_m + share * (plot.far_m - plot.near_m)
            place = street.at(plot.side * (street.front_m + aside + share), z)
            if tone[0] < plan.trees + 0.25:
                yield from _tree(place, 2.0 + 1.5 * tone[1], 2.5, tone, child)
            else:
                yield crown(place, 1.3 + 0.6 * tone[1], 0.9, tone, child)


def _tree(
    place: tuple[float, float], radius_m: float, stem_m: float, tone: Tone, rng: np.random.Generator
) -> Iterator[Panel]:
    yield crown(place, radius_m, stem_m + 0.75 * radius_m, tone, rng)
    behind = place[0], place[1] + 0.05
    yield facing(Label.VEGETATION, behind, 0.14 * radius_m, stem_m + 0.5 * radius_m, Material.BARK, tone)


def poles(street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Street lamps on one side, their arms over the road."""
    side, tone, height = rng.choice((-1, 1)), random_tone(rng), rng.uniform(6, 8)
    for z in np.arange(rng.uniform(7, 25), FAR_M, 27.0):
        if street.on_crossing(float(z), 1.0):
            continue
        place = street.at(side * (street.kerb_m + 0.45), float(z))
        yield facing(Label.POLE, place, 0.17, height, Material.STEEL, tone)
        over = place[0] - side * 1.5, place[1]
        start, end = sorted((place, over))
        yield Panel(Label.POLE, start, end, height + 0.05, Material.STEEL, tone, height - 0.07)
        head = over[0] - side * 0.3, place[1]
        yield facing(Label.POLE, head, 0.7, height + 0.08, Material.STREET_LAMP, tone, height - 0.12)


def signals(street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Traffic lights at the crossing, on poles at both kerbs, on its near and far side."""
    tone, wide, there = random_tone(rng), rng.random() < 0.5, rng.random() < 0.8
    if street.crossing_m[0] == np.inf or not there:
        return
    for z, sides in ((street.crossing_m[0] - 4.5, (-1, 1)), (street.crossing_m[1] + 1.0, (-1, 1))):
        for side in sides:
            place = street.at(side * (street.kerb_m + 0.5), float(z))
            height = 5.6 if wide and side > 0 else 3.4
            yield facing(Label.POLE, place, 0.16, height, Material.STEEL, tone)
            yield traffic_light((place[0], z - 0.1), 2.2, tone)
            if height > 4:
                over = place[0] - 3.2, place[1]
                yield Panel(Label.POLE, over, place, height, Material.STEEL, tone, height - 0.14)
                yield traffic_light((over[0], z - 0.1), height - 1.0, tone)


def signs(street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Signs on poles at either kerb, and now and then a large one for directions."""
    for side in (-1, 1):
        for z in np.arange(rng.uniform(6, 20), 90, 17.0):
            kind, tone, there = int(rng.integers(5)), random_tone(rng), rng.random() < 0.6
            if not there or street.on_crossing(float(z), 0.5):
                continue
            place = street.at(side * (street.kerb_m + 0.35), float(z))
            yield facing(Label.POLE, place, 0.08, 2.8, Material.STEEL, tone)
            yield facing(Label.TRAFFIC_SIGN, (place[0], z - 0.06), 0.7, 2.8, sign_plate(kind), tone, 2.1)
    tone, z, there = random_tone(rng), float(rng.uniform(15, 45)), rng.random() < 0.3
    if there and not street.on_crossing(z, 1.0):
        x, _ = street.at(street.kerb_m + 1.3, z)
        board = Material.BLUE if tone[0] < 0.5 else Material.YELLOW
        yield facing(Label.TRAFFIC_SIGN, (x, z - 0.06), 2.2, 3.6, board, tone, 2.3)
        for aside in (-0.8, 0.8):
            yield facing(Label.POLE, (x + aside, z), 0.1, 3.5, Material.STEEL, tone)


def bins(street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Bins and boxes on the pavement: things that have no training class."""
    for _ in range(int(rng.poisson(2.5))):
        side, z, tone, width = rng.choice((-1, 1)), rng.uniform(6, 60), random_tone(rng), rng.uniform(0.5, 1.1)
        if not street.on_crossing(z, 1.0):
            place = street.at(side * (street.kerb_m + street.pavement_m - 0.5), z)
            yield facing(Label.STATIC, place, width, rng.uniform(0.9, 1.3), Material.BIN, tone)

"""Who is on the road and on the pavement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medtrans.simulation.streets.canvas import Panel
from medtrans.simulation.streets.cities import Plan
from medtrans.simulation.streets.figures import bicycle, motorcycle, person, rider
from medtrans.simulation.streets.furniture import random_tone
from medtrans.simulation.streets.street import Street
from medtrans.simulation.streets.vehicles import BUS, CARS, TRAM, TRUCK, Body, vehicle

Lane = list[tuple[float, float]]  # what of a lane is taken, from z to z


def vehicles(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Parked cars along the kerb, moving ones in both lanes, a tram on the rails, cars on the crossing."""
    yield from _parked(plan, street, rng)
    lanes: dict[int, Lane] = {-1: [], 1: [(-10, 5)]}
    wanted: list[Body] = [body for body in (TRUCK, BUS) if rng.random() < plan.large]
    wanted += [CARS[int(rng.integers(len(CARS)))] for _ in range(int(rng.poisson(plan.traffic)))]
    if street.rails and rng.random() < 0.8:
        yield from _on_lane(street, TRAM, 0.0, 1.0, [], rng)
    for body in wanted:
        side = int(rng.choice((-1, 1)))
        middle = (street.road_m / 4 + (0.5 if street.rails else 0)) * side
        yield from _on_lane(street, body, middle, side, lanes[side], rng)
    crossing, z = rng.random() < 0.4, (street.crossing_m[0] + street.crossing_m[1]) / 2
    turn, x, kind, tone = rng.choice((-1, 1)), rng.uniform(4, 16), int(rng.integers(len(CARS))), random_tone(rng)
    if crossing and z < np.inf:
        ahead = street.axis(z) - turn * x, z + turn * 1.6
        yield from vehicle(CARS[kind], ahead, (float(turn), 0.0), tone)


def _on_lane(
    street: Street, body: Body, lateral_m: float, direction: float, lane: Lane, rng: np.random.Generator
) -> Iterator[Panel]:
    """One vehicle in a free part of a lane, if the third try finds one."""
    half, tone = body.length_m / 2 + 1.5, random_tone(rng)
    for z in 4 + half + 75 * rng.random(3) ** 1.5:
        if all(z + half < near or z - half > far for near, far in lane):
            lane.append((z - half, z + half))
            x, ahead = street.heading(float(z))
            yield from vehicle(body, street.at(lateral_m, float(z)), (direction * x, direction * ahead), tone)
            return


def _parked(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    for side in (-1, 1):
        for z in np.arange(rng.uniform(2, 7), 100, 5.8):
            there, kind, tone, shift = rng.random(), int(rng.integers(len(CARS))), random_tone(rng), rng.normal(0, 0.1)
            if not street.parking_m or there > plan.parked or street.on_crossing(float(z), 7.0):
                continue
            place = street.at(side * (street.road_m / 2 + street.parking_m / 2) + shift, float(z))
            x, ahead = street.heading(float(z))
            turned = side if there > 0.05 else -side
            yield from vehicle(CARS[kind], place, (turned * x, turned * ahead), tone)


def people(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """People on both pavements, alone or in pairs, and some who cross."""
    for _ in range(int(rng.poisson(plan.people))):
        side, z = int(rng.choice((-1, 1))), 5 + 60 * rng.random() ** 1.3
        lateral = street.kerb_m + rng.uniform(0.5, max(0.6, street.pavement_m - 0.4))
        together, across = rng.random() < 0.35, rng.random()
        if across < 0.12:
            z, lateral = min(z + 6, street.crossing_m[0] - 2), rng.uniform(0.2, street.road_m / 2)
        for shift in (0.0, 0.6) if together else (0.0,):
            place = street.at(side * (lateral + shift), z + shift / 4)
            yield person(place, random_tone(rng), rng.uniform(-1, 1), rng.uniform(1.5, 1.9))


def cycles(plan: Plan, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Riders on the road, bicycles and motorcycles that stand on the pavement."""
    for _ in range(int(rng.poisson(plan.cyclists))):
        side, z, squeeze = int(rng.choice((-1, 1))), 6 + 40 * rng.random() ** 1.4, rng.uniform(0.35, 1.0)
        place, tone, motor = street.at(side * (street.road_m / 2 - 0.9), z), random_tone(rng), rng.random() < 0.35
        yield (motorcycle if motor else bicycle)(place, tone, squeeze)
        yield rider((place[0], z - 0.05), random_tone(rng), squeeze)
    for _ in range(int(rng.poisson(1 + plan.cyclists))):
        side, z, squeeze = int(rng.choice((-1, 1))), 6 + 35 * rng.random() ** 1.4, rng.uniform(0.5, 1.0)
        lateral, motor = street.kerb_m + rng.uniform(0.5, 1.2), rng.random() < 0.3
        place, tone = street.at(side * lateral, z), random_tone(rng)
        if not street.on_crossing(z, 1.0):
            yield (motorcycle if motor else bicycle)(place, tone, squeeze)

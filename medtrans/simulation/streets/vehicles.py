"""Vehicles: boxes whose visible faces carry the outline of a car, truck, bus or tram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Codes, Panel, Pattern
from medtrans.simulation.streets.figures import Tone
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material

Place = tuple[float, float]


@dataclass(frozen=True)
class Body:
    """Size of a vehicle, and where its parts are.

    Attributes:
        length_m, width_m, height_m: of its box.
        belt_m: height of the lower edge of its windows.
        nose_m, tail_m: length of bonnet and boot, in front of and behind the cabin.
        shell: material of its outside.
        windows: length of one window with its post, for buses and trams; 0 for cars, whose side has two.
        cabin_m: length of the driver's cabin of a truck, behind which its cargo stands; 0 for others.
        wheels: whether any are seen from the side.
    """

    label: Label
    length_m: float
    width_m: float
    height_m: float
    belt_m: float
    nose_m: float = 0.0
    tail_m: float = 0.0
    shell: Material = Material.CAR_PAINT
    windows: float = 0.0
    cabin_m: float = 0.0
    wheels: bool = True


SALOON = Body(Label.CAR, 4.5, 1.8, 1.45, 0.92, nose_m=1.15, tail_m=0.75)
HATCHBACK = Body(Label.CAR, 4.0, 1.75, 1.5, 0.95, nose_m=0.95, tail_m=0.15)
ESTATE = Body(Label.CAR, 4.7, 1.85, 1.6, 1.0, nose_m=1.1, tail_m=0.1)
VAN = Body(Label.CAR, 5.0, 1.95, 2.1, 1.15, nose_m=0.7, tail_m=0.05)
CARS = (SALOON, HATCHBACK, ESTATE, VAN)
TRUCK = Body(Label.TRUCK, 8.5, 2.45, 3.4, 1.5, shell=Material.CARGO, cabin_m=2.1)
BUS = Body(Label.BUS, 12.0, 2.5, 3.1, 1.25, shell=Material.LIVERY, windows=1.6)
TRAM = Body(Label.TRAIN, 26.0, 2.4, 3.5, 1.3, shell=Material.LIVERY, windows=1.9, wheels=False)


def vehicle(body: Body, place: Place, heading: Place, tone: Tone) -> list[Panel]:
    """The faces of a vehicle that the camera sees.

    ``place`` is the (x, z) of its middle, ``heading`` the unit (x, z) of where its front points.
    """
    corner = _corners(body, place, heading)
    sides = [(corner(-1, side), corner(1, side)) for side in (-1, 1)]
    panels = [
        Panel(body.label, start, end, body.height_m, _side(body), tone)
        for side, (start, end) in zip((-1, 1), sides, strict=True)
        if _faces_camera(start, end, (side * heading[1], -side * heading[0]))
    ]
    for end, inset_m in ((1, body.nose_m), (-1, body.tail_m)):
        outward = (end * heading[0], end * heading[1])
        left, right = corner(end, -1), corner(end, 1)
        if not _faces_camera(left, right, outward):
            continue
        panels.append(Panel(body.label, left, right, body.height_m, _end(body, end, bool(inset_m)), tone))
        if inset_m:  # in the middle of the slope from belt to roof
            share = 1 - 2 * (inset_m + 0.08) / body.length_m
            left, right = corner(end * share, -1), corner(end * share, 1)
            panels.append(Panel(body.label, left, right, body.height_m, _screen(body), tone, bottom_m=0.5))
    return panels


def _corners(body: Body, place: Place, heading: Place) -> Callable[[float, float], Place]:
    def corner(end: float, side: float) -> Place:
        forward, right = end * body.length_m / 2, side * body.width_m / 2
        x = place[0] + forward * heading[0] + right * heading[1]
        return x, place[1] + forward * heading[1] - right * heading[0]

    return corner


def _faces_camera(start: Place, end: Place, outward: Place) -> bool:
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    return outward[0] * middle[0] + outward[1] * middle[1] < 0


def _side(body: Body) -> Pattern:
    """The side, ``along`` from the tail to the front."""
    length, roof = body.length_m, body.height_m
    if body.nose_m:
        slope = 0.16
        ts = [0, body.tail_m, body.tail_m + slope, length - body.nose_m - slope, length - body.nose_m, length]
        hs = [body.belt_m, body.belt_m, roof, roof, body.belt_m, body.belt_m - 0.22]
    else:
        ts, hs = [0, length], [roof, roof]
    axles = (0.18 * length, 0.81 * length)
    radius = 0.33 if body.label == Label.CAR else 0.48

    def pattern(along: Floats, up: Floats) -> Codes:
        top = np.interp(along, ts, hs).astype(np.float32)
        clearance = 0.25 if body.wheels else 0.12
        code = np.where((up > clearance) & (up < top), np.uint8(body.shell), np.uint8(0))
        code[(code > 0) & (up < clearance + 0.12)] = Material.DARK
        code[(code > 0) & _glazed(body, along, up, top)] = Material.GLASS
        if body.cabin_m:
            cabin = (along > length - body.cabin_m) & (code == body.shell)
            code[cabin] = Material.CAR_PAINT
            code[(code > 0) & (along < length - body.cabin_m) & (up < 0.95)] = Material.DARK
        for axle in axles if body.wheels else ():
            distance2 = (along - np.float32(axle)) ** 2 + (up - np.float32(radius)) ** 2
            code[distance2 < (1.15 * radius) ** 2] = Material.DARK
            code[distance2 < (0.55 * radius) ** 2] = Material.SPOKES
        code[(code == body.shell) & (along < 0.12) & (up > 0.6) & (up < 0.85)] = Material.TAILLIGHT
        return code

    return pattern


def _glazed(body: Body, along: Floats, up: Floats, top: Floats) -> NDArray[np.bool_]:
    if body.windows:
        post = (along % np.float32(body.windows)) < 0.15
        return np.asarray((up > body.belt_m) & (up < body.height_m - 0.55) & ~post)
    if body.cabin_m:
        cabin = along > body.length_m - body.cabin_m + 0.5
        return np.asarray(cabin & (up > body.belt_m) & (up < body.height_m - 0.9))
    start, end = body.tail_m + 0.25, body.length_m - body.nose_m - 0.3
    post = np.abs(along - np.float32((start + end) / 2)) < 0.06
    glazed = (up > body.belt_m + 0.04) & (up < top - 0.12) & (along > start) & (along < end) & ~post
    return np.asarray(glazed)


def _end(body: Body, end: int, boxed: bool) -> Pattern:
    """Front (1) or tail (-1), ``along`` from side to side; ``boxed``: bonnet or boot, with the screen further in."""
    half, taper = body.width_m / 2, 0.05 if body.label == Label.CAR else 0.0
    lamp = Material.HEADLIGHT if end > 0 else Material.TAILLIGHT
    roof = body.belt_m if boxed else body.height_m
    if boxed and end > 0:
        roof -= 0.15
    lamp_m = (0.58, 0.76) if body.label == Label.CAR else (0.7, 0.9)

    def pattern(along: Floats, up: Floats) -> Codes:
        x = np.abs(along - np.float32(half))
        inside = (x < half - np.maximum(0, up - body.belt_m) * taper) & (up < roof)
        code = np.where(inside & (up > 0.28), np.uint8(body.shell), np.uint8(0))
        code[(code > 0) & (up < 0.42)] = Material.DARK
        if body.cabin_m and end > 0:
            code[code == body.shell] = Material.CAR_PAINT
        if not boxed and not (body.cabin_m and end < 0):
            high = body.height_m - (0.12 if body.label == Label.CAR else 0.7)
            code[(code > 0) & (up > body.belt_m) & (up < high) & (x < half - 0.16)] = Material.GLASS
        code[(code > 0) & (x > half - 0.38) & (x < half - 0.06) & (up > lamp_m[0]) & (up < lamp_m[1])] = lamp
        code[(code > 0) & (x < 0.26) & (up > 0.45) & (up < 0.56)] = Material.WHITE  # the number plate
        tyre = (x > half - 0.26) & (x < half - 0.04) & (up < 0.34)
        code[tyre & bool(body.wheels)] = Material.DARK
        return code

    return pattern


def _screen(body: Body) -> Pattern:
    """Windscreen or rear window, set back behind bonnet or boot, with what is seen of those below it."""
    half = body.width_m / 2

    def pattern(along: Floats, up: Floats) -> Codes:
        x = np.abs(along - np.float32(half))
        inside = (x < half - np.maximum(0, up - np.float32(body.belt_m)) * 0.06) & (up < body.height_m)
        code = np.where(inside, np.uint8(body.shell), np.uint8(0))
        glass = (up > body.belt_m + 0.03) & (up < body.height_m - 0.1) & (x < half - 0.12 - (up - body.belt_m) * 0.1)
        code[inside & glass] = Material.GLASS
        return code

    return pattern

"""A street with everything that stands and moves in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medtrans.simulation.streets import buildings, furniture, traffic
from medtrans.simulation.streets.camera import Camera
from medtrans.simulation.streets.canvas import Canvas, Panel
from medtrans.simulation.streets.cities import City, Sensor
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.street import Street, draw_street


def draw_camera(sensor: Sensor, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """The city's camera, a little different in every image, since cars nod."""
    focal = sensor.focal * rng.uniform(0.96, 1.04) * size[1]
    horizon = rng.uniform(*sensor.horizon) * size[0]
    return Camera(size, float(focal), float(horizon), float(rng.uniform(*sensor.height_m)))


def draw_scene(city: City, size: tuple[int, int], rng: np.random.Generator) -> tuple[Canvas, Street]:
    """A random street of a city as its camera sees it: the buffers and the plan.

    The random numbers drawn do not depend on ``size``, so the same ``rng`` shows the same street at any size.
    """
    canvas = Canvas(draw_camera(city.sensor, size, rng))
    street = draw_street(city.plan, rng)
    street.draw_ground(canvas)
    for panel in panels(city, street, rng):
        canvas.draw(panel)
    _draw_own_car(canvas, city.sensor.hood)
    return canvas, street


def panels(city: City, street: Street, rng: np.random.Generator) -> Iterator[Panel]:
    """Everything that stands on the ground, in no order: nearness decides."""
    yield from buildings.backdrop(street, rng)
    yield from buildings.houses(street)
    yield from buildings.enclosures(city.plan, street, rng)
    yield from furniture.trees(city.plan, street, rng)
    yield from furniture.poles(street, rng)
    yield from furniture.signals(street, rng)
    yield from furniture.signs(street, rng)
    yield from furniture.bins(street, rng)
    yield from traffic.vehicles(city.plan, street, rng)
    yield from traffic.people(city.plan, street, rng)
    yield from traffic.cycles(city.plan, street, rng)


def _draw_own_car(canvas: Canvas, hood: float) -> None:
    """The bonnet at the lower edge, and columns at both sides that are outside the region of interest."""
    rows, columns = canvas.camera.size
    across = np.linspace(-1, 1, columns, dtype=np.float32)
    own = np.arange(rows)[:, None] > rows * (1 - hood * (1 - 0.35 * across**2 - 0.25 * across**8))
    canvas.label[own] = Label.EGO_VEHICLE
    canvas.material[own] = Material.HOOD
    canvas.surface[own] = -1
    canvas.depth_m[own] = 1.0
    border = max(1, columns // 128)
    canvas.label[:, :border] = canvas.label[:, -border:] = Label.OUT_OF_ROI

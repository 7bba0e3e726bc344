"""Sunlight and its shadows on everything that the canvas shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Canvas
from medtrans.simulation.streets.cities import Weather
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.street import END_M, Street

Vector = NDArray[np.float64]

CASTERS = (Label.CAR, Label.TRUCK, Label.BUS, Label.TRAIN, Label.PERSON, Label.RIDER, Label.BICYCLE, Label.MOTORCYCLE)


def draw_sun(weather: Weather, rng: np.random.Generator) -> Vector:
    """Unit vector (x, y, z) towards the sun: any bearing, the city's height."""
    height, bearing = np.deg2rad(rng.uniform(*weather.elevation_deg)), rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(height) * np.sin(bearing), np.sin(height), np.cos(height) * np.cos(bearing)])


def sunlit(canvas: Canvas, street: Street, sun: Vector) -> Floats:
    """Share of the sun's light that reaches each pixel, float32: its angle, and the houses in its way."""
    normals = np.array([(panel.normal[0], 0.0, panel.normal[1]) for panel in canvas.panels] + [(0.0, 1.0, 0.0)])
    cosine = np.clip(normals @ sun, 0, 1).astype(np.float32)[canvas.surface]  # the last normal is the ground's
    rounded = np.isin(canvas.material, (Material.FOLIAGE, Material.COAT, Material.TROUSERS, Material.SKIN))
    cosine[rounded] = np.float32(0.35 + 0.3 * abs(sun[1]))
    return np.asarray(cosine * _past_houses(street, sun, *canvas.positions))


def _past_houses(street: Street, sun: Vector, x: Floats, y: Floats, z: Floats) -> Floats:
    """0 where the house on the sun's side, along the ray to the sun, is higher than the ray; 1 elsewhere."""
    side = 1 if sun[0] > 0 else -1
    heights = np.zeros(int(2 * END_M), dtype=np.float32)
    for plot in street.plots:
        if plot.side == side:
            near, far = (int(np.clip(depth, 0, 2 * END_M - 1)) for depth in (plot.near_m, plot.far_m))
            heights[near:far] = plot.height_m
    gap = np.float32(street.front_m) - np.float32(side) * street.lateral(x, z)
    reach = gap / np.float32(max(abs(sun[0]), 0.05))
    place = np.clip(z + reach * np.float32(sun[2]), 0, len(heights) - 1).astype(np.int32)
    clear = np.clip(y + reach * np.float32(sun[1]) - heights[place] + np.float32(0.5), 0, 1)
    return np.where(gap > 0.2, clear, np.float32(1)).astype(np.float32)


def ground_shade(canvas: Canvas, sun: Vector, sunny: float) -> Floats:
    """Light that things leave to the ground they stand on, float32 in (0, 1]: dark at contact and away from the sun.

    ``sunny`` in [0, 1] is how much of the light comes from the sun.
    """
    shade = np.ones(canvas.camera.size, dtype=np.float32)
    ground = canvas.surface < 0
    reach = min(np.hypot(sun[0], sun[2]) / max(sun[1], 0.15), 3.0)
    away = -np.array([sun[0], sun[2]]) / max(float(np.hypot(sun[0], sun[2])), 1e-6) * reach
    for panel in canvas.panels:
        tree = panel.label == Label.VEGETATION and panel.bottom_m > 0
        if not (tree or (panel.label in CASTERS and panel.bottom_m == 0)):
            continue
        middle = (np.array(panel.start) + np.array(panel.end)) / 2
        half = (np.array(panel.end) - np.array(panel.start)) / 2
        if not tree:
            _dim(canvas, shade, ground, middle, half, 0.35, 0.6)
        if sunny > 0.3:
            tall = (panel.top_m + panel.bottom_m) / 2
            spread = (panel.top_m - panel.bottom_m) * reach / 2
            _dim(canvas, shade, ground, middle + away * tall, half, spread, 0.55 * sunny)
    return shade


def _dim(
    canvas: Canvas,
    shade: Floats,
    ground: NDArray[np.bool_],
    middle: Vector,
    half: Vector,
    spread_m: float,
    strength: float,
) -> None:
    """Darken the ground within about ``spread_m`` of the line middle - half to middle + half."""
    camera = canvas.camera
    spread_m = max(spread_m, 0.3)
    near, far = (middle[1] + sign * (abs(half[1]) + 1.5 * spread_m) for sign in (-1, 1))
    if far < 2:
        return
    near = max(near, 1.5)
    rows = slice(max(int(camera.row(0, far)), 0), int(np.clip(camera.row(0, near) + 2, 0, camera.size[0])))
    wide = abs(half[0]) + 1.5 * spread_m
    ends = [camera.column(middle[0] + sign * wide, depth) for sign in (-1, 1) for depth in (near, far)]
    columns = slice(*(int(np.clip(end, 0, camera.size[1])) for end in (min(ends), max(ends) + 2)))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    z = canvas.depth_m[rows, columns]
    dx, dz = camera.slopes[columns] * z - np.float32(middle[0]), z - np.float32(middle[1])
    along = np.clip((dx * half[0] + dz * half[1]) / max(float(half @ half), 1e-6), -1, 1)
    distance2 = (dx - along * half[0]) ** 2 + (dz - along * half[1]) ** 2
    darker = 1 - np.float32(strength) * np.clip(1.5 - distance2 / spread_m**2, 0, 1)
    part = shade[rows, columns]
    np.minimum(part, darker, out=part, where=ground[rows, columns])

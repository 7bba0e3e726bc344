"""From the buffers to a picture: light, air, wet roads, and what the camera makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtrans.simulation.streets.camera import Camera, Floats
from medtrans.simulation.streets.canvas import Canvas
from medtrans.simulation.streets.cities import City, Sensor, Weather
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.light import Vector, draw_sun, ground_shade, sunlit
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.paint import linear, paint
from medtrans.simulation.streets.street import Street
from medtrans.simulation.streets.texture import noise

GREY = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Shares of red, green and blue in brightness (ITU-R BT.709)."""


def photograph(canvas: Canvas, street: Street, city: City, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture of a scene in a city's light, by its camera: uint8 (rows, columns, 3), sRGB."""
    weather = city.weather
    sun = draw_sun(weather, rng)
    light = illuminated(canvas, street, city, sun)
    light = hazy(light, canvas.depth_m, weather)
    above = sky_light(canvas.camera, weather, sun, rng)
    np.copyto(light[: len(above)], above, where=(canvas.material == Material.SKY)[: len(above), :, None])
    if weather.wet:
        light = mirrored(light, canvas, weather.wet)
    return developed(light, city.sensor, rng)


def illuminated(canvas: Canvas, street: Street, city: City, sun: Vector) -> Floats:
    """Light that leaves each surface: albedo (sun x its share + sky x openness) + glow; float32 (rows, columns, 3)."""
    weather = city.weather
    albedo, glow = paint(canvas, street, city)
    direct, diffuse = np.array(weather.sun, np.float32), np.array(weather.sky, np.float32)
    sunny = float(direct.sum() / (direct + diffuse).sum())
    shade = ground_shade(canvas, sun, sunny)[..., None]
    arriving = direct * sunlit(canvas, street, sun)[..., None] * shade + diffuse * _openness(canvas)[..., None] * shade
    if weather.lit > 0.1:
        arriving = arriving + lamp_light(canvas, weather.lit)
    return albedo * arriving + glow


def _openness(canvas: Canvas) -> Floats:
    """How much of the sky a surface sees: 1 for the ground, less for walls, least at their feet."""
    y = canvas.positions[1]
    wall = np.float32(0.62) + np.float32(0.2) * np.clip(y / 8, 0, 1)
    return np.where(canvas.surface < 0, np.float32(1), wall).astype(np.float32)


def lamp_light(canvas: Canvas, lit: float) -> Floats:
    """Headlights ahead, and street lamps every 27 m; float32 (rows, columns, 3)."""
    x, y, z = canvas.positions
    beam = np.exp(-((x / (1.5 + 0.25 * z)) ** 2) - np.clip(y - 0.8, 0, 9) ** 2) * np.exp(-z / 18)
    lamps = (
        np.exp(-np.clip(np.abs((z + 5) % 27 - 13.5), 0, 20) / 9) * np.exp(-np.clip(y - 2, 0, 30) / 6) * np.exp(-z / 150)
    )
    light = np.float32(0.5) * beam + np.float32(0.22) * lamps
    return np.asarray(lit * light[..., None] * np.array([1.0, 0.82, 0.58]), dtype=np.float32)


def sky_light(camera: Camera, weather: Weather, sun: Vector, rng: np.random.Generator) -> Floats:
    """The rows above the horizon: its colour to the zenith's, brighter towards the sun, clouds; (rows, columns, 3)."""
    rise = np.clip(-camera.drops[: int(np.ceil(camera.horizon_px))], 0.004, None)[:, None]
    side = camera.slopes[None, :]
    height = 1 - np.exp(-2.2 * rise)
    colour = linear(weather.horizon) * (1 - height[..., None]) + linear(weather.zenith) * height[..., None]
    shift = rng.uniform(0, 1000, 2).astype(np.float32)
    field = noise(side / (rise + 0.12) + shift[0], 0.35 / (rise + 0.12) + shift[1], 0.048)
    field = ndimage.gaussian_filter(field, 0.004 * camera.size[1])
    cover = np.clip(0.5 * field + 2 * weather.clouds - 0.9, 0, 1)[..., None] * min(1.0, 0.5 + weather.clouds)
    cloud = (linear(weather.horizon) * 0.75 + 0.2 * linear(weather.zenith)) * (1 + 0.12 * field[..., None])
    glare = np.clip((side * sun[0] + rise * sun[1] + sun[2]) / np.sqrt(side**2 + rise**2 + 1), 0, 1) ** 24
    bright = 1 + (1.2 * (1 - weather.clouds) * glare)[..., None] * np.array(weather.sun, np.float32)
    return np.asarray((colour * (1 - cover) + cloud * cover) * bright, dtype=np.float32)


def hazy(light: Floats, depth_m: Floats, weather: Weather) -> Floats:
    """Light after the air between: exp(-3 z / visibility) of it, the rest from the horizon's colour."""
    share = np.exp(np.float32(-3 / weather.visibility_m) * depth_m)[..., None]
    return np.asarray(light * share + linear(weather.horizon) * np.float32(0.8) * (1 - share), dtype=np.float32)


def mirrored(light: Floats, canvas: Canvas, wet: float) -> Floats:
    """A wet road shows what is as high above the horizon as it lies below it, more of it the flatter the view."""
    rows = np.arange(canvas.camera.size[0])
    opposite = np.clip(np.rint(2 * canvas.camera.horizon_px - rows), 0, len(rows) - 1).astype(int)
    blurred = ndimage.gaussian_filter1d(light, 0.012 * len(rows), axis=0)
    share = np.float32(wet) * (0.12 + 0.55 * np.exp(-12 * np.clip(canvas.camera.drops, 0, None)))[:, None, None]
    share = np.broadcast_to(share, (*canvas.camera.size, 1))
    paved = np.isin(canvas.label, (Label.ROAD, Label.PARKING))[..., None]
    share = np.where(paved, share, np.where((canvas.label == Label.SIDEWALK)[..., None], 0.5 * share, 0))
    return np.asarray(light * (1 - share * 0.9) + blurred[opposite] * share, dtype=np.float32)


def developed(light: Floats, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera stores: blur, vignette, white balance, a curve that keeps highlights, noise, eight bits."""
    rows, columns = light.shape[:2]
    light = ndimage.gaussian_filter(light, (sensor.blur * columns, sensor.blur * columns, 0), truncate=3)
    across = np.linspace(-1, 1, columns, dtype=np.float32) ** 2
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None] ** 2
    gain = sensor.exposure * (1 - sensor.vignette * (across + down) / 2)
    light = light * gain[..., None].astype(np.float32) * np.array(sensor.white_balance, np.float32)
    signal = (1 - np.exp(-np.float32(1.6) * light)) ** np.float32(1 / 2.2)
    grey = (signal @ GREY)[..., None]
    signal = grey + np.float32(sensor.saturation) * (signal - grey)
    signal += np.float32(sensor.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(255 * signal), 0, 255), dtype=np.uint8)

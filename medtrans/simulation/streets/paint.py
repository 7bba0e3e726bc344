"""Colours of surfaces in white light, and what shines by itself: from material, place on the surface and tone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Canvas
from medtrans.simulation.streets.cities import RGB, City
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.street import Street
from medtrans.simulation.streets.texture import hashed, noise

CAR_PAINTS: tuple[RGB, ...] = (
    (0.75, 0.76, 0.77), (0.10, 0.10, 0.11), (0.86, 0.86, 0.86), (0.45, 0.46, 0.48), (0.28, 0.29, 0.31),
    (0.12, 0.18, 0.38), (0.55, 0.08, 0.08), (0.20, 0.30, 0.28), (0.62, 0.56, 0.44),
)  # fmt: skip
LIVERIES: tuple[RGB, ...] = ((0.78, 0.70, 0.20), (0.70, 0.14, 0.12), (0.84, 0.84, 0.82), (0.16, 0.34, 0.58))
CARGOES: tuple[RGB, ...] = ((0.82, 0.82, 0.80), (0.20, 0.32, 0.55), (0.62, 0.30, 0.20), (0.45, 0.50, 0.45))
COATS: tuple[RGB, ...] = (
    (0.12, 0.12, 0.14), (0.18, 0.22, 0.34), (0.50, 0.12, 0.12), (0.55, 0.50, 0.42), (0.75, 0.74, 0.72),
    (0.22, 0.32, 0.24), (0.70, 0.42, 0.16), (0.36, 0.36, 0.40),
)  # fmt: skip
TROUSERS: tuple[RGB, ...] = ((0.14, 0.16, 0.24), (0.10, 0.10, 0.11), (0.24, 0.30, 0.42), (0.42, 0.38, 0.32))
SKINS: tuple[RGB, ...] = ((0.82, 0.63, 0.52), (0.70, 0.50, 0.38), (0.42, 0.28, 0.21))

PLAIN: dict[Material, RGB] = {
    Material.KERB: (0.62, 0.61, 0.59),
    Material.RAIL: (0.38, 0.36, 0.35),
    Material.BARK: (0.30, 0.25, 0.20),
    Material.DARK: (0.09, 0.09, 0.10),
    Material.HEADLIGHT: (0.85, 0.86, 0.84),
    Material.TAILLIGHT: (0.60, 0.08, 0.07),
    Material.SIGNAL_RED: (0.80, 0.10, 0.08),
    Material.SIGNAL_GREEN: (0.10, 0.65, 0.40),
    Material.STREET_LAMP: (0.55, 0.55, 0.54),
    Material.WHITE: (0.88, 0.88, 0.86),
    Material.RED: (0.74, 0.10, 0.12),
    Material.BLUE: (0.10, 0.28, 0.62),
    Material.YELLOW: (0.92, 0.76, 0.12),
    Material.SPOKES: (0.42, 0.42, 0.42),
    Material.HOOD: (0.10, 0.10, 0.12),
}

GLOWING: dict[Material, tuple[RGB, float]] = {  # colour, and how bright; signals shine by day too
    Material.SIGNAL_RED: ((1.0, 0.15, 0.1), 0.5),
    Material.SIGNAL_GREEN: ((0.15, 1.0, 0.55), 0.5),
}
GLOWING_AT_NIGHT: dict[Material, tuple[RGB, float]] = {
    Material.HEADLIGHT: ((1.0, 0.97, 0.88), 2.0),
    Material.TAILLIGHT: ((1.0, 0.12, 0.08), 0.5),
    Material.STREET_LAMP: ((1.0, 0.85, 0.6), 2.0),
}
WINDOW_LIGHT: RGB = (1.0, 0.75, 0.42)


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels of one material: float32 (n,) positions in metres, tone (n, 4), number of the surface (n,) int32."""

    along: Floats
    up: Floats
    grain: Floats
    tone: Floats
    surface: NDArray[np.int32]

    def detail(self, size_m: float) -> Floats:
        """1 where a detail of this size covers pixels, falling to 0 where a pixel covers it."""
        return np.asarray(np.clip(1.5 - self.grain / np.float32(size_m), 0, 1), dtype=np.float32)


def linear(colour: RGB | NDArray[np.floating]) -> Floats:
    """From sRGB, 0 to 1, to an amount of light; a power of 2.2."""
    return np.asarray(np.asarray(colour, dtype=np.float32) ** np.float32(2.2), dtype=np.float32)


def paint(canvas: Canvas, street: Street, city: City) -> tuple[Floats, Floats]:
    """Share of white light that each pixel's surface sends back, and light of its own: float32 (rows, columns, 3)."""
    albedo, glow = (np.zeros((*canvas.camera.size, 3), dtype=np.float32) for _ in range(2))
    tones = np.array([panel.tone for panel in canvas.panels] + [(0.5, 0.5, 0.5, 0.5)], dtype=np.float32)
    buffers = _places(canvas, street)
    order = np.argsort(canvas.material, axis=None, kind="stable")
    ends = np.searchsorted(canvas.material.ravel()[order], np.arange(max(Material) + 2))
    for material in Material:
        where = order[ends[material] : ends[material + 1]]
        if not len(where) or material in (Material.NOTHING, Material.SKY):
            continue
        along, up, grain = (buffer.ravel()[where] for buffer in buffers)
        surface = canvas.surface.ravel()[where]
        pixels = Pixels(along, up, grain, tones[surface], surface)
        albedo.reshape(-1, 3)[where] = PAINTERS[material](pixels, city)
        glow.reshape(-1, 3)[where] = _glow(material, pixels, city)
    return albedo, glow


def _places(canvas: Canvas, street: Street) -> tuple[Floats, Floats, Floats]:
    """Along, up and grain of each pixel; on the ground, depth and distance from the road's centre line."""
    along, grain = canvas.along_and_grain()
    x, y, z = canvas.positions
    ground = canvas.surface < 0
    return np.where(ground, z, along), np.where(ground, street.lateral(x, z), y), grain


def _glow(material: Material, pixels: Pixels, city: City) -> Floats | float:
    lit = city.weather.lit
    if material is Material.FACADE:
        glass, luck = _windows(pixels)
        return (glass & (luck < lit))[:, None] * linear(WINDOW_LIGHT) * np.float32(0.7)
    if material in GLOWING:
        colour, light = GLOWING[material]
        return linear(colour) * np.float32(light)
    if material in GLOWING_AT_NIGHT and lit > 0.1:
        colour, light = GLOWING_AT_NIGHT[material]
        return linear(colour) * np.float32(light * min(1.0, 2 * lit))
    return 0.0


def _windows(pixels: Pixels) -> tuple[NDArray[np.bool_], Floats]:
    """Which pixels of a front are glass, and a number in [0, 1) for each window."""
    storey = 2.9 + 0.6 * pixels.tone[:, 1]
    bay = 1.7 + 1.6 * pixels.tone[:, 2]
    column, row = np.floor(pixels.along / bay), np.floor((pixels.up - 0.2) / storey)
    across, height = pixels.along / bay - column, (pixels.up - 0.2) / storey - row
    shop = (row < 1) & (pixels.tone[:, 3] > 0.5)
    half = np.where(shop, np.float32(0.44), 0.22 + 0.12 * pixels.tone[:, 3])
    glass = (np.abs(across - 0.5) < half) & (height > np.where(shop, 0.1, 0.3)) & (height < 0.8)
    luck = hashed(column.astype(np.int32), row.astype(np.int32), pixels.surface)
    return np.asarray(glass), luck


def _facade(pixels: Pixels, city: City) -> Floats:
    glass, luck = _windows(pixels)
    wall = _mixed(city.palette.facades, pixels) * (0.92 + 0.16 * pixels.tone[:, 3:])
    storey = 2.9 + 0.6 * pixels.tone[:, 1]
    cornice = (pixels.up / storey) % 1.0 < 0.07
    wall = wall * (1 - 0.18 * (cornice * pixels.detail(0.5)))[:, None]
    wall *= np.where(pixels.up < 0.5, np.float32(0.7), np.float32(1))[:, None]
    colour = _grained(wall, pixels, 0.04, 0.06)
    pane = _glass(pixels, city) * (0.5 + luck)[:, None]
    mixed = (glass * (0.35 + 0.65 * pixels.detail(1.2)))[:, None]
    return np.asarray(colour * (1 - mixed) + pane * mixed)


def _gable(pixels: Pixels, city: City) -> Floats:
    return _grained(_mixed(city.palette.facades, pixels) * np.float32(0.9), pixels, 0.04, 0.08)


def _roof(pixels: Pixels, city: City) -> Floats:
    tiles = 1 - 0.15 * ((pixels.up % 0.4 < 0.1) * pixels.detail(0.3))
    shade = 0.75 + 0.5 * pixels.tone[:, 0]
    return _grained(linear(city.palette.roof) * (tiles * shade)[:, None], pixels, 0.04, 0.1)


def _masonry(pixels: Pixels, city: City) -> Floats:
    joint = (pixels.up % 0.3 < 0.03) | ((pixels.along + 0.3 * np.floor(pixels.up / 0.3)) % 0.6 < 0.03)
    base = linear((0.55, 0.52, 0.48)) * (0.7 + 0.5 * pixels.tone[:, :1])
    coloured = 0.6 * base + 0.4 * _mixed(city.palette.facades, pixels)
    coping = np.where(pixels.up < 0.85, np.float32(1), np.float32(0.92))
    return _grained(coloured * (coping * (1 - 0.25 * joint * pixels.detail(0.08)))[:, None], pixels, 0.03, 0.14)


def _fence(pixels: Pixels, city: City) -> Floats:
    wooden = pixels.tone[:, 0] < 0.45
    gap = (pixels.along % 0.16 > 0.1) & ((pixels.up % 0.7 > 0.08) | (pixels.up < 0.1))
    bars = np.where(wooden[:, None], linear((0.50, 0.36, 0.24)), linear((0.25, 0.30, 0.28)))
    behind = linear(city.palette.grass) * np.float32(0.5)
    seen = np.where(gap, pixels.detail(0.1) * np.float32(0.9), 0) + 0.35 * (1 - pixels.detail(0.1))
    seen = np.where(wooden, 0.4 * seen, seen)[:, None]
    colour = np.asarray(bars * (1 - seen) + behind * seen, dtype=np.float32)
    return _grained(colour, pixels, 0.02, 0.1)


def _asphalt(pixels: Pixels, city: City) -> Floats:
    worn = np.exp(-((np.abs(np.abs(pixels.up) - 1.9) - 0.75) ** 2) / 0.08)  # where wheels roll
    base = np.asarray(linear(city.palette.asphalt) * (1 - 0.10 * worn)[:, None], dtype=np.float32)
    return _grained(_grained(base, pixels, 0.015, 0.10), pixels, 0.12, 0.10)


def _marking(pixels: Pixels, city: City) -> Floats:
    share = 0.85 - 0.15 * noise(pixels.along, pixels.up, 0.03)
    share = np.clip(share * np.clip(0.15 / np.maximum(pixels.grain, 1e-6), 0.3, 1), 0, 1)[:, None]
    return np.asarray(linear(city.palette.asphalt) * (1 - share) + linear((0.85, 0.85, 0.82)) * share)


def _paving(pixels: Pixels, city: City) -> Floats:
    joint = (pixels.along % 0.5 < 0.04) | (pixels.up % 0.5 < 0.04)
    base = linear(city.palette.paving) * (1 - 0.3 * joint * pixels.detail(0.06))[:, None]
    return _grained(base, pixels, 0.06, 0.10)


def _grass(pixels: Pixels, city: City) -> Floats:
    base = linear(city.palette.grass)
    dry = np.clip(0.3 * noise(pixels.along, pixels.up, 0.2), 0, 1)[:, None] * linear((0.55, 0.48, 0.26))
    return _grained(_grained(base + dry, pixels, 0.02, 0.22), pixels, 0.07, 0.12)


def _foliage(pixels: Pixels, city: City) -> Floats:
    dark, light = (linear(colour) for colour in city.palette.foliage)
    shift = 17 * pixels.tone
    leaves = noise(pixels.along + shift[:, 0], pixels.up + shift[:, 1], 0.035)
    clumps = noise(pixels.up + shift[:, 2], pixels.along + shift[:, 3], 0.15)
    share = np.clip(0.2 + 0.6 * pixels.tone[:, 0] + 0.2 * clumps, 0, 1)[:, None]
    light_in = np.clip(0.85 + 0.35 * leaves * pixels.detail(0.4) + 0.25 * clumps, 0.15, 1.8)
    return np.asarray((dark * (1 - share) + light * share) * light_in[:, None])


def _steel(pixels: Pixels, city: City) -> Floats:
    return np.asarray(linear((0.50, 0.52, 0.53)) * (0.35 + 0.9 * pixels.tone[:, :1]))


def _bin(pixels: Pixels, city: City) -> Floats:
    green = pixels.tone[:, :1] < 0.4
    return np.asarray(
        np.where(green, linear((0.20, 0.34, 0.24)), linear((0.32, 0.32, 0.35))) * (0.6 + pixels.tone[:, 1:2])
    )


def _car_paint(pixels: Pixels, city: City) -> Floats:
    shine = 0.85 + 0.35 * np.clip(pixels.up - 0.5, 0, 0.8)[:, None]
    return np.asarray(_chosen(CAR_PAINTS, pixels.tone[:, 0]) * shine + 0.06 * linear(city.weather.horizon))


def _livery(pixels: Pixels, city: City) -> Floats:
    band = (pixels.up > 0.9) & (pixels.up < 1.1)
    return np.asarray(np.where(band[:, None], np.float32(0.6), _chosen(LIVERIES, pixels.tone[:, 0])))


def _cargo(pixels: Pixels, city: City) -> Floats:
    ribs = 1 - 0.15 * ((pixels.along % 0.5 < 0.08) * pixels.detail(0.1))
    return np.asarray(_chosen(CARGOES, pixels.tone[:, 1]) * ribs[:, None])


def _glass(pixels: Pixels, city: City) -> Floats:
    """Dark inside, with some of the sky in it."""
    slant = 0.5 + 0.5 * np.clip(noise(pixels.along, pixels.up, 0.2), -1, 1)
    return np.asarray(0.015 + (0.05 + 0.16 * slant)[:, None] * linear(city.weather.horizon))


def _mixed(palette: tuple[RGB, ...], pixels: Pixels) -> Floats:
    """One colour of the palette for each surface, moved a little towards the next."""
    place = pixels.tone[:, 0] * np.float32(len(palette))
    colours, index = linear(np.array(palette)), place.astype(np.int32) % len(palette)
    share = 0.35 * (place % 1)[:, None]
    return np.asarray(colours[index] * (1 - share) + colours[(index + 1) % len(palette)] * share)


def _chosen(palette: tuple[RGB, ...], tone: Floats) -> Floats:
    index = np.minimum((tone * len(palette)).astype(np.int32), len(palette) - 1)
    return linear(np.array(palette))[index]


def _grained(colour: Floats, pixels: Pixels, sample_m: float, strength: float) -> Floats:
    """Lighter and darker by noise whose finest grain is ``sample_m``; it fades where pixels are much larger."""
    shift = 31 * pixels.tone
    seen = 0.3 + 0.7 * np.clip(1.5 - pixels.grain / (8 * sample_m), 0, 1)
    grains = strength * seen * noise(pixels.along + shift[:, 1], pixels.up + shift[:, 2], sample_m)
    return np.asarray(colour * np.clip(1 + grains, 0.2, 2)[:, None], dtype=np.float32)


def _plain(colour: RGB) -> Callable[[Pixels, City], Floats]:
    return lambda pixels, city: linear(colour)


def _picked(palette: tuple[RGB, ...], place: int) -> Callable[[Pixels, City], Floats]:
    return lambda pixels, city: _chosen(palette, pixels.tone[:, place])


PAINTERS: dict[Material, Callable[[Pixels, City], Floats]] = {
    **{material: _plain(colour) for material, colour in PLAIN.items()},
    Material.FACADE: _facade,
    Material.GABLE: _gable,
    Material.ROOF: _roof,
    Material.MASONRY: _masonry,
    Material.FENCE: _fence,
    Material.ASPHALT: _asphalt,
    Material.MARKING: _marking,
    Material.PAVING: _paving,
    Material.GRASS: _grass,
    Material.FOLIAGE: _foliage,
    Material.STEEL: _steel,
    Material.BIN: _bin,
    Material.CAR_PAINT: _car_paint,
    Material.LIVERY: _livery,
    Material.CARGO: _cargo,
    Material.GLASS: _glass,
    Material.COAT: _picked(COATS, 1),
    Material.TROUSERS: _picked(TROUSERS, 2),
    Material.SKIN: _picked(SKINS, 3),
}

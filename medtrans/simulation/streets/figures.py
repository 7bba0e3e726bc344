"""Things that are drawn as flat figures facing the camera: people, cycles, trees, signs, lights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medtrans.simulation.streets.camera import Floats
from medtrans.simulation.streets.canvas import Codes, Panel, Pattern
from medtrans.simulation.streets.labels import Label
from medtrans.simulation.streets.materials import Material
from medtrans.simulation.streets.texture import noise

Tone = tuple[float, float, float, float]


@dataclass(frozen=True)
class Limb:
    """A thick line from (x0, y0) to (x1, y1) in metres with round ends; a disc where both are the same."""

    x0: float
    y0: float
    x1: float
    y1: float
    radius_m: float
    material: Material


def limbs(parts: Sequence[Limb], centre_m: float, squeeze: float = 1.0) -> Pattern:
    """Pattern of limbs, later ones in front; ``squeeze`` < 1 narrows it, as turning it away would."""

    def pattern(along: Floats, up: Floats) -> Codes:
        x = (along - np.float32(centre_m)) / np.float32(squeeze)
        code = np.zeros(np.broadcast_shapes(along.shape, up.shape), dtype=np.uint8)
        for part in parts:
            dx, dy = part.x1 - part.x0, part.y1 - part.y0
            share = ((x - part.x0) * dx + (up - part.y0) * dy) / max(dx * dx + dy * dy, 1e-9)
            share = np.clip(share, 0, 1)
            distance2 = (x - part.x0 - share * dx) ** 2 + (up - part.y0 - share * dy) ** 2
            code[distance2 < part.radius_m**2] = part.material
        return code

    return pattern


def facing(
    label: Label, place: tuple[float, float], width_m: float, top_m: float, pattern: Pattern | Material, tone: Tone,
    bottom_m: float = 0.0,
) -> Panel:  # fmt: skip
    """A panel at right angles to the view, centred on (x, z)."""
    x, z = place
    return Panel(label, (x - width_m / 2, z), (x + width_m / 2, z), top_m, pattern, tone, bottom_m)


def person(place: tuple[float, float], tone: Tone, step: float, height_m: float = 1.75) -> Panel:
    """Someone on foot; ``step`` in [-1, 1] is where the legs are in a stride."""
    h, reach = height_m / 1.75, 0.26 * step
    parts = (
        Limb(0.05, 0.85 * h, reach, 0.07, 0.085 * h, Material.TROUSERS),
        Limb(-0.05, 0.85 * h, -reach, 0.07, 0.085 * h, Material.TROUSERS),
        Limb(-0.17 * h, 1.32 * h, -0.2 * h - reach / 2, 0.88 * h, 0.055 * h, Material.COAT),
        Limb(0.17 * h, 1.32 * h, 0.2 * h + reach / 2, 0.88 * h, 0.055 * h, Material.COAT),
        Limb(-0.04, 0.95 * h, -0.04, 1.32 * h, 0.17 * h, Material.COAT),
        Limb(0.04, 0.95 * h, 0.04, 1.32 * h, 0.17 * h, Material.COAT),
        Limb(0, 1.6 * h, 0, 1.64 * h, 0.105 * h, Material.SKIN),
        Limb(0, 1.69 * h, 0, 1.7 * h, 0.09 * h, Material.DARK),
    )
    return facing(Label.PERSON, place, 1.1, height_m + 0.1, limbs(parts, 0.55), tone)


def bicycle(place: tuple[float, float], tone: Tone, squeeze: float) -> Panel:
    """A bicycle seen from the side, narrowed by ``squeeze``."""
    paint = Material.CAR_PAINT
    parts = (
        *(Limb(x, 0.34, x, 0.34, 0.34, Material.DARK) for x in (-0.52, 0.52)),
        *(Limb(x, 0.34, x, 0.34, 0.27, Material.SPOKES) for x in (-0.52, 0.52)),
        Limb(-0.52, 0.34, -0.15, 0.85, 0.035, paint),
        Limb(-0.15, 0.85, 0.38, 0.82, 0.035, paint),
        Limb(-0.05, 0.32, 0.38, 0.78, 0.035, paint),
        Limb(0.52, 0.34, 0.38, 0.98, 0.035, paint),
        Limb(0.28, 1.0, 0.45, 1.02, 0.035, Material.DARK),
        Limb(-0.26, 0.95, -0.06, 0.95, 0.05, Material.DARK),
    )
    return facing(Label.BICYCLE, place, 1.8, 1.1, limbs(parts, 0.9, squeeze), tone)


def motorcycle(place: tuple[float, float], tone: Tone, squeeze: float) -> Panel:
    """A motorcycle seen from the side, narrowed by ``squeeze``."""
    parts = (
        *(Limb(x, 0.32, x, 0.32, 0.32, Material.DARK) for x in (-0.68, 0.68)),
        *(Limb(x, 0.32, x, 0.32, 0.16, Material.SPOKES) for x in (-0.68, 0.68)),
        Limb(-0.3, 0.45, 0.25, 0.45, 0.2, Material.DARK),
        Limb(-0.75, 0.75, -0.1, 0.72, 0.12, Material.DARK),
        Limb(-0.05, 0.75, 0.35, 0.82, 0.17, Material.CAR_PAINT),
        Limb(0.68, 0.32, 0.42, 0.98, 0.06, Material.STEEL),
        Limb(0.45, 0.85, 0.5, 0.85, 0.11, Material.HEADLIGHT),
    )
    return facing(Label.MOTORCYCLE, place, 2.2, 1.15, limbs(parts, 1.1, squeeze), tone)


def rider(place: tuple[float, float], tone: Tone, squeeze: float) -> Panel:
    """Who sits on a bicycle or motorcycle at the same place."""
    parts = (
        Limb(-0.16, 0.98, 0.16, 0.72, 0.09, Material.TROUSERS),
        Limb(0.16, 0.72, 0.0, 0.28, 0.08, Material.TROUSERS),
        Limb(-0.16, 1.02, 0.02, 1.42, 0.17, Material.COAT),
        Limb(0.04, 1.4, 0.34, 1.05, 0.06, Material.COAT),
        Limb(0.1, 1.66, 0.1, 1.68, 0.11, Material.SKIN),
        Limb(0.09, 1.75, 0.09, 1.76, 0.1, Material.CAR_PAINT),
    )
    return facing(Label.RIDER, place, 1.4, 1.95, limbs(parts, 0.7, max(squeeze, 0.65)), tone)


def crown(place: tuple[float, float], radius_m: float, centre_m: float, tone: Tone, rng: np.random.Generator) -> Panel:
    """Leaves of a tree or bush: round clumps with a ragged outline, centred ``centre_m`` above the ground."""
    n = 9
    angle, reach = rng.uniform(0, 2 * np.pi, n), radius_m * np.sqrt(rng.uniform(0, 0.5, n))
    clumps = np.stack([reach * np.cos(angle), centre_m + 0.9 * reach * np.sin(angle), rng.uniform(0.35, 0.55, n)], 1)
    shift = rng.uniform(0, 50, 2)

    def pattern(along: Floats, up: Floats) -> Codes:
        x = along - np.float32(radius_m)
        ragged = noise(along + np.float32(shift[0]), up + np.float32(shift[1]), 0.06)
        level = np.full(ragged.shape, -1, dtype=np.float32)
        for cx, cy, share in clumps.astype(np.float32):
            np.maximum(level, 1 - ((x - cx) ** 2 + (up - cy) ** 2) / (share * radius_m) ** 2, out=level)
        return np.where(level + np.float32(0.25) * ragged > 0.1, np.uint8(Material.FOLIAGE), np.uint8(0))

    bottom = max(0.0, centre_m - radius_m)
    return facing(Label.VEGETATION, place, 2 * radius_m, centre_m + radius_m, pattern, tone, bottom)


def sign_plate(kind: int) -> Pattern:
    """A plate 0.7 m wide and high, of one of five kinds; its lower edge is at 2.1 m."""

    def pattern(along: Floats, up: Floats) -> Codes:
        x, y = np.abs(along - np.float32(0.35)) / 0.35, (up - np.float32(2.1)) / 0.7
        shape, inner = {
            0: (np.hypot(x, 2 * y - 1) < 1, np.hypot(x, 2 * y - 1) < 0.68),  # round
            1: (x < y, (x < y - 0.22) & (y < 0.85)),  # triangle on its tip
            2: (x + np.abs(2 * y - 1) < 1, x + np.abs(2 * y - 1) < 0.6),  # lozenge
            3: ((x < 0.95) & (y >= 0), (x < 0.4) & (y > 0.25) & (y < 0.75)),  # square
            4: (np.hypot(x, 2 * y - 1) < 1, (x < 0.75) & (np.abs(y - 0.5) < 0.12)),  # no entry
        }[kind]
        edge, face = PLATES[kind]
        return np.where(shape, np.where(inner, np.uint8(face), np.uint8(edge)), np.uint8(0))

    return pattern


PLATES = (
    (Material.RED, Material.WHITE),
    (Material.RED, Material.WHITE),
    (Material.WHITE, Material.YELLOW),
    (Material.BLUE, Material.WHITE),
    (Material.RED, Material.WHITE),
)


def traffic_light(place: tuple[float, float], bottom_m: float, tone: Tone) -> Panel:
    """Three lamps one above the other in a housing; ``tone`` says which is lit."""
    green = tone[0] < 0.5
    lamps = (
        Limb(0.2, bottom_m + 0.25, 0.2, bottom_m + 0.25, 0.12, Material.SIGNAL_GREEN if green else Material.GLASS),
        Limb(0.2, bottom_m + 0.55, 0.2, bottom_m + 0.55, 0.12, Material.GLASS),
        Limb(0.2, bottom_m + 0.85, 0.2, bottom_m + 0.85, 0.12, Material.GLASS if green else Material.SIGNAL_RED),
    )
    inside = limbs(lamps, 0.0)

    def pattern(along: Floats, up: Floats) -> Codes:
        return np.maximum(inside(along, up), np.uint8(Material.DARK))

    return facing(Label.TRAFFIC_LIGHT, place, 0.4, bottom_m + 1.1, pattern, tone, bottom_m)

"""Gliomas: necrosis inside an enhancing rim inside oedema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtrans.simulation.anatomy import Floats, Grid, load_template, smooth_field


@dataclass(frozen=True)
class Tumour:
    """Where a tumour sits and how far its parts reach.

    Attributes:
        site_mm: MNI position of its centre in the template.
        necrosis_mm: radius of the necrotic core.
        core_mm: radius of necrosis and enhancing rim together.
        oedema_mm: how far oedema reaches beyond the core in white matter.
        rim_mm: least thickness of the enhancing rim, and of oedema around the core in any tissue.
    """

    site_mm: tuple[float, float, float]
    necrosis_mm: float
    core_mm: float
    oedema_mm: float
    rim_mm: float


def draw_tumour(grid: Grid, rng: np.random.Generator) -> Tumour:
    """A tumour at a random place in the white matter of the hemispheres.

    Core radius 11 to 20 mm, necrosis 45 to 75 % of it, oedema 6 to 22 mm. Rims are at least 2.5 mm and two voxels
    thick, so that each part encloses the next; grids coarser than 2.75 mm get larger cores to hold them.
    """
    sites_mm = _tumour_sites_mm()
    x, y, z = (float(value) for value in sites_mm[rng.integers(len(sites_mm))])
    core_mm, share, oedema_mm = rng.uniform(11, 20), rng.uniform(0.45, 0.75), rng.uniform(6, 22)
    rim_mm = max(2.5, 2 * grid.spacing_mm)
    core_mm = max(core_mm, 4 * grid.spacing_mm)
    return Tumour((x, y, z), core_mm * share, core_mm, max(oedema_mm, rim_mm), rim_mm)


@cache
def _tumour_sites_mm() -> NDArray[np.float64]:
    """Template positions (N, 3) deep in the white matter of the cerebrum, away from the midline, on a 3 mm raster."""
    template = load_template()
    wm, brain = template.wm[::3, ::3, ::3], template.brain[::3, ::3, ::3]
    depth_mm = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=3.0)[1:-1, 1:-1, 1:-1]
    position_mm = 3.0 * np.argwhere((wm > 0.9) & (depth_mm > 16)) + np.array(template.origin_mm)
    return np.asarray(position_mm[(position_mm[:, 2] > 5) & (np.abs(position_mm[:, 0]) > 18)])


def centre_in_grid(grid: Grid, coordinates: Floats, tumour: Tumour) -> tuple[float, float, float]:
    """Position of the tumour in the subject, in mm from the grid's centre: the voxel nearest to the template site."""
    site = np.array(tumour.site_mm, dtype=np.float32)[:, None, None, None]
    nearest = np.unravel_index(int(((coordinates - site) ** 2).sum(axis=0).argmin()), grid.shape)
    x, y, z = (float(axis[index]) for axis, index in zip(grid.axes_mm(), nearest, strict=True))
    return x, y, z


def pushed_aside(grid: Grid, coordinates: Floats, tumour: Tumour, centre_mm: tuple[float, float, float]) -> Floats:
    """Template coordinates after the tumour has pushed the brain away from its centre (mass effect).

    What was at distance r (1 - k exp(-r^2 / (2 s^2))) from the centre is now at r, with k = 0.4 and s the core's
    radius. The map grows with r for every k below 0.69, so nothing folds.
    """
    distance2 = sum(offset**2 for offset in _offsets_mm(grid, centre_mm))
    shrink = 1 - np.float32(0.4) * np.exp(-distance2 / np.float32(2 * tumour.core_mm**2))
    site = np.array(tumour.site_mm, dtype=np.float32)[:, None, None, None]
    return np.asarray(site + (coordinates - site) * shrink, dtype=np.float32)


def ragged_distance_mm(grid: Grid, centre_mm: tuple[float, float, float], rng: np.random.Generator) -> Floats:
    """Distance from the tumour's centre in mm, bent by random fields so that its level sets are no spheres."""
    axes = zip(_offsets_mm(grid, centre_mm), rng.uniform(0.85, 1.2, 3).astype(np.float32), strict=True)
    distance = np.sqrt(sum((offset * stretch) ** 2 for offset, stretch in axes))
    bend = np.float32(1.2) * smooth_field(grid, 22.0, rng) + np.float32(0.4) * smooth_field(grid, 9.0, rng)
    bend -= bend[np.unravel_index(distance.argmin(), grid.shape)]  # the drawn radii hold at the centre
    return np.asarray(distance * np.exp(np.clip(bend, -0.4, 0.4)), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class NestedParts:
    """Necrosis within core within whole tumour: how much of each voxel lies inside, float32 in [0, 1]."""

    necrosis: Floats
    core: Floats
    whole: Floats

    def fractions(self) -> dict[str, Floats]:
        """NCR = necrosis, ET = core - necrosis, ED = whole - core: non-negative, their sum is ``whole``."""
        return {"NCR": self.necrosis, "ET": self.core - self.necrosis, "ED": self.whole - self.core}

    def label(self) -> NDArray[np.uint8]:
        """BraTS coding of what fills at least half of a voxel: 0 elsewhere, 1 NCR, 2 ED, 4 ET."""
        label = np.where(self.whole >= 0.5, np.uint8(2), np.uint8(0))
        label[self.core >= 0.5] = 4
        label[self.necrosis >= 0.5] = 1
        return label


def nested_parts(
    distance_mm: Floats, wm: Floats, brain: NDArray[np.bool_], tumour: Tumour, spacing_mm: float
) -> NestedParts:
    """The tumour's parts from the distance to its centre.

    A surface at level 0 becomes a fraction by a step one voxel wide, s(level) = clip(level / spacing + 1/2, 0, 1):

    core = s(min(core_mm - distance, depth in the brain - rim)),
    necrosis = s(min(necrosis_mm - distance, depth in the core - rim)),
    whole = s(max(core_mm + rim + (oedema_mm - rim) wm - distance, rim - distance from the core)), in the brain.

    Oedema follows white matter, whose fraction before the tumour is ``wm``; the rims make each part enclose the next,
    however ragged the distance. Arrays have the grid's shape; ``distance_mm`` and ``wm`` are float32.
    """

    def inside(level_mm: Floats) -> Floats:
        return np.asarray(np.clip(level_mm / np.float32(spacing_mm) + np.float32(0.5), 0, 1), dtype=np.float32)

    def depth_mm(region: NDArray[np.bool_]) -> Floats:
        return np.asarray(spacing_mm * ndimage.distance_transform_edt(region), dtype=np.float32)

    core = inside(np.minimum(tumour.core_mm - distance_mm, depth_mm(brain) - tumour.rim_mm))
    solid = core >= 0.5
    necrosis = inside(np.minimum(tumour.necrosis_mm - distance_mm, depth_mm(solid) - tumour.rim_mm))
    reach_mm = tumour.core_mm + tumour.rim_mm + (tumour.oedema_mm - tumour.rim_mm) * wm
    whole = inside(np.maximum(reach_mm - distance_mm, tumour.rim_mm - depth_mm(~solid)))
    return NestedParts(np.minimum(necrosis, core), core, np.where(brain, np.maximum(whole, core), np.float32(0)))


def with_tumour(healthy: Mapping[str, Floats], parts: NestedParts) -> dict[str, Floats]:
    """Healthy tissue makes room: healthy (1 - whole) beside the tumour's own fractions."""
    room = 1 - parts.whole
    return {name: fraction * room for name, fraction in healthy.items()} | parts.fractions()


def _offsets_mm(grid: Grid, centre_mm: tuple[float, float, float]) -> list[Floats]:
    axes = [axis - np.float32(centre) for axis, centre in zip(grid.axes_mm(), centre_mm, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))

"""Heads to scan: the MNI152 template, deformed at random, as fractions of tissue in every voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtrans.errors import DataError

Floats = NDArray[np.float32]
Profile = Literal["adult", "infant"]

REACH_MM = 136.0
"""Random fields are drawn from -REACH_MM to REACH_MM on every grid: one seed is one head, at any spacing."""

# MNI152 is larger than the average adult brain; at six months a brain has reached about half of the adult's volume.
MEAN_SCALE: Mapping[Profile, float] = {"adult": 0.93, "infant": 0.77}

# Control point distance in mm -> largest displacement in mm. A cubic B-spline deformation cannot fold while
# displacement / distance stays below 1 / 2.48 (Choi and Lee, 2000); here both scales together stay below it.
DISPLACEMENT_MM: Mapping[float, float] = {60.0: 13.5, 24.0: 4.0}


@dataclass(frozen=True)
class Grid:
    """Voxels to be simulated, centred on the brain.

    ``directions`` are the signs with which an index runs along left-to-right, back-to-front and bottom-to-top.
    """

    shape: tuple[int, int, int]
    spacing_mm: float
    directions: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def covering(cls, fov_mm: tuple[int, int, int], spacing_mm: float, directions: tuple[int, int, int]) -> Grid:
        """The grid that fills a field of view; DataError for a spacing that no brain could be drawn with."""
        if not 0.5 <= spacing_mm <= 10:
            raise DataError(f"spacing_mm is {spacing_mm}: simulate with a spacing between 0.5 and 10 mm")
        x, y, z = (max(1, round(length / spacing_mm)) for length in fov_mm)
        return cls((x, y, z), spacing_mm, directions)

    def axes_mm(self) -> tuple[Floats, Floats, Floats]:
        """Position of the voxels along each axis, in mm from the centre, right, front and top positive."""
        x, y, z = (
            np.float32(sign * self.spacing_mm) * (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2))
            for n, sign in zip(self.shape, self.directions, strict=True)
        )
        return x, y, z


@dataclass(frozen=True, eq=False)
class Template:
    """The MNI152 brain as tissue fractions, float32 (x, y, z) at 1 mm, zero outside the brain."""

    csf: Floats
    gm: Floats
    wm: Floats
    brain: Floats
    origin_mm: tuple[float, float, float]  # MNI position of voxel (0, 0, 0)

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Middle of the brain's box, in MNI coordinates."""
        x, y, z = (start + (n - 1) / 2 for start, n in zip(self.origin_mm, self.brain.shape, strict=True))
        return x, y, z


@cache
def load_template() -> Template:
    """The MNI152 (ICBM 2009a, nonlinear, symmetric) that ships inside nilearn: T1 for the brain, maps of GM and WM.

    Source: Fonov et al., NeuroImage 54:313, 2011. Cerebrospinal fluid is what neither map claims inside the brain.
    """
    # nilearn takes over a second to import; who only reads files should not wait for it.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    t1, gm, wm = (
        loader(resolution=1) for loader in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    brain = np.asarray(t1.dataobj) > 0
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    brain = brain[box].astype(np.float32)
    gm, wm = (np.asarray(image.dataobj, dtype=np.float32)[box] * brain for image in (gm, wm))
    x, y, z = (float(t1.affine[axis, 3] + box[axis].start) for axis in range(3))
    return Template(np.clip(brain - gm - wm, 0, 1), gm, wm, brain, (x, y, z))


def smooth_field(grid: Grid, distance_mm: float, rng: np.random.Generator) -> Floats:
    """A smooth random field on the grid, float32, between -1 and 1.

    A cubic B-spline whose coefficients, ``distance_mm`` apart, are uniform in [-1, 1].
    """
    n = int(np.ceil(2 * REACH_MM / distance_mm)) + 4
    field = rng.uniform(-1, 1, (n, n, n)).astype(np.float32)
    for axis_mm in grid.axes_mm():
        # Each step consumes the first axis and appends the fine one, so after three the order is x, y, z again.
        field = np.tensordot(field, _cubic_basis((axis_mm + REACH_MM) / distance_mm + 1, n), axes=(0, 1))
    return field


def _cubic_basis(position: Floats, n: int) -> Floats:
    """Values (points, n) of the cubic B-splines centred on 0..n-1."""
    distance = np.abs(position[:, None] - np.arange(n, dtype=np.float32))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def template_coordinates(grid: Grid, profile: Profile, rng: np.random.Generator) -> Floats:
    """Where each voxel of a random head lies in the template: float32 (3, *grid.shape), MNI millimetres.

    A random size, proportion and tilt, and a smooth deformation that does not fold.
    """
    size = MEAN_SCALE[profile] * rng.uniform(0.96, 1.04)
    stretch = np.diag(1 / (size * rng.uniform(0.96, 1.04, 3)))
    matrix = stretch @ _rotation(np.deg2rad(rng.uniform(-5, 5, 3)))
    axes = np.meshgrid(*grid.axes_mm(), indexing="ij", sparse=True)
    coordinates = np.empty((3, *grid.shape), dtype=np.float32)
    for row, centre_mm, out in zip(matrix.astype(np.float32), load_template().centre_mm, coordinates, strict=True):
        out[:] = row[0] * axes[0] + row[1] * axes[1] + row[2] * axes[2] + np.float32(centre_mm)
        for distance_mm, displacement_mm in DISPLACEMENT_MM.items():
            out += np.float32(displacement_mm) * smooth_field(grid, distance_mm, rng)
    return coordinates


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z, by angles in radians."""
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[i, j], [i, j]] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        rotation = step @ rotation
    return rotation


def tissue_fractions(
    grid: Grid, coordinates: Floats, profile: Profile, rng: np.random.Generator
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Fractions of CSF, GM and WM (and, in infants, myelinated WM) in each voxel, and the brain mask.

    The template's maps are averages of many people, so they are too soft for one: each is raised to a power, weighted
    by a smooth random factor, and all are divided by their sum,

    f_t = (w_t p_t)^2 / sum_s (w_s p_s)^2.

    Fractions are float32 of the grid's shape, sum to one inside the brain and are zero outside.
    """
    brain = _sample("brain", coordinates, grid.spacing_mm) > 0.5
    csf_weight = 1.6 if profile == "infant" else 1.3  # infants have wider sulci; both thin out in an average brain
    powers = {}
    for name, weight in (("CSF", csf_weight), ("GM", 1.0), ("WM", 1.0)):
        varied = np.float32(weight) * np.exp(np.float32(0.5) * smooth_field(grid, 30.0, rng))
        powers[name] = (varied * _sample(name, coordinates, grid.spacing_mm)) ** 2
    total = np.maximum(powers["CSF"] + powers["GM"] + powers["WM"], np.float32(1e-12))
    fractions = {name: np.where(brain, power / total, np.float32(0)) for name, power in powers.items()}
    if profile == "infant":
        fractions |= _split_by_myelin(fractions["WM"], coordinates)
    return fractions, brain


def _sample(name: str, coordinates: Floats, spacing_mm: float) -> Floats:
    """A map of the template at MNI coordinates, averaged over about one voxel of ``spacing_mm``."""
    index = coordinates - np.array(load_template().origin_mm, dtype=np.float32)[:, None, None, None]
    return np.asarray(ndimage.map_coordinates(_averaged(name, spacing_mm), index, order=1, output=np.float32))


@lru_cache(maxsize=8)  # the four maps at two spacings
def _averaged(name: str, spacing_mm: float) -> Floats:
    image: Floats = getattr(load_template(), name.lower())
    return np.asarray(ndimage.gaussian_filter(image, 0.35 * max(0.0, spacing_mm - 1)))


def _split_by_myelin(wm: Floats, coordinates: Floats) -> dict[str, Floats]:
    """White matter in two: myelin comes first around the internal capsule and last near the cortex."""
    capsule_mm = np.array([0.0, -20.0, 8.0], dtype=np.float32)[:, None, None, None]
    distance2 = ((coordinates - capsule_mm) ** 2).sum(axis=0)
    share = np.float32(0.25) + np.float32(0.55) * np.exp(-distance2 / np.float32(2 * 30.0**2))
    return {"WM": wm * (1 - share), "myelinated WM": wm * share}

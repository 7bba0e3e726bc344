"""One simulated subject: a head, its labels, its images at a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.acquisition import acquire, tissue_texture
from medtrans.simulation.anatomy import Floats, Grid, template_coordinates, tissue_fractions
from medtrans.simulation.contrast import Sequence, Tissue
from medtrans.simulation.sites import Site
from medtrans.simulation.tissues import adult_tissues, enhanced, infant_tissues
from medtrans.simulation.tumour import (
    centre_in_grid,
    draw_tumour,
    nested_parts,
    pushed_aside,
    ragged_distance_mm,
    with_tumour,
)

ISEG_LABELS = {"CSF": 10, "GM": 150, "WM": 250}

# mmol per litre in the enhancing tumour: at 3 T its T1 falls by 0.85 to 1.06 s (measured: 0.84 +- 0.21 s, see tissues).
CONTRAST_AGENT_MMOL_L = (0.10, 0.16)


@dataclass(frozen=True, eq=False)
class Head:
    """A subject before it is scanned.

    Attributes:
        grid: its voxels.
        fractions: float32 of the grid's shape per tissue; they sum to one in the brain and are zero outside.
        brain: the brain mask.
        label: uint8 of the grid's shape, in the coding of the data set that is imitated.
        texture: float32, the variation of water within each tissue.
    """

    grid: Grid
    fractions: dict[str, Floats]
    brain: NDArray[np.bool_]
    label: NDArray[np.uint8]
    texture: Floats


def infant_head(grid: Grid, rng: np.random.Generator) -> Head:
    """A healthy infant of six months; labels 0 background, 10 CSF, 150 GM, 250 WM: the tissue with the most volume."""
    coordinates = template_coordinates(grid, "infant", rng)
    fractions, brain = tissue_fractions(grid, coordinates, "infant", rng)
    wm = fractions["WM"] + fractions["myelinated WM"]
    largest = np.stack([fractions["CSF"], fractions["GM"], wm]).argmax(axis=0)
    label = np.where(brain, np.array(list(ISEG_LABELS.values()))[largest], 0).astype(np.uint8)
    return Head(grid, fractions, brain, label, tissue_texture(grid, rng))


def glioma_head(grid: Grid, rng: np.random.Generator) -> Head:
    """An adult with one glioma; labels 0 elsewhere, 1 NCR, 2 ED, 4 ET."""
    coordinates = template_coordinates(grid, "adult", rng)
    tumour = draw_tumour(grid, rng)
    centre_mm = centre_in_grid(grid, coordinates, tumour)
    coordinates = pushed_aside(grid, coordinates, tumour, centre_mm)
    healthy, brain = tissue_fractions(grid, coordinates, "adult", rng)
    distance_mm = ragged_distance_mm(grid, centre_mm, rng)
    parts = nested_parts(distance_mm, healthy["WM"], brain, tumour, grid.spacing_mm)
    return Head(grid, with_tumour(healthy, parts), brain, parts.label(), tissue_texture(grid, rng))


def iseg_images(head: Head, site: Site, rng: np.random.Generator) -> dict[str, NDArray[np.int16]]:
    """T1 and T2 of an infant, as `acquire` stores them."""
    tissues = infant_tissues(site.field_t)
    return {name: _scan(head, tissues, sequence, site, rng) for name, sequence in (("T1", site.t1), ("T2", site.t2))}


def fets_images(head: Head, site: Site, rng: np.random.Generator) -> dict[str, NDArray[np.int16]]:
    """FLAIR, T1, T1CE and T2 of an adult with a tumour, as `acquire` stores them."""
    before = adult_tissues(site.field_t)
    concentration_mmol_l = rng.uniform(*CONTRAST_AGENT_MMOL_L)
    after = enhanced(before, field_t=site.field_t, concentration_mmol_l=concentration_mmol_l)
    return {
        "flair": _scan(head, before, site.flair, site, rng),
        "t1": _scan(head, before, site.t1, site, rng),
        "t1ce": _scan(head, after, site.t1, site, rng),
        "t2": _scan(head, before, site.t2, site, rng),
    }


def _scan(
    head: Head, tissues: dict[str, Tissue], sequence: Sequence, site: Site, rng: np.random.Generator
) -> NDArray[np.int16]:
    fractions = {name: fraction * head.texture for name, fraction in head.fractions.items()}
    return acquire(fractions, head.brain, tissues, sequence, site=site, grid=head.grid, rng=rng)

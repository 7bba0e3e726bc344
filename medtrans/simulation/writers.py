"""Simulated data sets on disk, in the layouts of iSeg-2019 and FeTS 2022."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from medtrans.errors import DataError
from medtrans.simulation.anatomy import Grid
from medtrans.simulation.folders import check_numbers, complete_or_absent
from medtrans.simulation.sites import Site, get_site, institution_site
from medtrans.simulation.subjects import fets_images, glioma_head, infant_head, iseg_images

MODEL = 1
"""Counts changes of the simulation that change its voxels, so that older folders are not taken for the same."""

ISEG_FOV_MM = (144, 192, 256)
FETS_FOV_MM = (240, 240, 155)

# Analyze states no orientation; nibabel assumes left-anterior-superior, FeTS files are left-posterior-superior.
ISEG_DIRECTIONS = (-1, 1, 1)
FETS_DIRECTIONS = (-1, -1, 1)

Volume = NDArray[np.int16] | NDArray[np.uint8]


def simulate_iseg(
    root: str | Path, *, site: str | Site = "3T-infant", subjects: int, seed: int = 0, spacing_mm: float = 2.0
) -> Path:
    """Write infants of six months into ``root``, which plays the folder ``iSeg-2019-Training``; returns it.

    Each subject N is three Analyze pairs ``subject-N-{T1,T2,label}.{hdr,img}``: 144 x 192 x 256 mm with a trailing axis
    of 1, skull stripped, background exactly 0, labels 0 background, 10 CSF, 150 GM, 250 WM.

    Subject N depends on (seed, N) alone, and its anatomy not on the site: the same seed at two sites is the same
    infants scanned twice. A folder that already holds this very simulation is kept as it is. DataError for a folder
    with anything else in it, an unknown site, or numbers out of range.
    """
    site = get_site(site)
    check_numbers(subjects=subjects, seed=seed)
    grid = Grid.covering(ISEG_FOV_MM, spacing_mm, ISEG_DIRECTIONS)

    def write(folder: Path) -> None:
        for number in range(1, subjects + 1):
            head = infant_head(grid, np.random.default_rng([seed, number]))
            images = iseg_images(head, site, np.random.default_rng([seed, number, 1]))
            volumes: dict[str, Volume] = {**images, "label": head.label}
            for name, volume in volumes.items():
                _write_analyze(folder / f"subject-{number}-{name}.hdr", volume, grid.spacing_mm)

    parameters = {"model": MODEL, "layout": "iseg-2019", "subjects": subjects, "site": asdict(site), "seed": seed}
    return complete_or_absent(Path(root), parameters | {"spacing_mm": float(spacing_mm)}, write)


def simulate_fets(
    root: str | Path,
    *,
    institutions: Mapping[int, str | Site] | Sequence[int],
    subjects_per_institution: int,
    seed: int = 0,
    spacing_mm: float = 2.0,
) -> Path:
    """Write adults with a glioma into ``root``, which plays ``MICCAI_FeTS2022_TrainingData``; returns it.

    Each subject is a folder ``FeTS2022_00000`` with ``_flair``, ``_t1``, ``_t1ce``, ``_t2`` and ``_seg`` (.nii.gz):
    240 x 240 x 155 mm, skull stripped, background exactly 0, labels 0, 1 NCR, 2 ED, 4 ET. ``partitioning_1.csv`` says
    which institution a subject is from. ``institutions`` maps ids to sites; ids alone take the adult sites in turn.

    A subject depends on the seed, its institution's id and its place in it alone; its anatomy not on the site. Folders
    and errors are treated as in `simulate_iseg`.
    """
    ids = [int(institution) for institution in institutions]
    given = institutions if isinstance(institutions, Mapping) else {}
    sites = {institution: get_site(given.get(institution, institution_site(institution))) for institution in ids}
    check_numbers(institutions=len(sites), subjects_per_institution=subjects_per_institution, seed=seed)
    if len(sites) < len(ids) or min(ids) < 1:
        raise DataError(f"institutions {ids}: give each id once, from 1")
    grid = Grid.covering(FETS_FOV_MM, spacing_mm, FETS_DIRECTIONS)
    members = [(institution, place) for institution in sites for place in range(subjects_per_institution)]

    def write(folder: Path) -> None:
        rows = ["Partition_ID,Subject_ID"]
        for number, (institution, place) in enumerate(members):
            name = f"FeTS2022_{number:05d}"
            head = glioma_head(grid, np.random.default_rng([seed, institution, place]))
            images = fets_images(head, sites[institution], np.random.default_rng([seed, institution, place, 1]))
            volumes: dict[str, Volume] = {**images, "seg": head.label}
            for suffix, volume in volumes.items():
                _write_nifti(folder / name / f"{name}_{suffix}.nii.gz", volume, grid.spacing_mm)
            rows.append(f"{institution},{name}")
        (folder / "partitioning_1.csv").write_text("".join(f"{row}\r\n" for row in rows), encoding="ascii", newline="")

    parameters: dict[str, Any] = {
        "model": MODEL,
        "layout": "fets-2022",
        "subjects_per_institution": subjects_per_institution,
        "institutions": {str(institution): asdict(site) for institution, site in sites.items()},
        "seed": seed,
    }
    return complete_or_absent(Path(root), parameters | {"spacing_mm": float(spacing_mm)}, write)


def _write_analyze(path: Path, volume: Volume, spacing_mm: float) -> None:
    header = nib.AnalyzeHeader()
    header.set_data_dtype(volume.dtype)
    header.set_data_shape((*volume.shape, 1))
    header.set_zooms((spacing_mm, spacing_mm, spacing_mm, 1))
    nib.AnalyzeImage(volume[..., np.newaxis], None, header).to_filename(path)


def _write_nifti(path: Path, volume: Volume, spacing_mm: float) -> None:
    affine = np.diag([*(sign * spacing_mm for sign in FETS_DIRECTIONS), 1.0])
    affine[1, 3] = (volume.shape[1] - 1) * spacing_mm  # as in the BraTS files: 239 at 1 mm
    image = nib.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(exist_ok=True)
    image.to_filename(path)

"""Small heads with known voxels, written in any layout."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SHAPE = (14, 16, 12)
BOX = (slice(2, 12), slice(3, 14), slice(1, 11))  # the brain's bounding box in a tiny head
LAS = np.diag([-1.0, 1.0, 1.0, 1.0])
RAS = np.eye(4)


def tiny_head(seed: int = 0) -> NDArray[np.float32]:
    """A block-shaped brain with intensities between 100 and 200 in a background of exactly 0."""
    head = np.zeros(SHAPE, np.float32)
    brain = head[BOX]
    brain[:] = np.random.default_rng(seed).uniform(100, 200, brain.shape)
    return head


def tiny_label(*values: int) -> NDArray[np.uint8]:
    """Three blocks inside the brain, of 2 x 3 x 4 voxels each, one a value; slices 3 to 6."""
    label = np.zeros(SHAPE, np.uint8)
    for number, value in enumerate(values):
        label[4 + 2 * number : 6 + 2 * number, 5:8, 3:7] = value
    return label


def write_nifti(path: Path, voxels: NDArray, affine: NDArray = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    nib.save(image, path)
    return path


def write_analyze(path: Path, voxels: NDArray, spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Path:
    """Write the header/data pair as the scanners of the time did: without a side file for the orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.AnalyzeImage(voxels, None)
    image.header.set_zooms((*spacing_mm, 1.0)[: voxels.ndim])
    nib.save(image, path)
    return path


def write_iseg(folder: Path, subject: int, *, label: tuple[int, ...] | None, name: str = "subject-{}-{}.hdr") -> None:
    for modality in ("T1", "T2"):
        write_analyze(folder / name.format(subject, modality), tiny_head(subject)[..., None])
    if label:
        write_analyze(folder / name.format(subject, "label"), tiny_label(*label)[..., None])


def write_subject(folder: Path, pattern: str, modalities: tuple[str, ...], label: tuple[int, ...] | None) -> None:
    for number, modality in enumerate(modalities):
        write_nifti(folder / pattern.format(folder.name, modality), tiny_head(number))
    if label:
        write_nifti(folder / pattern.format(folder.name, "seg"), tiny_label(*label))


def write_fets(root: Path, subject: str, label: tuple[int, ...] | None = (1, 2, 4), suffix: str = ".nii.gz") -> None:
    write_subject(root / subject, "{}_{}" + suffix, ("flair", "t1", "t1ce", "t2"), label)

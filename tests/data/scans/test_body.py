"""Bodies of many shapes: every labelled voxel of the file is loaded, inside the body, and the air is none of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from medtrans.config import PreprocessingSettings
from medtrans.data.scans.body import body_mask, misses_labels
from medtrans.data.scans.files import Volume
from medtrans.data.scans.preprocessing import Prepared, preprocess
from medtrans.data.scans.slices import slice_cases
from medtrans.errors import MedtransWarning
from medtrans.sampling.candidates import uniform_candidates
from medtrans.tasks import IGNORE_LABEL

Shown = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""An image and its label map."""

SHAPE = (64, 48, 16)
X, Y, Z = np.indices(SHAPE)
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
OBLIQUE = AFFINE @ np.array([[0.8, -0.6, 0, 3], [0.6, 0.8, 0, -7], [0, 0, 1, 11], [0, 0, 0, 1]])
SHEARED = AFFINE @ np.array([[1, 0.1, 0, 0], [0, 1, 0.2, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    return (X - x) ** 2 + (Y - y) ** 2 < radius**2


def painted(*parts: tuple[NDArray[np.bool_], float, float], air: bool = True) -> NDArray[np.float32]:
    """Parts one over the other, each of a mean and a standard deviation, in noisy air."""
    rng = np.random.default_rng(0)
    image = rng.gamma(2, 2, SHAPE) if air else np.zeros(SHAPE)
    for mask, mean, deviation in parts:
        image[mask] = rng.normal(mean, deviation, np.count_nonzero(mask))
    return image.astype(np.float32)


def head_with_skull() -> Shown:
    skull, brain = disc(32, 24, 20), disc(32, 24, 15)
    return painted((skull, 300, 20), (brain, 150, 20)), disc(30, 22, 4).astype(np.uint8)


def stripped_brain() -> Shown:
    return painted((disc(32, 24, 18), 150, 20), air=False), disc(30, 22, 4).astype(np.uint8)


def two_legs() -> Shown:
    legs = painted((disc(16, 24, 13), 150, 20), (disc(47, 24, 14), 150, 20))
    return legs, disc(16, 24, 6).astype(np.uint8) + 2 * disc(47, 24, 6).astype(np.uint8)


def leg_and_thin_leg() -> Shown:
    legs = painted((disc(20, 24, 18), 150, 20), (disc(54, 24, 4), 150, 20))
    return legs, disc(54, 24, 3).astype(np.uint8)


def chest_that_fills_the_slice() -> Shown:
    everywhere = np.ones(SHAPE, bool)
    wall, heart, muscle = (everywhere, 100, 20), (disc(36, 24, 9), 400, 20), (disc(36, 24, 11), 90, 15)
    return painted(wall, muscle, heart), (disc(36, 24, 11) & ~disc(36, 24, 9)).astype(np.uint8)


def pelvis_with_a_bright_bladder() -> Shown:
    body, bladder = disc(32, 24, 40), disc(32, 20, 8)
    return painted((body, 120, 25), (bladder, 900, 30)), disc(32, 36, 4).astype(np.uint8)


def slab() -> Shown:
    return painted(((Y > 6) & (Y < 42), 150, 20)), disc(32, 24, 5).astype(np.uint8)


def crop_without_air() -> Shown:
    return painted((np.ones(SHAPE, bool), 100, 10)), disc(3, 3, 5).astype(np.uint8)


def bright_implant() -> Shown:
    body, metal = disc(32, 24, 18), disc(32, 24, 2)
    return painted((body, 100, 10), (metal, 30000, 10)), disc(40, 24, 4).astype(np.uint8)


def computed_tomography_of_a_lung() -> Shown:
    air, chest, lung = np.ones(SHAPE, bool), disc(32, 24, 20), disc(26, 24, 8)
    return painted((air, -1000, 8), (chest, 40, 30), (lung, -850, 40)), lung.astype(np.uint8)


def airway_as_dark_as_air() -> Shown:
    image = painted((disc(32, 24, 20), 150, 20))
    airway = (X > 30) & (X < 35) & (Y >= 24)
    image[airway] = np.random.default_rng(1).gamma(2, 2, np.count_nonzero(airway))
    return image, (airway & disc(32, 24, 20)).astype(np.uint8)


def labels_beyond_a_stripped_brain() -> Shown:
    return painted((disc(32, 24, 12), 150, 20), air=False), disc(42, 24, 6).astype(np.uint8)


def normalised_before() -> Shown:
    image, label = stripped_brain()
    return np.where(image > 0, (image - 150) / 20, 0).astype(np.float32), label


SHAPES: list[Callable[[], Shown]] = [
    head_with_skull,
    stripped_brain,
    two_legs,
    leg_and_thin_leg,
    chest_that_fills_the_slice,
    pelvis_with_a_bright_bladder,
    slab,
    crop_without_air,
    bright_implant,
    computed_tomography_of_a_lung,
    airway_as_dark_as_air,
    labels_beyond_a_stripped_brain,
    normalised_before,
]
SEEN = [shape for shape in SHAPES if shape is not labels_beyond_a_stripped_brain]


def prepared(shown: Shown, dimensions: int = 3, affine: NDArray[np.float64] = AFFINE) -> Prepared:
    image, label = shown
    settings = PreprocessingSettings(dimensions=dimensions)
    return preprocess(Volume(Path("scan.nii"), image, affine, oriented=True), label, settings)


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE, SHEARED], ids=["straight", "oblique", "sheared"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_labelled_voxel_is_loaded_inside_the_body(shape: Callable[[], Shown], affine: NDArray) -> None:
    image, label = shape()
    loaded = prepared((image, label), affine=affine)
    assert_array_equal(np.bincount(loaded.label.ravel())[1:], np.bincount(label.ravel())[1:])
    assert loaded.body[loaded.label > 0].all()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_labelled_pixel_is_in_some_slice_and_can_be_drawn(shape: Callable[[], Shown]) -> None:
    image, label = shape()
    cases, _ = slice_cases("a", prepared((image, label), dimensions=2), None)
    assert sum(np.count_nonzero(case.label) for case in cases) == np.count_nonzero(label)
    assert np.count_nonzero(uniform_candidates(cases).label) == np.count_nonzero(label)


@pytest.mark.parametrize("shape", SEEN)
def test_what_the_image_shows_under_a_label_is_kept(shape: Callable[[], Shown]) -> None:
    loaded = prepared(shape())
    assert (loaded.image[loaded.label > 0] != 0).mean() > 0.9


def test_what_was_stripped_shows_nothing_and_stays_zero_whatever_is_labelled() -> None:
    image, label = labels_beyond_a_stripped_brain()
    loaded = prepared((image, label))
    outside = (label > 0) & ~disc(32, 24, 12)
    assert np.count_nonzero((loaded.image == 0) & (loaded.label > 0)) == np.count_nonzero(outside)
    assert loaded.notes == (f"{outside.sum() / label.sum():.0%} of the labelled voxels lie outside the body, where the "
                            "image is 0.",)  # fmt: skip


def test_two_legs_are_two_parts_and_the_air_between_them_is_none() -> None:
    image, _ = two_legs()
    legs = disc(16, 24, 13) | disc(47, 24, 14)
    mask = body_mask(image)
    assert 2 * (mask & legs).sum() / (mask.sum() + legs.sum()) > 0.99
    assert not mask[31].any()


@pytest.mark.parametrize("shape", [chest_that_fills_the_slice, crop_without_air])
def test_faces_that_cut_through_a_body_are_no_air(shape: Callable[[], Shown]) -> None:
    assert body_mask(shape()[0]).all()
    assert prepared(shape()).notes == ("no air around the body was found, so the whole image was taken.",)


def test_a_mask_that_leaves_out_more_than_a_tenth_of_what_is_labelled_is_wrong() -> None:
    voxels = np.arange(20, dtype=np.float32)
    labelled = np.ones(20, bool)
    assert not misses_labels(voxels >= 2, labelled, voxels)  # two of twenty
    assert misses_labels(voxels >= 3, labelled, voxels)
    assert not misses_labels(voxels >= 3, labelled, np.zeros_like(voxels))
    assert not misses_labels(voxels >= 3, np.zeros(20, bool), voxels)


def test_a_label_map_beside_the_body_is_warned_of() -> None:
    image, _ = stripped_brain()
    label = (disc(4, 4, 3) & (Z < 3)).astype(np.uint8)
    with pytest.warns(MedtransWarning, match="no labelled voxel lies in the body; is the label map that of another"):
        loaded = prepared((image, label))
    assert np.count_nonzero(loaded.label) == np.count_nonzero(label)


def test_structures_that_resampling_loses_are_noted() -> None:
    image, label = stripped_brain()
    label[:] = 0
    label[33, 25, 8] = 1
    settings = PreprocessingSettings(dimensions=3, spacing_mm=(7.0, 7.0, 15.0))
    loaded = preprocess(Volume(Path("scan.nii"), image, AFFINE, oriented=True), label, settings)
    assert not loaded.label.any()
    assert loaded.notes == ("1 of the structures have no voxel left at this spacing_mm.",)


def test_what_is_cropped_beside_the_structures_is_not_missed() -> None:
    image, _ = stripped_brain()
    label = disc(32, 24, 18).astype(np.uint8)  # all of the body
    label[0, 0] = IGNORE_LABEL
    loaded = prepared((image, label))
    assert not (loaded.label == IGNORE_LABEL).any()
    assert loaded.notes == ()

"""The brain's mask and box, orientation, resampling, z-score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage

from medtrans.config import PreprocessingSettings
from medtrans.data.scans.body import body_mask
from medtrans.data.scans.files import Volume
from medtrans.data.scans.preprocessing import preprocess
from medtrans.errors import ConfigError, DataError
from tests.data.tiny_scans import BOX, LAS, RAS, SHAPE, tiny_head, tiny_label

IN_2D, IN_3D = PreprocessingSettings(dimensions=2), PreprocessingSettings(dimensions=3)
BOX_SHAPE = (10, 11, 10)


def as_volume(voxels: NDArray, affine: NDArray = RAS, oriented: bool = True) -> Volume:
    return Volume(Path("scan.nii"), voxels, affine, oriented)


def block() -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[BOX] = True
    return mask


def test_mask_of_a_stripped_image_is_all_that_is_not_zero() -> None:
    assert_array_equal(body_mask(tiny_head()), block())


def test_mask_has_no_holes_and_no_islands() -> None:
    head = tiny_head()
    head[6:8, 6:8, 6:8] = 0  # a ventricle, as dark as the background
    head[0, 0, 11] = 150
    assert_array_equal(body_mask(head), block())


def test_mask_leaves_out_faint_ringing_and_keeps_negative_brain() -> None:
    head = tiny_head()
    ringing = np.where(np.indices(SHAPE).sum(0) % 2, 0.1, -0.1)  # a two-thousandth of the bright end
    head += np.where(ndimage.binary_dilation(block()) & ~block(), ringing, 0).astype(np.float32)
    assert_array_equal(body_mask(head), block())
    normalised = np.where(block(), head - 150.25, 0).astype(np.float32)  # z-scored before: half the brain is negative
    assert_array_equal(body_mask(normalised), block())


def test_mask_of_a_scan_with_skull_and_noisy_air_is_the_head() -> None:
    rng = np.random.default_rng(0)
    grid = np.indices((40, 44, 36)).transpose(1, 2, 3, 0) - (20, 22, 10)
    head = (grid**2).sum(-1) < 15**2  # cut by the lowest slices, as a neck is
    signal = np.where(head, rng.uniform(300, 900, head.shape), 0)
    noisy = np.hypot(signal + rng.normal(0, 20, head.shape), rng.normal(0, 20, head.shape)).astype(np.float32)
    mask = body_mask(noisy)
    assert 2 * (mask & head).sum() / (mask.sum() + head.sum()) > 0.99


def test_an_image_without_air_is_taken_whole_and_says_so() -> None:
    organ = np.random.default_rng(0).normal(100, 10, (12, 12, 12)).astype(np.float32)
    assert body_mask(organ).all()
    assert "whole image" in preprocess(as_volume(organ), np.zeros(organ.shape, np.uint8), IN_3D).notes[0]


@settings(max_examples=25, deadline=None)
@given(exponent=st.integers(-10, 10), offset=st.integers(-1000, 1000), sign=st.sampled_from([-1, 1]))
def test_mask_does_not_depend_on_the_unit_of_intensity(exponent: int, offset: int, sign: int) -> None:
    whole = np.rint(tiny_head())  # integers and powers of two: no rounding
    whole[6, 6, 6] = 0
    changed = ((whole + offset) * sign * 2.0**exponent).astype(np.float32)
    assert_array_equal(body_mask(changed), body_mask(whole))


def test_image_is_cropped_and_standardised_inside_the_brain_and_zero_outside() -> None:
    head = tiny_head()
    head[2, 3, :] = 0  # an edge of the block is not brain
    prepared = preprocess(as_volume(head), tiny_label(1, 2), IN_3D)
    brain = head[BOX] != 0
    assert prepared.image.shape == prepared.label.shape == BOX_SHAPE
    assert prepared.image.dtype == np.float32
    assert prepared.label.dtype == np.uint8
    assert_array_equal(prepared.image != 0, brain)
    assert_allclose(
        prepared.image[brain], (head[BOX][brain] - head[BOX][brain].mean()) / head[BOX][brain].std(), atol=1e-5
    )
    assert_array_equal(prepared.label, tiny_label(1, 2)[BOX])
    assert prepared.first_slice == 1
    assert prepared.spacing_mm == (1.0, 1.0, 1.0)
    assert prepared.notes == ()


def test_a_brain_voxel_at_the_mean_is_not_background() -> None:
    head = np.zeros(SHAPE, np.float32)
    head[BOX] = 2
    head[3, 4, 2], head[4, 4, 2] = 1, 3
    assert (preprocess(as_volume(head), tiny_label(), IN_3D).image != 0).all()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flipped", [(), (0,), (0, 1, 2)])
def test_the_way_a_volume_is_stored_makes_no_difference(axes: tuple[int, ...], flipped: tuple[int, ...]) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    stored_head, stored_label = (np.flip(a.transpose(axes), flipped) for a in (tiny_head(), tiny_label(1, 2)))
    stored_affine = affine[:, [*axes, 3]]
    for axis in flipped:
        stored_affine[:3, 3] += stored_affine[:3, axis] * (stored_head.shape[axis] - 1)
        stored_affine[:3, axis] *= -1
    expected = preprocess(as_volume(tiny_head(), affine), tiny_label(1, 2), IN_3D)
    got = preprocess(as_volume(stored_head, stored_affine), stored_label, IN_3D)
    assert_array_equal(got.image, expected.image)
    assert_array_equal(got.label, expected.label)
    assert got.spacing_mm == expected.spacing_mm == (1.0, 2.0, 3.0)
    assert got.first_slice == expected.first_slice


def test_a_volume_of_unknown_orientation_keeps_its_axes() -> None:
    known = preprocess(as_volume(tiny_head(), LAS), tiny_label(1), IN_3D)
    unknown = preprocess(as_volume(tiny_head(), LAS, oriented=False), tiny_label(1), IN_3D)
    assert_array_equal(known.label, unknown.label[::-1])
    assert_array_equal(unknown.label, tiny_label(1)[BOX])


def test_resampling_in_two_dimensions_stays_in_the_plane() -> None:
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    prepared = preprocess(as_volume(tiny_head(), affine), tiny_label(1, 2), PreprocessingSettings(spacing_mm=2.0))
    assert prepared.spacing_mm == (2.0, 2.0, 5.0)
    assert prepared.image.shape == (6, 6, 10)
    # Voxel centres 2 mm apart, from that of the first voxel on; the last one lies beyond x = 9 and takes its value.
    assert_array_equal(prepared.label, tiny_label(1, 2)[BOX][[0, 2, 4, 6, 8, 9]][:, ::2])
    assert prepared.first_slice == 1


def test_resampling_in_three_dimensions_and_by_axis() -> None:
    spacing = PreprocessingSettings(dimensions=3, spacing_mm=(2.0, 1.0, 0.5))
    prepared = preprocess(as_volume(tiny_head()), tiny_label(1), spacing)
    assert prepared.spacing_mm == (2.0, 1.0, 0.5)
    assert prepared.image.shape == (6, 11, 19)
    # The block at x = 2, 3 of the box is met by x = 2 only, y = 2, 3, 4 once each, z = 2 .. 5 by 7 to 9 half steps.
    assert (prepared.label == 1).sum() in {3 * 7, 3 * 8, 3 * 9}


def test_the_resampled_background_is_zero_and_the_brain_standardised() -> None:
    head = tiny_head()
    head[2:6, 3:8, :] = 0
    image = preprocess(as_volume(head), tiny_label(), PreprocessingSettings(spacing_mm=1.5)).image
    brain = image != 0
    assert 0 < brain.mean() < 1
    assert image[brain].mean() == pytest.approx(0, abs=1e-5)
    assert image[brain].std() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("dimensions", "spacing_mm"), [(2, (1.0, 1.0, 1.0)), (3, (1.0, 1.0))])
def test_one_spacing_for_each_axis(dimensions: int, spacing_mm: tuple[float, ...]) -> None:
    wrong = PreprocessingSettings(dimensions=dimensions, spacing_mm=spacing_mm)
    with pytest.raises(ConfigError, match=f"one for each of {dimensions} axes"):
        preprocess(as_volume(tiny_head()), tiny_label(), wrong)


def test_a_constant_brain_is_an_error() -> None:
    with pytest.raises(DataError, match=r"scan\.nii: every voxel of the body is 5"):
        preprocess(as_volume(5.0 * block().astype(np.float32)), tiny_label(), IN_2D)


def test_labels_outside_the_brain_are_noted() -> None:
    label = tiny_label(1)  # 24 voxels
    label[0, 0, :8] = 1
    assert preprocess(as_volume(tiny_head()), label, IN_3D).notes == (
        "25% of the labelled voxels lie outside the body, where the image is 0.",
    )


@pytest.mark.parametrize(("thick", "letter"), [(0, "x"), (1, "y"), (2, "z")])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_slices_in_two_dimensions_are_those_of_the_file(thick: int, letter: str, order: tuple[int, int, int]) -> None:
    """A head whose pixels are 1 mm, 6 mm along one RAS axis, stored with its axes in any order."""
    spacing = np.ones(3)
    spacing[thick] = 6
    head, label = tiny_head(), tiny_label(1)
    affine = np.diag([*spacing, 1.0])[:, [*order, 3]]
    stored = as_volume(head.transpose(order), affine)
    prepared = preprocess(stored, label.transpose(order), PreprocessingSettings(dimensions=2, spacing_mm=1.0))
    assert prepared.across == letter
    assert prepared.spacing_mm == (1, 1, 6)
    expected = np.moveaxis(label[BOX], thick, 2)
    assert_array_equal(prepared.label, expected)
    assert any("its slices are" in note for note in prepared.notes) == (letter != "z")
    assert preprocess(stored, label.transpose(order), IN_3D).across == "z"


def test_slices_that_are_a_little_thicker_are_cut_from_feet_to_head() -> None:
    assert preprocess(as_volume(tiny_head(), np.diag([1.9, 1.0, 1.0, 1.0])), tiny_label(1), IN_2D).across == "z"

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.data.statistics import intensity_quantiles, mean_shape
from medtrans.errors import DataError
from medtrans.tasks import IGNORE_LABEL, Case


def volume(label: np.ndarray, subject: str = "a") -> Case:
    image = np.ones((1, *label.shape), dtype=np.float32)
    return Case(subject, image, label.astype(np.uint8), (1.0,) * label.ndim)


def plane(label: np.ndarray, height: float | None, subject: str = "a", name: str = "a/z0") -> Case:
    image = np.ones((1, *label.shape), dtype=np.float32)
    return Case(name, image, label.astype(np.uint8), (1.0, 1.0), subject, height)


def test_a_cell_holds_the_part_of_it_that_is_foreground():
    label = np.zeros((4, 4, 4))
    label[:2, :2, :2] = 1  # exactly the first of 2 x 2 x 2 cells
    label[2, 0, 0] = 2  # one of the eight voxels of its neighbour, of another class
    shape = mean_shape([volume(label)], grid=2)
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 0] = 1
    expected[1, 0, 0] = 1 / 8
    np.testing.assert_allclose(shape.values, expected)
    assert shape.observed.all()
    assert shape.values.dtype == np.float32


def test_ignored_pixels_are_not_foreground():
    label = np.full((4, 4, 4), IGNORE_LABEL)
    assert mean_shape([volume(label)], grid=2).values.max() == 0


def test_subjects_weigh_the_same_however_many_slices_they_have():
    full, empty = np.ones((4, 4)), np.zeros((4, 4))
    cases = [plane(full, 0.1, "a")] + [plane(empty, 0.1, "b", f"b/z{i}") for i in range(3)]
    shape = mean_shape(cases, grid=4)
    np.testing.assert_allclose(shape.values[..., 0], 0.5)


def test_a_slice_fills_its_own_plane_and_only_that():
    shape = mean_shape([plane(np.ones((6, 5)), 0.5), plane(np.ones((6, 5)), 1.0)], grid=4)
    assert shape.observed.tolist() == [False, False, True, True]
    assert shape.values[..., :2].max() == 0
    assert shape.values[..., 2:].min() == 1


def test_a_plane_is_averaged_over_the_subjects_that_show_it():
    cases = [plane(np.ones((4, 4)), 0.1, "a"), plane(np.zeros((4, 4)), 0.9, "b")]
    shape = mean_shape(cases, grid=2)
    assert shape.values[..., 0].min() == 1


def test_images_without_a_height_give_a_flat_map():
    left = np.zeros((8, 6))
    left[:, :3] = 1
    shape = mean_shape([plane(left, None, "a"), plane(np.ones((8, 6)), None, "b")], grid=2)
    np.testing.assert_allclose(shape.values, [[1, 0.5], [1, 0.5]])
    assert shape.observed.shape == (2,)


def test_slices_of_a_volume_in_grid_planes_equal_the_volume():
    label = np.random.default_rng(0).integers(0, 2, (8, 8, 4))
    slices = [plane(label[..., k], k / 3, "a", f"a/z{k}") for k in range(4)]
    np.testing.assert_allclose(mean_shape(slices, grid=4).values, mean_shape([volume(label)], grid=4).values, atol=1e-6)


@pytest.mark.parametrize("cases", [[], [volume(np.ones((2, 2, 2))), plane(np.ones((2, 2)), 0.5)]])
def test_no_cases_or_a_mixture_is_an_error(cases):
    with pytest.raises(DataError, match="mean shape"):
        mean_shape(cases)


def intensities(*values: float) -> Case:
    image = np.array([values], dtype=np.float32)[:, :, None]
    return Case("a", image, np.zeros((len(values), 1), dtype=np.uint8), (1.0, 1.0))


def test_quantiles_leave_out_the_background_and_pool_cases():
    quantiles = intensity_quantiles([intensities(0, 0, 1), intensities(2, 3, 0)], n=5)
    np.testing.assert_allclose(quantiles, [1, 1.5, 2, 2.5, 3])
    assert quantiles.dtype == np.float32


def test_an_all_zero_image_has_no_quantiles():
    with pytest.raises(DataError, match="every pixel is background"):
        intensity_quantiles([intensities(0, 0)])


@given(st.lists(st.floats(-5, 5).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=20), st.floats(0.125, 3))
def test_mean_difference_of_quantiles_is_the_wasserstein_distance_of_a_shift(values, shift):
    a = np.array(values)
    before = intensity_quantiles([intensities(*a)])
    after = intensity_quantiles([intensities(*(a + 20 + shift))])
    assert np.abs(after - before).mean() == pytest.approx(20 + shift, abs=1e-4)

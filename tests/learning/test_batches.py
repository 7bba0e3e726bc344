"""What a batch holds, and that it depends on nothing but (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning.batches import Batches, augment, left_right_axis, random_box
from medtrans.learning.examples import FeatureMap, FeatureMaps
from medtrans.tasks import IGNORE_LABEL, Case, Task, TaskName


def slice_case(name: str, shape: tuple[int, ...], *, structure: bool = True, fill: float = 1.0) -> Case:
    """An image of one value, with the structure in its first pixel."""
    label = np.zeros(shape, dtype=np.uint8)
    if structure:
        label[(0,) * len(shape)] = 1
    image = np.full((1, *shape), fill, dtype=np.float32)
    return Case(name, image, label, (1.0,) * len(shape), height=0.5 if len(shape) == 2 else None)


def batches_of(
    cases: Sequence[Case],
    training: TrainingSettings,
    *,
    divisor: int,
    class_names: tuple[str, ...] = ("background", "structure"),
) -> Batches:
    return Batches(Task(TaskName("toy", "T1", "structure"), tuple(cases), class_names), training, divisor=divisor)


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"augment": False, "batch_size": 4, **changes})


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    cases = [slice_case(str(i), (6, 8), fill=i + 1.0) for i in range(9)]
    once, again = (batches_of(cases, settings(augment=True), divisor=4) for _ in range(2))
    for earlier in range(5):
        once.at(earlier)  # what was drawn before does not matter
    np.testing.assert_array_equal(once.at(5).images, again.at(5).images)
    assert not np.array_equal(once.at(5).images, once.at(6).images)
    other_seed = batches_of(cases, settings(augment=True, seed=1), divisor=4)
    assert not np.array_equal(once.at(5).images, other_seed.at(5).images)


def test_the_cases_are_not_changed_by_augmentation() -> None:
    case = slice_case("a", (8, 8))
    batches_of([case], settings(augment=True), divisor=4).at(0)
    assert (case.image == 1).all()
    assert case.label.sum() == 1


def test_smaller_maps_that_are_coarser_than_their_labels_are_continued() -> None:
    """Zeros beyond the last cell would be mixed into the pixels before it."""
    maps = tuple(
        FeatureMap(np.full((1, n, 2), n, np.float32), np.ones((8 * n, 16), np.uint8), "photograph") for n in (2, 3)
    )
    batch = Batches(FeatureMaps(maps, has_background=True), settings(batch_size=4), divisor=1).at(0)
    assert batch.images.shape == (4, 1, 3, 2)
    assert sorted(batch.images.unique().tolist()) == [2, 3]
    assert batch.labels.shape == (4, 24, 16)
    assert set(batch.labels.unique().tolist()) == {1, IGNORE_LABEL}


def test_smaller_images_are_padded_with_zeros_and_background() -> None:
    cases = [slice_case("small", (3, 7)), slice_case("large", (5, 6))]
    images, labels = batches_of(cases, settings(), divisor=4).at(0)
    assert images.shape == (4, 1, 8, 8)  # 5 and 7, up to multiples of 4
    assert sorted((images != 0).sum(dim=(1, 2, 3)).tolist()) == [21, 21, 30, 30]  # each case twice: 3 x 7, 5 x 6 pixels
    assert labels.sum(dim=(1, 2)).tolist() == [1] * 4
    assert labels.max() == 1


def test_what_lies_around_a_photograph_is_ignored() -> None:
    photograph = replace(slice_case("a", (3, 7)), kind="photograph")
    images, labels = batches_of([photograph], settings(), divisor=4).at(0)
    np.testing.assert_array_equal(labels == IGNORE_LABEL, images[:, 0] == 0)
    assert int((labels != IGNORE_LABEL).sum()) == 4 * 21


def test_half_of_a_batch_shows_the_structure_and_all_cases_take_turns() -> None:
    cases = [slice_case(str(i), (4, 4), structure=i < 2, fill=i + 1.0) for i in range(6)]
    images, labels = batches_of(cases, settings(batch_size=12), divisor=4).at(3)
    shown = images[:, 0, 0, 0].tolist()
    assert sorted(shown[:6]) == [1, 1, 1, 2, 2, 2]  # the two cases with structure, three times each
    assert sorted(shown[6:]) == [1, 2, 3, 4, 5, 6]
    assert (labels[:6] == 1).any(dim=2).any(dim=1).all()


def test_a_batch_of_one_shows_the_structure() -> None:
    cases = [slice_case(str(i), (4, 4), structure=i == 7) for i in range(8)]
    batches = batches_of(cases, settings(batch_size=1), divisor=4)
    assert all((batches.at(step).labels == 1).any() for step in range(5))


@pytest.mark.parametrize("label", [0, IGNORE_LABEL])
def test_no_structure_anywhere_is_an_error(label: int) -> None:
    case = Case("a", np.ones((1, 4, 4), np.float32), np.full((4, 4), label, np.uint8), (1.0, 1.0))
    with pytest.raises(TrainingError, match="none of the 1 cases shows the structure"):
        batches_of([case], settings(), divisor=4)


def test_without_a_background_any_labelled_pixel_is_structure() -> None:
    """Class 0 is a class like others; what is ignored is not looked for."""
    label = np.full((9, 9), IGNORE_LABEL, np.uint8)
    label[7, 2] = 0
    cases = [Case(name, np.ones((3, 9, 9), np.float32), label, (1.0, 1.0), kind="photograph") for name in ("a", "b")]
    cases[1] = replace(cases[1], label=np.full((9, 9), IGNORE_LABEL, np.uint8))
    batches = batches_of(cases, settings(patch_size=4), divisor=4, class_names=("road", "car"))
    for step in range(5):
        _, labels = batches.at(step)
        assert [int((element == 0).sum()) for element in labels[:2]] == [1, 1]
    with pytest.raises(TrainingError, match="none of the 2 cases shows the structure"):
        batches_of(cases, settings(), divisor=4)


def test_patches_of_a_volume_hold_its_structure_in_the_first_half_of_the_batch() -> None:
    label = np.zeros((20, 12, 9), np.uint8)
    label[13, 4, 8] = 1
    case = Case("a", np.ones((2, *label.shape), np.float32), label, (1.0, 1.0, 1.0))
    batches = batches_of([case], settings(patch_size=(8, 4, 4)), divisor=2)
    for step in range(10):
        images, labels = batches.at(step)
        assert images.shape == (4, 2, 8, 4, 4)
        assert [int((element == 1).sum()) for element in labels[:2]] == [1, 1]


def test_volumes_give_patches_of_96_voxels_by_default_and_smaller_ones_are_taken_whole() -> None:
    batch = batches_of([slice_case("a", (100, 20, 12))], settings(batch_size=1), divisor=16).at(0)
    assert batch.images.shape == (1, 1, 96, 32, 32)  # at least twice the divisor
    assert int((batch.images != 0).sum()) == 96 * 20 * 12


def test_a_patch_size_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"patch_size \(8, 8, 8\): 3 sizes for 2 axes"):
        batches_of([slice_case("a", (9, 9))], settings(patch_size=(8, 8, 8)), divisor=4).at(0)


@given(
    size=st.integers(1, 40), patch=st.integers(1, 40), pixel=st.integers(0, 39) | st.none(), seed=st.integers(0, 1000)
)
def test_a_box_lies_inside_and_holds_its_pixel(size: int, patch: int, pixel: int | None, seed: int) -> None:
    around = None if pixel is None else (pixel % size,)
    (box,) = random_box((size,), (patch,), np.random.default_rng(seed), around=around)
    assert 0 <= box.start < box.stop <= size
    assert box.stop - box.start == min(size, patch)
    assert around is None or box.start <= around[0] < box.stop


def test_every_place_of_a_box_is_drawn() -> None:
    rng = np.random.default_rng(0)
    starts = {random_box((10,), (4,), rng, around=None)[0].start for _ in range(200)}
    assert starts == set(range(7))
    near_end = {random_box((10,), (4,), rng, around=(8,))[0].start for _ in range(200)}
    assert near_end == {5, 6}  # 7 would leave the image, 4 would miss the pixel


def test_augmentation_mirrors_image_and_label_together_and_keeps_the_background() -> None:
    images = np.zeros((64, 1, 6, 4), np.float32)
    labels = np.zeros((64, 6, 4), np.uint8)
    images[:, 0, 1, 2] = 5
    labels[:, 1, 2] = 1
    changed, mirrored_labels = augment(images, labels, 0, np.random.default_rng(0))
    np.testing.assert_array_equal(changed[:, 0] != 0, mirrored_labels == 1)
    n_mirrored = int(mirrored_labels[:, 4, 2].sum())  # row 1 of 6 goes to row 4
    assert n_mirrored + int(mirrored_labels[:, 1, 2].sum()) == 64
    assert 16 < n_mirrored < 48  # half of them: 32, give or take four standard deviations of 4
    values = changed[changed != 0]
    assert 4.0 < values.min() < 4.8 < 5.2 < values.max() < 6.0  # 5 times 0.9 to 1.1, shift 0.1, noise up to 0.1


def test_left_and_right_are_the_first_axis_of_slices_and_volumes_and_the_columns_of_photographs() -> None:
    photograph = Case("a", np.ones((3, 4, 6), np.float32), np.zeros((4, 6), np.uint8), (1.0, 1.0), kind="photograph")
    assert left_right_axis(photograph) == 1
    assert left_right_axis(slice_case("a", (4, 6))) == 0
    assert left_right_axis(slice_case("a", (4, 6, 5))) == 0

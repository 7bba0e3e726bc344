"""Whole images, and what stands for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.errors import SamplingError
from medtrans.sampling import whole_images
from medtrans.tasks import IGNORE_LABEL, Case


def case(name: str, label: np.ndarray, **facts) -> Case:
    return Case(name, np.ones((1, *label.shape), np.float32), label.astype(np.uint8), (1.0, 1.0), **facts)


LABEL = np.array([[0, 0, 1], [0, IGNORE_LABEL, 1]])


def test_every_pixel_with_a_label_is_there_once() -> None:
    whole = whole_images([case("a/1", LABEL, subject="a"), case("b/1", LABEL, subject="b")], rng=generator())
    assert len(whole) == 10  # of 12 two are ignored
    assert sorted(whole.label.tolist()) == [0] * 6 + [1] * 4
    assert (whole.weight == 1).all()
    assert whole.subject.tolist() == whole.case_index.tolist()
    for index, position, value in zip(whole.case_index, whole.position, whole.label, strict=True):
        assert LABEL[tuple(position)] == value
        assert index in (0, 1)
    assert len(np.unique(np.column_stack([whole.case_index, whole.position]), axis=0)) == 10


def test_an_image_that_stands_for_others_makes_its_pixels_count_for_them() -> None:
    whole = whole_images([case("a/1", LABEL, subject="a", stands_for=2.5)], rng=generator())
    assert (whole.weight == 2.5).all()


def test_of_large_images_every_class_gives_as_many_and_a_small_one_all() -> None:
    label = np.zeros((10, 10))
    label[0, :3] = 1  # 97 and 3 pixels, 13 to be kept: 3 of the structure and 10 of the background
    whole = whole_images([case("a", label)], rng=generator(), n_pixels=13)
    assert np.bincount(whole.label).tolist() == [10, 3]
    assert whole.weight[whole.label == 1].tolist() == [1] * 3
    assert whole.weight[whole.label == 0] == pytest.approx([9.7] * 10)


@given(seed=st.integers(0, 99), n_pixels=st.integers(4, 60))
def test_weights_add_up_to_the_images(seed: int, n_pixels: int) -> None:
    rng = np.random.default_rng(seed)
    cases = [case(name, rng.integers(0, 2, (5, 5)), stands_for=3.0) for name in "ab"]
    whole = whole_images(cases, rng=rng, n_pixels=n_pixels)
    assert len(whole) <= n_pixels
    for i, it in enumerate(cases):
        for value in (0, 1):
            weight = whole.weight[(whole.case_index == i) & (whole.label == value)].sum()
            assert weight == pytest.approx(3 * np.count_nonzero(it.label == value))


def test_what_cannot_stand_for_the_images() -> None:
    with pytest.raises(SamplingError, match="n_pixels is 1, but the images have 2 classes to show"):
        whole_images([case("a", LABEL)], rng=generator(), n_pixels=1)
    with pytest.raises(SamplingError, match="no pixel of the labelled images has a label"):
        whole_images([case("a", np.full((2, 2), IGNORE_LABEL))], rng=generator())


def generator() -> np.random.Generator:
    return np.random.default_rng(0)

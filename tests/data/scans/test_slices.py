"""Which slices of a volume become cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from medtrans.data.scans.preprocessing import Prepared
from medtrans.data.scans.slices import slice_cases, structure_slices
from medtrans.errors import ConfigError, DataError
from medtrans.tasks import IGNORE_LABEL


def stack(areas: list[int]) -> NDArray[np.uint8]:
    """A label map with so many labelled pixels in each slice, of two classes."""
    label = np.zeros((5, 4, len(areas)), np.uint8)
    for z, area in enumerate(areas):
        label[..., z].flat[:area] = 1 + z % 2
    return label


def prepared(areas: list[int], first_slice: int = 20) -> Prepared:
    label = stack(areas)
    image = np.ones(label.shape, np.float32)
    image[..., 1] = 0  # a slice inside the box without brain
    return Prepared(image, label, image != 0, (1.0, 2.0, 3.0), first_slice, ())


@pytest.mark.parametrize(
    ("areas", "n", "expected"),
    [
        ([1] * 12, 4, [1, 4, 7, 10]),  # cumulative area 1..12 passes 1.5, 4.5, 7.5, 10.5
        ([1, 1, 2, 4, 8], 1, [3]),  # 16 pixels: the half, 8, is reached in slice 3
        ([1, 1, 2, 4, 8], 2, [2, 4]),  # quarters: 4 is reached in slice 2, 12 in slice 4
        ([0, 1, 20, 1, 0], 2, [1, 2]),  # slice 2 passes both 5.5 and 16.5: the second gives way to a neighbour
        ([0, 3, 0, 2, 0], 4, [1, 3]),  # no more slices show the structure
        ([0, 0, 0], 2, []),
    ],
)
def test_slices_at_equal_steps_of_the_cumulative_area(areas: list[int], n: int, expected: list[int]) -> None:
    assert structure_slices(stack(areas), n) == expected


def test_ignored_pixels_are_no_structure() -> None:
    label = stack([0, 3, 0])
    label[..., 2] = IGNORE_LABEL
    assert structure_slices(label, 2) == [1]


@given(areas=st.lists(st.integers(0, 20), min_size=1, max_size=30), n=st.integers(1, 12))
def test_as_many_slices_as_asked_for_all_distinct_all_showing_the_structure(areas: list[int], n: int) -> None:
    chosen = structure_slices(stack(areas), n)
    assert len(chosen) == min(n, sum(area > 0 for area in areas))
    assert chosen == sorted(set(chosen))
    assert all(areas[z] > 0 for z in chosen)


def test_every_slice_with_brain_is_a_case() -> None:
    volume = prepared([0, 0, 2, 3, 4])
    cases, notes = slice_cases("patient07", volume, None)
    assert [case.id for case in cases] == ["patient07/z020", "patient07/z022", "patient07/z023", "patient07/z024"]
    assert [case.height for case in cases] == [0, 0.5, 0.75, 1]
    assert {case.subject for case in cases} == {"patient07"}
    assert {case.spacing_mm for case in cases} == {(1.0, 2.0)}
    assert cases[2].image.shape == (1, 5, 4)
    assert_array_equal(cases[2].label, volume.label[..., 3])
    assert notes == ()


def test_slices_by_number_are_those_of_the_file_in_the_order_given() -> None:
    cases, _ = slice_cases("a", prepared([0, 0, 2, 3, 4]), (24, 22, 24))
    assert [case.id for case in cases] == ["a/z024", "a/z022"]


@pytest.mark.parametrize("outside", [19, 21, 25, 2])
def test_a_slice_without_brain_cannot_be_chosen(outside: int) -> None:
    with pytest.raises(DataError, match=f"case 'a': slice {outside} shows no body; choose from 20 to 24"):
        slice_cases("a", prepared([0, 0, 2, 3, 4]), (22, outside))


def test_fewer_slices_than_asked_for_is_noted() -> None:
    cases, notes = slice_cases("a", prepared([0, 0, 2, 3, 0]), 4)
    assert len(cases) == 2
    assert notes == ("4 slices asked for, but only 2 show the structure.",)


def test_no_slices_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        slice_cases("a", prepared([0, 0, 2]), 0)


# Slices without the structure, and what the chosen ones stand for


def test_empty_slices_are_evenly_spaced_among_those_with_brain() -> None:
    # without the structure are 0, 2, 3 and 6, 7 (1 shows no body); the middles of two halves of five are 2 and 6
    cases, notes = slice_cases("a", prepared([0, 0, 0, 0, 4, 4, 0, 0]), 1, 2)
    assert [case.id for case in cases] == ["a/z022", "a/z024", "a/z026"]
    assert notes == ()


def test_slices_stand_for_the_area_and_for_the_empty_ones_that_they_were_chosen_from() -> None:
    # area 16 in all, 8 for each of two: slice 2 shows 2 of them, slice 4 shows 8; the three empty ones stand as one
    cases, _ = slice_cases("a", prepared([0, 0, 2, 6, 8, 0, 0]), 2, 1)
    areas = [np.count_nonzero(case.label) for case in cases]
    stands_for = [case.stands_for for case in cases]
    assert [case.id for case in cases] == ["a/z023", "a/z024", "a/z025"]
    assert stands_for == pytest.approx([8 / 6, 1, 3])
    assert np.dot(areas, stands_for) == pytest.approx(16)


def test_all_slices_and_those_named_stand_for_themselves() -> None:
    for chosen in (None, (22, 24)):
        assert {case.stands_for for case in slice_cases("a", prepared([0, 0, 2, 6, 8]), chosen)[0]} == {1}


def test_fewer_empty_slices_than_asked_for_is_noted() -> None:
    cases, notes = slice_cases("a", prepared([1, 0, 2, 3, 0]), 1, 4)
    assert len(cases) == 2
    assert notes == ("4 empty slices asked for, but only 1 show the body without it.",)


def test_a_slice_where_the_structure_is_unknown_is_not_empty() -> None:
    volume = prepared([0, 0, 2, 3, 0])
    volume.label[0, 0, 0] = IGNORE_LABEL
    assert [case.id for case in slice_cases("a", volume, 1, 2)[0]] == ["a/z023", "a/z024"]

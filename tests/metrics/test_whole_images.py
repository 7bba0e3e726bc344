"""Dice on whole labelled images, derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.errors import MetricError
from medtrans.metrics.whole_images import probe_dice, whole_zero_shot_dice

# Two subjects. The first has 2 pixels of the structure, of which one is found beside a false one: 2 * 1 / (2 + 2); of
# the second everything is right.
LABELS, PREDICTED, SUBJECTS = np.array([1, 1, 0, 0, 1, 0]), np.array([1, 0, 1, 0, 1, 0]), np.array([3, 3, 3, 3, 8, 8])


def test_zero_shot_is_the_mean_over_subjects_of_their_dice() -> None:
    assert whole_zero_shot_dice(PREDICTED, LABELS, SUBJECTS) == pytest.approx((1 / 2 + 1) / 2)


def test_a_pixel_counts_as_many_times_as_it_stands_for() -> None:
    weights = [1, 1, 3, 1, 1, 1]  # the false one stands for three: 2 * 1 / (2 + 4)
    assert whole_zero_shot_dice(PREDICTED, LABELS, SUBJECTS, weights) == pytest.approx((1 / 3 + 1) / 2)


def test_classes_that_a_subject_lacks_do_not_count_for_it() -> None:
    # subject 0 has class 1 alone, all found; subject 1 has classes 1 (missed) and 2 (found): mean of 1, 0, 1
    labels, predicted = np.array([1, 0, 1, 2]), np.array([1, 2, 0, 2])
    assert whole_zero_shot_dice(predicted, labels, [0, 0, 1, 1]) == pytest.approx(2 / 3)


def test_a_source_may_have_classes_that_the_target_lacks() -> None:
    assert whole_zero_shot_dice([1, 7, 0], [1, 1, 0], [0, 0, 0]) == pytest.approx(2 / 3)


def probe(features: list[float], labels: list[int], subjects: list[int], images: list[int] | None = None) -> float:
    return probe_dice(np.array(features)[:, None], labels, subjects, subjects if images is None else images)


def test_features_that_tell_the_structure_in_everyone_give_1() -> None:
    assert probe([0, 0, 1, 5, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1]) == 1


def test_the_head_is_judged_on_the_other_subject() -> None:
    # Fitted on the first, the threshold lies at 1: all 5 pixels of the second are called, one rightly: 2 / (1 + 5).
    # Fitted on the second it lies at 11: no pixel of the first is called: 0.
    features, labels = [0, 0, 1, 10, 10, 10, 10, 11], [0, 0, 1, 0, 0, 0, 0, 1]
    assert probe(features, labels, [0, 0, 0, 1, 1, 1, 1, 1]) == pytest.approx((0 + 1 / 3) / 2)


def test_of_one_subject_every_other_image_is_judged_on() -> None:
    # Images 4, 6 and 9: 4 and 9 against 6. All pool into one subject, so all is right or nothing is.
    features, labels, images = [0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1], [4, 4, 6, 6, 9, 9]
    assert probe(features, labels, [0] * 6, images) == 1


def test_the_threshold_is_that_of_the_best_dice_not_of_the_fewest_errors() -> None:
    # Of 10 pixels 1 is structure, as bright as 2 of the others: calling none errs once, calling the three bright ones
    # twice, which has the better Dice: 2 * 1 / (1 + 3) against 0.
    features, labels = [0.0] * 7 + [1.0] * 3, [0] * 9 + [1]
    assert probe(features * 2, labels * 2, [0] * 10 + [1] * 10) == pytest.approx(1 / 2)


def test_several_classes_go_to_the_largest_discriminant() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2], 40)
    features = np.eye(3)[labels] + rng.normal(0, 0.01, (120, 3))
    assert probe_dice(features, labels, np.repeat([0, 1], 60), np.repeat([0, 1], 60)) == 1


def test_weights_are_pixels_that_are_there_as_often() -> None:
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(60, 3)), np.tile([0, 0, 1], 20)
    subjects, weights = np.repeat([0, 1], 30), rng.integers(1, 4, 60)
    often = np.repeat(np.arange(60), weights)
    weighted = probe_dice(features, labels, subjects, subjects, weights)
    assert weighted == pytest.approx(probe_dice(features[often], labels[often], subjects[often], subjects[often]))


@given(st.integers(0, 2**32 - 1))
def test_it_is_a_dice_that_knows_no_order_scale_or_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, subjects = rng.permutation(np.tile([0, 1], 20)), np.repeat([0, 1], 20)
    features = rng.normal(size=(40, 2)) + labels[:, None]
    value = probe_dice(features, labels, subjects, subjects)
    order = rng.permutation(40)
    assert 0 <= value <= 1
    assert probe_dice(features[order], labels[order], subjects[order], subjects[order]) == pytest.approx(value)
    assert probe_dice(features * 8 + 3, labels, subjects, subjects) == pytest.approx(value, abs=0.06)  # a tie may turn


def test_constant_features_are_no_error() -> None:
    # every pixel ties, so all are called: 2 * 1 / (1 + 2) in both subjects
    assert probe([7, 7, 7, 7], [0, 1, 0, 1], [0, 0, 1, 1]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [0, 0, 0, 0], "subjects": [0, 0, 0, 0]}, "whole_labels: a head is fitted where"),
        ({"labels": [1, 1, 1, 1]}, "whole_labels: a head is fitted where two classes are"),
        ({"labels": [0, 1, 0, 0]}, "label another image"),  # nothing to judge on in the other
        ({"labels": [0, 0, 0, 0]}, "whole_labels: all are 0, the background"),
        ({"labels": [0, 1, 0]}, "whole_labels: expected 4 labels"),
        ({"labels": [0, -1, 0, 1]}, "whole_labels: holds negative values"),
        ({"weights": [1, 1, 0, 1]}, "whole_weights: give 4 positive numbers"),
        ({"features": [0, 1, np.nan, 1]}, "whole_features: holds NaN"),
    ],
)
def test_what_has_no_probe(changes: dict, message: str) -> None:
    given = {"features": [0, 1, 0, 1], "labels": [0, 1, 0, 1], "subjects": [0, 0, 1, 1], "weights": [1, 1, 1, 1]}
    it = given | {"images": changes.get("subjects", given["subjects"])} | changes
    with pytest.raises(MetricError, match=message):
        probe_dice(np.array(it["features"])[:, None], it["labels"], it["subjects"], it["images"], it["weights"])

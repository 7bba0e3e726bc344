"""A linear head trained by descent, and judged on whole images that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrans.errors import MetricError
from medtrans.learning.loop import segmentation_loss
from medtrans.metrics import get_metric
from medtrans.metrics.trained_head import FITTED_PIXELS, head_dice

EVERY_THIRD = np.tile([0, 0, 1], 40)
SUBJECTS = np.repeat([0, 1], 60)


def head(features: np.ndarray, labels: np.ndarray, subjects: np.ndarray = SUBJECTS, **options: float) -> float:
    return head_dice(features, labels, subjects, subjects, **options)


def test_features_that_tell_the_structure_in_everyone_give_1() -> None:
    assert head(EVERY_THIRD[:, None] * 3.0 + 1, EVERY_THIRD) == 1


def test_the_head_is_judged_on_the_other_subject() -> None:
    """Where the second one's features say the opposite, every pixel is called as the other class: nothing is right."""
    opposite = np.where(SUBJECTS == 0, EVERY_THIRD, 1 - EVERY_THIRD)
    assert head(opposite[:, None].astype(float), EVERY_THIRD) == 0


def test_of_one_subject_every_other_image_is_judged_on() -> None:
    images = np.repeat([4, 6, 9], 40)
    assert head_dice(EVERY_THIRD[:, None] * 1.0, EVERY_THIRD, np.zeros(120, int), images) == 1


def of_two_bells(n_pixels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of 8 pixels one is structure, whose feature has another mean and six times the spread."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0] * 7 + [1], n_pixels // 8)
    return np.where(labels == 1, rng.normal(1.5, 3, n_pixels), rng.normal(0, 0.5, n_pixels)), labels


def test_it_ends_where_torch_does_with_the_loss_of_training() -> None:
    """The same steps by autograd on `segmentation_loss`: the head of the first subject calls the same in the second."""
    features, labels = of_two_bells(480, 3)
    features = np.column_stack([features, np.random.default_rng(5).normal(size=480)])
    subjects = np.repeat([0, 1], 240)
    scaled = features - features.mean(axis=0)
    scaled /= np.sqrt((scaled**2).mean())
    found = []
    for fold in (0, 1):
        inputs = torch.tensor(np.column_stack([scaled, np.ones(480)]), dtype=torch.float32)
        fitted = torch.tensor(subjects != fold)
        slope = torch.zeros(3, requires_grad=True)
        optimizer = torch.optim.Adam([slope])
        for step in range(50):
            share = (step + 1) / 3 if step < 3 else 0.5 * (1 + np.cos(np.pi * (step - 3) / 47))
            optimizer.param_groups[0]["lr"] = share
            logits = torch.stack([torch.zeros(240), inputs[fitted] @ slope])[None, :, :, None]
            truth = torch.tensor(labels[subjects != fold])[None, :, None]
            optimizer.zero_grad()
            segmentation_loss(logits, truth, has_background=True).backward()
            optimizer.step()
        called = (inputs[~fitted] @ slope > 0).numpy()
        there = labels[subjects == fold] == 1
        found.append(2 * (called & there).sum() / (called.sum() + there.sum()))
    assert 0.2 < np.mean(found) < 0.9
    assert head(features, labels, subjects, steps=50) == pytest.approx(np.mean(found), abs=1e-3)


@pytest.mark.parametrize("first", [0, 1])
def test_several_classes_with_and_without_a_background(first: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2], 40)
    features = np.eye(3)[labels] + rng.normal(0, 0.01, (120, 3))
    assert head(features, labels + first) == 1


def test_an_image_weighs_as_much_as_another_however_many_it_stands_for() -> None:
    features, labels = of_two_bells(480, 1)
    subjects, images = np.repeat([0, 1], 240), np.repeat([0, 1, 2, 3], 120)
    weights = np.where(images % 2 == 1, 5.0, 1.0)
    even = head_dice(features[:, None], labels, subjects, images)
    heavy = head_dice(features[:, None], labels, subjects, images, weights)
    assert even != heavy  # the same heads are judged with other weights
    alone = head_dice(features[:, None], labels, subjects, images, np.full(480, 5.0))
    assert alone == pytest.approx(even)


def test_of_many_pixels_some_stand_for_all() -> None:
    features, labels = of_two_bells(16 * FITTED_PIXELS // 4, 2)
    subjects = np.repeat([0, 1], len(labels) // 2)
    few = slice(None, None, 5)  # 8 and 5 have no common factor: the classes keep their shares
    assert head(features[:, None], labels, subjects) == pytest.approx(
        head(features[few, None], labels[few], subjects[few]), abs=0.02
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_it_is_a_dice_that_knows_no_order_scale_or_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(120, 2)) + EVERY_THIRD[:, None]
    value = head(features, EVERY_THIRD)
    order = rng.permutation(120)
    assert 0 <= value <= 1
    assert head(features[order], EVERY_THIRD[order], SUBJECTS[order]) == pytest.approx(value, abs=0.03)  # rounding may
    assert head(features * 8e6 + 3, EVERY_THIRD) == pytest.approx(value, abs=0.03)  # turn a pixel


def test_constant_features_call_everything_alike() -> None:
    """Of two thirds background the offset alone decides: none is called, or all; 2 * 20 / (60 + 20) = 0.5 at best."""
    assert head(np.full((120, 1), 7.0), EVERY_THIRD) in (0, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; give a whole number of 1 or more"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_a_descent_that_goes_nowhere_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        get_metric("head_dice").with_options(options)

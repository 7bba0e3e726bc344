"""Dice coefficients derived by hand, and how images go through a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from medtrans.errors import DataError
from medtrans.learning.evaluate import dice_score, predict_labels
from medtrans.tasks import IGNORE_LABEL, Case


class Reader(nn.Module):
    """A network that predicts the class that is written in the image."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.shapes.append(tuple(images.shape))
        classes = functional.one_hot(images[:, 0].round().long(), self.n_classes)
        return classes.movedim(-1, 1).float()


def case(name: str, predicted: list[list[int]], label: list[list[int]], subject: str = "") -> Case:
    image = np.array([predicted], dtype=np.float32)
    return Case(name, image, np.array(label, dtype=np.uint8), (1.0,) * (image.ndim - 1), subject=subject)


def test_slices_of_a_subject_are_pooled() -> None:
    # one slice right (4 pixels), one wrong (1 labelled, 1 predicted): 2*4 / (5+5), not the mean of 1 and 0
    slices = [
        case("p/1", [[1, 1], [1, 1]], [[1, 1], [1, 1]], "p"),
        case("p/2", [[1, 0], [0, 0]], [[0, 1], [0, 0]], "p"),
    ]
    assert dice_score(Reader(2), slices, 2, divisor=1) == pytest.approx(0.8)


def test_the_score_is_the_mean_over_subjects_and_structures() -> None:
    first = case("a", [[1, 1, 2, 2]], [[1, 1, 2, 0]])  # class 1: 1; class 2: 2*1 / (1+2)
    second = case("b", [[1, 0, 0, 0]], [[0, 1, 0, 0]])  # class 1: 0; class 2 is not there
    assert dice_score(Reader(3), [first, second], 3, divisor=1) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_subject_without_the_structure_is_left_out_whatever_is_predicted() -> None:
    cases = [case("a", [[1, 1]], [[1, 1]]), case("b", [[1, 1]], [[0, 0]])]
    assert dice_score(Reader(2), cases, 2, divisor=1) == 1
    with pytest.raises(DataError, match="none of the 1 subjects shows the structure"):
        dice_score(Reader(2), cases[1:], 2, divisor=1)


def test_ignored_pixels_count_nowhere() -> None:
    ignored = case("a", [[1, 1, 1, 0]], [[1, IGNORE_LABEL, IGNORE_LABEL, 1]])
    assert dice_score(Reader(2), [ignored], 2, divisor=1) == pytest.approx(2 * 1 / (2 + 1))


def test_images_are_padded_to_the_divisor_batched_by_shape_and_cropped_again() -> None:
    rng = np.random.default_rng(0)
    shapes = [(5, 7)] * 9 + [(8, 3)]  # 3 goes to 8 as well: at least two multiples of 4
    cases = [case(str(i), rng.integers(0, 3, shape), np.zeros(shape)) for i, shape in enumerate(shapes)]
    network = Reader(3).train()
    predictions = list(predict_labels(network, cases, divisor=4))
    assert network.shapes == [(8, 1, 8, 8), (1, 1, 8, 8), (1, 1, 8, 8)]
    assert network.training  # as it was
    for given, predicted in zip(cases, predictions, strict=True):
        assert predicted.dtype == np.uint8
        np.testing.assert_array_equal(predicted, given.image[0])


def test_volumes_are_segmented_in_windows() -> None:
    predicted = np.random.default_rng(0).integers(0, 2, (100, 10, 8))
    network = Reader(2)
    volume = case("a", predicted, predicted)
    assert dice_score(network, [volume], 2, divisor=8) == 1
    assert set(network.shapes) == {(1, 1, 96, 16, 16)}  # 96 at most, no larger than the padded volume

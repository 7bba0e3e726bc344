"""Dice, mIoU and pixel accuracy: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from medtrans.errors import DataError
from medtrans.learning.measures import Accuracy, accuracy_of_labels, confusion_table
from medtrans.tasks import IGNORE_LABEL, Case

X = IGNORE_LABEL


def case(name: str, label: ArrayLike, subject: str = "") -> Case:
    label = np.array(label, dtype=np.uint8)
    return Case(name, np.ones((1, *label.shape), np.float32), label, (1.0,) * label.ndim, subject=subject)


def accuracy(*pairs: tuple[ArrayLike, ArrayLike], n_classes: int = 3, has_background: bool) -> Accuracy:
    """Of (labelled, predicted) maps, each of a subject of its own."""
    cases = [case(str(i), label) for i, (label, _) in enumerate(pairs)]
    predicted = [np.array(predicted, dtype=np.uint8) for _, predicted in pairs]
    return accuracy_of_labels(cases, predicted, n_classes, has_background=has_background)


def test_confusion_table_has_labels_in_rows() -> None:
    label, predicted = np.array([0, 0, 1, X], np.uint8), np.array([1, 0, 1, 0], np.uint8)
    np.testing.assert_array_equal(confusion_table(label, predicted, 2), [[1, 1], [0, 1]])


def test_all_three_by_hand_with_a_background() -> None:
    """Two images; tables of class 1: 2 of 3 right; class 2: 1 right, 1 missed, 1 false."""
    found = accuracy(([[0, 1, 1, 0]], [[0, 1, 1, 1]]), ([[2, 2, 0, X]], [[2, 0, 2, 2]]), has_background=True)
    assert found.dice == pytest.approx((2 * 2 / (2 + 3) + 2 * 1 / (2 + 2)) / 2)
    assert found.miou == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found.pixel_accuracy == pytest.approx((3 + 1) / 7)  # the ignored pixel counts nowhere


def test_without_a_background_class_0_is_a_class_like_others() -> None:
    found = accuracy(([[0, 1, 1, 0]], [[0, 1, 1, 1]]), ([[2, 2, 0, X]], [[2, 0, 2, 2]]), has_background=False)
    # class 0: 1 of 2 found in the first image, 0 of 1 in the second; in all 1 right, 2 missed, 1 false
    assert found.dice == pytest.approx(((2 / 3 + 4 / 5) + (0 + 1 / 2)) / 4)
    assert found.miou == pytest.approx((1 / 4 + 2 / 3 + 1 / 3) / 3)
    assert found.pixel_accuracy == pytest.approx((3 + 1) / 7)


def test_miou_pools_all_images_and_leaves_out_classes_that_are_labelled_nowhere() -> None:
    """Pooled, class 1 has 3 right of 4; the mean over images would be (1 + 0) / 2. Class 2 is only ever false."""
    found = accuracy(([[1, 1, 1]], [[1, 1, 1]]), ([[1, 0]], [[2, 0]]), has_background=True)
    assert found.miou == pytest.approx(3 / 4)
    assert found.dice == pytest.approx((1 + 0) / 2)


def test_slices_of_a_subject_are_pooled_for_dice() -> None:
    cases = [case("p/1", [[1, 1]], "p"), case("p/2", [[1, 0]], "p")]
    predicted = [np.array([[1, 1]], np.uint8), np.array([[0, 0]], np.uint8)]
    assert accuracy_of_labels(cases, predicted, 2, has_background=True).dice == pytest.approx(2 * 2 / (3 + 2))


@pytest.mark.parametrize("has_background", [True, False])
def test_they_equal_those_of_scikit_learn(has_background: bool) -> None:
    rng = np.random.default_rng(0)
    label = rng.choice([0, 1, 2, 3, 5, X], size=(40, 50)).astype(np.uint8)  # class 4 is labelled nowhere
    predicted = np.where(rng.random(label.shape) < 0.6, label % 6, rng.integers(0, 6, label.shape)).astype(np.uint8)
    found = accuracy((label, predicted), n_classes=6, has_background=has_background)
    true, said = label[label != X], predicted[label != X]
    classes = [1, 2, 3, 5] if has_background else [0, 1, 2, 3, 5]
    assert found.dice == pytest.approx(f1_score(true, said, labels=classes, average="macro"))
    assert found.miou == pytest.approx(jaccard_score(true, said, labels=classes, average="macro"))
    assert found.pixel_accuracy == pytest.approx(accuracy_score(true, said))


@pytest.mark.parametrize(("label", "has_background"), [([[0, 0]], True), ([[X, X]], True), ([[X, X]], False)])
def test_without_any_of_the_classes_there_is_no_accuracy(label: ArrayLike, has_background: bool) -> None:
    with pytest.raises(DataError, match="none of the 1 subjects shows the structure") as caught:
        accuracy((label, [[0, 1]]), has_background=has_background)
    assert "\n" not in str(caught.value)
    assert accuracy(([[0, 0]], [[0, 1]]), has_background=False).pixel_accuracy == 0.5

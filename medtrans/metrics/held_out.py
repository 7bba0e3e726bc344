"""Dice on whole labelled images, and of a classifier that is fitted on some of them and judged on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError
from medtrans.metrics.arrays import Floats, as_array, as_labels


@dataclass(frozen=True, eq=False)
class WholePixels:
    """Pixels of whole images, checked.

    Attributes:
        labels: int64 (U,), 0 is the background.
        subjects: int64 (U,): whose image the pixel is of.
        weights: float64 (U,): how many pixels each stands for.
        n_classes: one more than the highest label.
    """

    labels: NDArray[np.int64]
    subjects: NDArray[np.int64]
    weights: NDArray[np.float64]
    n_classes: int

    @classmethod
    def of(cls, labels: Any, subjects: Any, weights: Any, n_pixels: int) -> WholePixels:
        """Raises MetricError for arrays that do not fit, and where every pixel is background."""
        as_labels(labels, n_pixels, "whole_labels")
        found = as_array(labels, "whole_labels").ravel().astype(np.int64)
        if found.min() < 0:
            raise MetricError("whole_labels: holds negative values; classes are 0, the background, and above")
        if not found.any():
            raise MetricError("whole_labels: all are 0, the background; label images that show the structure")
        persons = as_labels(subjects, n_pixels, "whole_subjects")[0]
        weight = np.ones(n_pixels) if weights is None else as_array(weights, "whole_weights").astype(np.float64).ravel()
        if len(weight) != n_pixels or not (np.isfinite(weight).all() and (weight > 0).all()):
            raise MetricError(f"whole_weights: give {n_pixels} positive numbers, one per pixel")
        return cls(found, persons, weight, int(found.max()) + 1)

    def at(self, chosen: NDArray[np.bool_]) -> WholePixels:
        """Some of them."""
        return WholePixels(self.labels[chosen], self.subjects[chosen], self.weights[chosen], self.n_classes)

    def dice(self, predicted: NDArray[np.int64]) -> float:
        """Mean over subjects and the classes each has, but 0."""
        found = []
        for subject in np.unique(self.subjects):
            of = self.subjects == subject
            labels, guesses, weights = self.labels[of], predicted[of], self.weights[of]
            labelled = np.bincount(labels, weights, self.n_classes)[1:]
            guessed = np.bincount(guesses.clip(0, self.n_classes), weights, self.n_classes + 1)[1 : self.n_classes]
            right = np.bincount(labels[labels == guesses], weights[labels == guesses], self.n_classes)[1:]
            has = labelled > 0
            found += list(2 * right[has] / (labelled + guessed)[has])
        return float(np.mean(found))


Classify = Callable[[Floats], NDArray[np.int64]]
"""From features (n, D) to labels (n,)."""

Fit = Callable[[NDArray[np.bool_]], Classify]
"""Fits a classifier to the pixels that are True in (U,); two classes or more are among them."""


def held_out_dice(features: Floats, pixels: WholePixels, images: Any, fit: Fit) -> float:
    """Dice of a classifier of features (U, D) on images that it was not fitted on.

    Folds are the subjects; of one subject, its images in two alternating halves. ``images`` are integers (U,), which
    image each pixel is of.

    Raises:
        MetricError: there is one image, or one class, or the structure in one fold alone, so that nothing can be fitted
            and judged.
    """
    predicted = np.zeros(len(features), dtype=np.int64)
    judged = np.zeros(len(features), dtype=bool)
    for fold in _folds(pixels.subjects, as_labels(images, len(features), "whole_images")[0]):
        if len(np.unique(pixels.labels[~fold])) > 1:
            predicted[fold] = fit(~fold)(features[fold])
            judged |= fold
    if not pixels.labels[judged].any():
        raise MetricError(
            "whole_labels: a head is fitted where two classes are and judged in other images that show the structure; "
            "label another image"
        )
    return pixels.at(judged).dice(predicted[judged])


def _folds(subjects: NDArray[np.int64], images: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Which pixels are judged on, fold by fold: a subject's; of one subject, every other image's; none of one image."""
    parts = subjects if len(np.unique(subjects)) > 1 else np.unique(images, return_inverse=True)[1] % 2
    names = np.unique(parts)
    return (parts == name for name in (names if len(names) > 1 else ()))

"""Dice on whole labelled images of a linear head that is trained as a network's head is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError
from medtrans.evenly import evenly
from medtrans.metrics.arrays import as_features, as_labels, centred, one_hot
from medtrans.metrics.held_out import Classify, WholePixels, held_out_dice
from medtrans.schedule import warmed_cosine

FITTED_PIXELS = 2**14
"""Pixels that a head is fitted to, at most: of every class of every image as many."""

_MOMENTUM, _MEMORY, _TINY = 0.9, 0.999, 1e-8  # of Adam, as everywhere

Array = NDArray[np.float32]


def head_dice(
    whole_features: Any,
    whole_labels: Any,
    whole_subjects: Any,
    whole_images: Any,
    whole_weights: Any = None,
    *,
    steps: int = 200,
    learning_rate: float = 1.0,
) -> float:
    r"""Dice on whole labelled images of a linear head, trained on some cases by the loss of segmentation.

    With class probabilities p = softmax(W x + b), labels y and weights w that sum to 1, it minimises

    .. math:: \frac{1}{|C|} \sum_{c \in C} \Bigl(1 - \frac{2 \sum_i w_i p_{ic} [y_i = c]}
        {\sum_i w_i p_{ic} + \sum_i w_i [y_i = c]}\Bigr) - \sum_i w_i \log p_{i y_i}

    C are the classes but 0, the background; every image weighs the same. `probe_dice` fits its head in closed form, as
    if the features of a class were a Gaussian: of a small structure that is not the head that training gives. Adam runs
    from 0 on all pixels at once, its rate rising for 5% of the steps and then falling on half a cosine; features are
    centred and divided by their root mean variance, so that the value does not depend on their scale. There is no
    chance in it.

    Folds are the subjects; of one subject, its images in two alternating halves. So the value is an estimate of what
    retraining the head gives on images that it has not seen, from fewer labels than are there.

    Args:
        whole_features: floating, shape (U, D): features at each pixel of the labelled images.
        whole_labels: integers, shape (U,); 0 is the background.
        whole_subjects: integers, shape (U,): whose image the pixel is of.
        whole_images: integers, shape (U,): which image the pixel is of.
        whole_weights: floating, shape (U,): how many pixels of the image each stands for; None: 1.
        steps: of Adam, at least 1.
        learning_rate: its highest one, above 0.

    Returns:
        0 to 1. Higher is better. Computed in float32.

    Raises:
        MetricError: there is one image, or one class, or the structure in one fold alone, so that no head can be fitted
            and judged; every pixel is background, arrays of different length, NaN.
    """
    check_descent(steps=steps, learning_rate=learning_rate)
    features = _scaled(as_features(whole_features, "whole_features"))
    pixels = WholePixels.of(whole_labels, whole_subjects, whole_weights, len(features))
    images = as_labels(whole_images, len(features), "whole_images")[0]
    some, weights = _some_of_each(pixels, images)

    def fit(chosen: NDArray[np.bool_]) -> Classify:
        kept = chosen[some]
        classes, codes = np.unique(pixels.labels[some[kept]], return_inverse=True)
        slopes, offsets = _descend(
            features[some[kept]], codes, weights[kept], classes > 0, steps=steps, learning_rate=learning_rate
        )
        return lambda others: np.asarray(classes[(others @ slopes + offsets).argmax(axis=1)], dtype=np.int64)

    return held_out_dice(features, pixels, images, fit)


def check_descent(*, steps: int, learning_rate: float) -> None:
    """Raise MetricError for a descent that goes nowhere."""
    if not (float(steps).is_integer() and steps >= 1):
        raise MetricError(f"steps is {steps}; give a whole number of 1 or more")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise MetricError(f"learning_rate is {learning_rate}; give a number above 0")


def _scaled(features: NDArray[np.floating[Any]]) -> Array:
    """Of mean 0, and of mean variance 1 where they vary at all."""
    shifted = centred(features)
    shifted /= np.abs(shifted).max() or 1.0  # so that no square overflows
    size = math.sqrt(float(np.mean(shifted**2)))
    return (shifted / size if size > 0 else shifted).astype(np.float32)


def _some_of_each(pixels: WholePixels, images: NDArray[np.int64]) -> tuple[NDArray[np.intp], Array]:
    """At most `FITTED_PIXELS` rows, evenly spaced ones of each class of each image; their weights, of each image 1."""
    n_images = int(images.max()) + 1
    group_of = images * pixels.n_classes + pixels.labels
    by_group = one_hot(group_of, n_images * pixels.n_classes).tocsc()  # sorts in linear time
    groups = np.unique(group_of)
    share = max(FITTED_PIXELS // len(groups), 1)
    parts = [by_group.indices[by_group.indptr[group] : by_group.indptr[group + 1]] for group in groups]
    picked = [part[evenly(len(part), share)] for part in parts]
    mass, of_image = np.bincount(group_of, pixels.weights), np.bincount(images, pixels.weights)
    weights = [
        pixels.weights[rows] / pixels.weights[rows].sum() * mass[group] / of_image[group // pixels.n_classes]
        for group, rows in zip(groups, picked, strict=True)
    ]
    return np.concatenate(picked), np.concatenate(weights).astype(np.float32)


def _descend(
    features: Array,
    codes: NDArray[np.int64],
    weights: Array,
    structures: NDArray[np.bool_],
    *,
    steps: int,
    learning_rate: float,
) -> tuple[Array, Array]:
    """Slopes (D, K) and offsets (K,) after Adam's steps; ``structures`` (K,) says which classes the Dice counts.

    Those of the first class stay 0, as only differences between classes count.
    """
    weights = weights[:, None] / weights.sum()
    inputs = np.column_stack([features, np.ones(len(features), dtype=np.float32)])
    truth = (codes[:, None] == np.arange(1, len(structures))).astype(np.float32)
    head, mean, square = (np.zeros((inputs.shape[1], truth.shape[1]), dtype=np.float32) for _ in range(3))
    for step in range(steps):
        called = _probabilities(inputs @ head)
        gradient = inputs.T @ (weights * _by_logit(called, truth, weights, structures))
        mean += (1 - _MOMENTUM) * (gradient - mean)
        square += (1 - _MEMORY) * (gradient**2 - square)
        unbiased = np.sqrt(square / (1 - _MEMORY ** (step + 1))) + _TINY
        head -= warmed_cosine(step, steps, learning_rate) * (mean / (1 - _MOMENTUM ** (step + 1))) / unbiased
    head = np.column_stack([np.zeros(len(head), dtype=np.float32), head])
    return head[:-1], head[-1]


def _probabilities(logits: Array) -> Array:
    """Of every class but the first, whose logit is 0."""
    highest = np.maximum(logits.max(axis=1, keepdims=True), 0)
    odds = np.exp(logits - highest)
    return np.asarray(odds / (np.exp(-highest) + odds.sum(axis=1, keepdims=True)))


def _by_logit(called: Array, truth: Array, weights: Array, structures: NDArray[np.bool_]) -> Array:
    """Derivative of the loss by the logits of every class but the first, over the pixels' weights.

    Where the first class is one that the Dice counts, its part goes the way of the others': p_0 is 1 minus their sum.
    """
    counted = (structures / structures.sum()).astype(np.float32)
    by_called = counted[1:] * _by_dice(called, truth, weights)
    if structures[0]:
        first, labelled_first = 1 - called.sum(axis=1, keepdims=True), 1 - truth.sum(axis=1, keepdims=True)
        by_called = by_called - counted[0] * _by_dice(first, labelled_first, weights)
    return np.asarray(called * (by_called - (by_called * called).sum(axis=1, keepdims=True)) + called - truth)


def _by_dice(called: Array, truth: Array, weights: Array) -> Array:
    """Derivative of 1 - 2 R / T by the probabilities, over the weights."""
    right = (weights * called * truth).sum(axis=0)
    total = (weights * (called + truth)).sum(axis=0)
    return np.asarray((2 / total**2) * (right - total * truth))

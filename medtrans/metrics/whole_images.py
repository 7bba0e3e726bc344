"""Dice on whole labelled images: of the source as it is, and of a linear head that is fitted to its features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.metrics.arrays import Floats, as_array, as_features, as_labels, of_unit_size
from medtrans.metrics.held_out import Classify, WholePixels, held_out_dice
from medtrans.metrics.linear_discriminant import ClassMoments

_RIDGE = 1e-4  # of the mean variance, so that constant and dependent features do no harm


def whole_zero_shot_dice(
    whole_predictions: Any, whole_labels: Any, whole_subjects: Any, whole_weights: Any = None
) -> float:
    r"""Dice coefficient of the source as it is on the whole labelled images, in the unit that transfer is judged in.

    .. math:: \frac{1}{|S|} \sum_{s \in S} \frac{1}{|C_s|} \sum_{c \in C_s}
        \frac{2 \sum_{i \in P_c \cap T_c} w_i}{\sum_{i \in P_c} w_i + \sum_{i \in T_c} w_i}

    P_c are the pixels of subject s that the source predicts as class c, T_c those labelled so, C_s the classes that the
    subject has, without 0, the background. `zero_shot_dice` looks at pixels near edges alone, where false positives far
    from the structure do not count. Classes are compared by their number, as there.

    Args:
        whole_predictions: integers, shape (U,): the source's class at each pixel.
        whole_labels: integers, shape (U,).
        whole_subjects: integers, shape (U,): whose image the pixel is of.
        whole_weights: floating, shape (U,): how many pixels of the image each stands for; None: 1.

    Returns:
        0 (no pixel right) to 1 (all right). Higher is better.

    Raises:
        MetricError: every pixel is background, arrays of different length, or labels that are not whole numbers.
    """
    predicted = np.atleast_1d(as_array(whole_predictions, "whole_predictions")).ravel()
    as_labels(predicted, len(predicted), "whole_predictions")
    pixels = WholePixels.of(whole_labels, whole_subjects, whole_weights, len(predicted))
    return pixels.dice(predicted)


def probe_dice(
    whole_features: Any,
    whole_labels: Any,
    whole_subjects: Any,
    whole_images: Any,
    whole_weights: Any = None,
) -> float:
    r"""Dice on whole labelled images of a linear head in closed form, fitted on some cases and judged on the others.

    The head is the linear discriminant of the features x, with class means :math:`\mu_c`, shares :math:`\pi_c` and the
    pooled covariance :math:`\Sigma`:

    .. math:: \delta_c(x) = \mu_c^T \Sigma^{-1} x - \tfrac12 \mu_c^T \Sigma^{-1} \mu_c + \log \pi_c

    A pixel is of the class with the largest :math:`\delta_c`. Of a single structure it is where
    :math:`\delta_1 - \delta_0` exceeds the threshold that gives the best Dice on the cases that the head is fitted on:
    log shares aim at few errors, and of a small structure those would be fewest without any of it.

    Folds are the subjects; of one subject, its images in two alternating halves. So the value is an estimate of what
    retraining the head gives on images that it has not seen, in the unit that transfer is judged in (Dice of each
    subject over all of its images, mean over subjects and classes), from fewer labels than are there.

    Args:
        whole_features: floating, shape (U, D): features at each pixel of the labelled images.
        whole_labels: integers, shape (U,); 0 is the background.
        whole_subjects: integers, shape (U,): whose image the pixel is of.
        whole_images: integers, shape (U,): which image the pixel is of.
        whole_weights: floating, shape (U,): how many pixels of the image each stands for; None: 1.

    Returns:
        0 to 1. Higher is better.

    Raises:
        MetricError: there is one image, or one class, or the structure in one fold alone, so that no head can be fitted
            and judged; every pixel is background, arrays of different length, NaN.
    """
    features, _ = of_unit_size(as_features(whole_features, "whole_features"))
    pixels = WholePixels.of(whole_labels, whole_subjects, whole_weights, len(features))

    def fit(chosen: NDArray[np.bool_]) -> Classify:
        return _head(features[chosen], pixels.labels[chosen], pixels.weights[chosen])

    return held_out_dice(features, pixels, whole_images, fit)


def _head(features: Floats, labels: NDArray[np.int64], weights: NDArray[np.float64]) -> Classify:
    """The linear discriminant of some pixels, as a function from features to classes."""
    classes, codes = np.unique(labels, return_inverse=True)
    classes = classes.astype(np.int64)
    centre = features.mean(axis=0, dtype=np.float64)
    shifted = (features - centre).astype(np.float64)
    variance = float(np.mean(weights @ shifted**2)) / weights.sum()
    slopes, offsets = ClassMoments.of(shifted, codes, len(classes), weights).discriminant(_RIDGE * variance or 1.0)
    binary = len(classes) == 2
    if binary:
        slope = slopes[:, 1] - slopes[:, 0]
        threshold = _best_threshold(shifted @ slope, codes == 1, weights)

    def classify(others: Floats) -> NDArray[np.int64]:
        moved = (others - centre).astype(np.float64)
        if binary:
            return np.asarray(classes[(moved @ slope >= threshold).astype(np.intp)])
        return np.asarray(classes[(moved @ slopes + offsets).argmax(axis=1)])

    return classify


def _best_threshold(scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """From which score on to call pixels positive, for the best Dice coefficient."""
    order = np.argsort(-scores)
    found, called = np.cumsum((weights * positive)[order]), np.cumsum(weights[order])
    return float(scores[order[int((2 * found / (called + found[-1])).argmax())]])

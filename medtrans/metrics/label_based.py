"""What the source says about target pixels: NCE and Dice from its hard predictions, LEEP from its probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from medtrans.errors import MetricError
from medtrans.metrics.arrays import as_array, as_labels, as_probabilities, one_hot


def nce(source_predictions: Any, target_labels: Any) -> float:
    r"""Negative conditional entropy of the target labels given the source's predicted classes.

    .. math:: NCE = -H(Y | Z) = \sum_{y,z} P(y, z) \log \frac{P(y, z)}{P(z)}

    Args:
        source_predictions: integers, shape (N,): the source's class at each target pixel.
        target_labels: integers, shape (N,).

    Returns:
        Nats, between -H(Y) (predictions tell nothing) and 0 (they fix the label). Higher is better.

    Raises:
        MetricError: arrays of different length, or labels that are not whole numbers.

    Source: Tran, Nguyen, Hassner, "Transferability and hardness of supervised classification tasks", ICCV 2019.
    """
    n_samples = len(np.atleast_1d(as_array(source_predictions, "source_predictions")))
    predictions, n_predicted = as_labels(source_predictions, n_samples, "source_predictions")
    labels, n_classes = as_labels(target_labels, n_samples)
    cells = np.bincount(predictions * n_classes + labels, minlength=n_predicted * n_classes)
    return 0.0 - conditional_entropy(cells.reshape(n_predicted, n_classes) / n_samples)  # never -0.0


def conditional_entropy(joint: NDArray[np.float64]) -> float:
    """H(column | row) in nats of a joint probability table of shape (rows, columns); rows without mass count 0."""
    rows = joint.sum(axis=1)
    return max(0.0, float(xlogy(rows, rows).sum() - xlogy(joint, joint).sum()))


def leep(source_probs: Any, target_labels: Any) -> float:
    r"""Log expected empirical prediction: how well labels follow from the source's class probabilities.

    .. math::
        P(y, z) = \frac1N \sum_{i: y_i = y} \theta_z(x_i), \qquad
        LEEP = \frac1N \sum_i \log \sum_z P(y_i | z)\, \theta_z(x_i)

    A source class whose probability is 0 at every pixel is skipped; ``LEEP.py`` of LogME and tllib give nan there.

    Args:
        source_probs: floating, shape (N, C): the source's class probabilities theta at each pixel; rows sum to 1.
        target_labels: integers, shape (N,).

    Returns:
        Nats, between -H(Y) and 0. Higher is better.

    Raises:
        MetricError: rows that do not sum to 1 (logits, say), NaN, or arrays of different length.

    Source: Nguyen, Hassner, Seeger, Archambeau, "LEEP: a new measure to evaluate transferability of learned
    representations", ICML 2020.
    """
    probabilities = as_probabilities(source_probs)
    labels, n_classes = as_labels(target_labels, len(probabilities))
    joint = one_hot(labels, n_classes).T @ probabilities  # N P(y, z): sums, since dividing denormals by N loses them
    occurring = joint.sum(axis=0) > 0
    label_given_source = joint[:, occurring] / joint[:, occurring].sum(axis=0)
    expected = np.einsum("nz,nz->n", probabilities[:, occurring], label_given_source[labels])
    return min(0.0, float(np.log(expected).mean()))


def zero_shot_dice(source_predictions: Any, target_labels: Any) -> float:
    r"""Dice coefficient of the source as it is, without any training on the target, on the sampled pixels.

    .. math:: \frac{1}{|C|} \sum_{c \in C} \frac{2\, |P_c \cap T_c|}{|P_c| + |T_c|}

    P_c are the pixels that the source predicts as class c, T_c those labelled so, C the classes that are labelled,
    without 0, the background. No metric of the literature but the baseline to hold them against: it asks whether the
    source does the target's task already. Classes are compared by their number, so that it tells something only where
    the numbers mean alike, as background and structure do in every pair of tasks with one structure each.

    Args:
        source_predictions: integers, shape (N,): the source's class at each target pixel.
        target_labels: integers, shape (N,).

    Returns:
        0 (no pixel right) to 1 (all right). Higher is better.

    Raises:
        MetricError: every pixel is background, arrays of different length, or labels that are not whole numbers.
    """
    predicted = np.atleast_1d(as_array(source_predictions, "source_predictions"))
    as_labels(predicted, len(predicted), "source_predictions")
    labelled = as_array(target_labels, "target_labels")
    as_labels(labelled, len(predicted))
    predicted, labelled = predicted.ravel(), labelled.ravel()
    classes = np.unique(labelled[labelled != 0])
    if not classes.size:
        raise MetricError("target_labels: all are 0, the background; sample pixels of the structure too")
    right = [np.count_nonzero((predicted == it) & (labelled == it)) for it in classes]
    either = [np.count_nonzero(predicted == it) + np.count_nonzero(labelled == it) for it in classes]
    return float(np.mean(2 * np.array(right) / np.array(either)))

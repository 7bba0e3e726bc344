"""How right label maps are: Dice, mIoU and pixel accuracy, from one table of labelled against predicted classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import DataError
from medtrans.tasks import IGNORE_LABEL, Case

Table = NDArray[np.int64]
"""Number of pixels by labelled class (row) and predicted class (column), shape (K, K)."""


class Accuracy(NamedTuple):
    """Three measures of the same label maps, each in [0, 1], higher is better; see `accuracy_of_labels`."""

    dice: float
    miou: float
    pixel_accuracy: float


def accuracy_of_labels(
    cases: Sequence[Case], predicted: Iterable[NDArray[np.uint8]], n_classes: int, *, has_background: bool
) -> Accuracy:
    """Compare predicted label maps, one for each case and of its shape, in order, with the cases' labels.

    With P the pixels predicted and T the pixels labelled as one class:

    - ``dice``: ``2 |P and T| / (|P| + |T|)`` in one subject, mean over subjects and classes. The slices of a subject
      are pooled before the division, so each slice counts by what it shows. A class that a subject does not have (T
      empty) is left out for this subject, whatever was predicted there: the coefficient would fall from 1 to 0 with a
      single false pixel. (MONAI's DiceMetric neither pools slices nor does this: it gives 0 where only P is not empty.)
    - ``miou``: ``|P and T| / |P or T|`` over all cases together, mean over the classes that are labelled in any of
      them, pooled as Cityscapes' benchmark pools. There a class that is labelled nowhere, but predicted somewhere,
      counts as 0; here it is left out, as a few test images seldom show every class.
    - ``pixel_accuracy``: the share of all pixels that have their own class, background among them.

    Pixels labelled ``IGNORE_LABEL`` count nowhere. With a background, class 0 is none of the classes that ``dice`` and
    ``miou`` are means over.

    Raises:
        DataError: no subject has any of the classes.
    """
    return accuracy_of_tables(subject_tables(cases, predicted, n_classes), has_background=has_background)


def subject_tables(cases: Sequence[Case], predicted: Iterable[NDArray[np.uint8]], n_classes: int) -> dict[str, Table]:
    """The `confusion_table` of each subject, over all of its cases; predicted label maps are in the order of these."""
    tables: dict[str, Table] = {}
    for case, labels in zip(cases, predicted, strict=True):
        table = confusion_table(case.label, labels, n_classes)
        tables[case.subject] = tables[case.subject] + table if case.subject in tables else table
    return tables


def accuracy_of_tables(tables: Mapping[str, Table], *, has_background: bool) -> Accuracy:
    """`accuracy_of_labels` from `subject_tables`; of one subject, what it adds to them. Raises as it does."""
    pooled, first = np.sum(list(tables.values()), axis=0), int(has_background)
    if not pooled[first:].any():
        raise DataError(f"accuracy: none of the {len(tables)} subjects shows the structure; add one that does")
    dice = np.array([_dice_by_class(table)[first:] for table in tables.values()])
    return Accuracy(
        dice=float(np.nanmean(dice)),
        miou=float(np.nanmean(_iou_by_class(pooled)[first:])),
        pixel_accuracy=float(np.trace(pooled) / pooled.sum()),
    )


def confusion_table(label: NDArray[np.uint8], predicted: NDArray[np.uint8], n_classes: int) -> Table:
    """Number of pixels by labelled class (row) and predicted class (column), without the ignored ones; shape (K, K)."""
    valid = label != IGNORE_LABEL
    pairs = label[valid].astype(np.int64) * n_classes + predicted[valid]
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def _dice_by_class(table: Table) -> NDArray[np.float64]:
    """Shape (K,); NaN where a class is not labelled."""
    overlap, labelled, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return np.where(labelled > 0, 2 * overlap / np.maximum(labelled + predicted, 1), np.nan)


def _iou_by_class(table: Table) -> NDArray[np.float64]:
    """Shape (K,); NaN where a class is not labelled."""
    overlap, labelled, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return np.where(labelled > 0, overlap / np.maximum(labelled + predicted - overlap, 1), np.nan)

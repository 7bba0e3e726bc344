"""How well a network segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from medtrans.errors import DataError
from medtrans.features import default_window
from medtrans.networks import padded_size
from medtrans.tasks import IGNORE_LABEL, Case

IMAGES_AT_ONCE = 8
"""2D images that go through the network together."""


def dice_score(
    network: nn.Module, cases: Sequence[Case], n_classes: int, *, divisor: int, device: str | torch.device = "cpu"
) -> float:
    """Mean Dice coefficient over subjects and the classes 1..K-1, in [0, 1]; higher is better.

    ``Dice = 2 |P and T| / (|P| + |T|)`` for the pixels P predicted and the pixels T labelled as one class in one
    subject. The slices of a subject are pooled before the division, so each slice counts by what it shows. Pixels
    labelled ``IGNORE_LABEL`` are left out of both.

    A class that a subject does not have (T empty) is left out for this subject, whatever was predicted there: the
    coefficient would fall from 1 to 0 with a single false pixel. (MONAI's DiceMetric neither pools slices nor does
    this: it gives 0 where only P is not empty.)

    The predicted class is the one with the largest output. Spatial sizes are padded to multiples of ``divisor``;
    volumes are segmented in windows of 96 voxels a side that overlap by a quarter.

    Raises:
        DataError: no subject has any of the classes.
    """
    return dice_of_labels(cases, predict_labels(network, cases, divisor=divisor, device=device), n_classes)


def dice_of_labels(cases: Sequence[Case], predicted: Iterable[NDArray[np.uint8]], n_classes: int) -> float:
    """The coefficient of ``dice_score`` for label maps that are there: one for each case, in order; as the case's."""
    tables: dict[str, NDArray[np.int64]] = {}
    for case, labels in zip(cases, predicted, strict=True):
        table = confusion_table(case.label, labels, n_classes)
        tables[case.subject] = tables[case.subject] + table if case.subject in tables else table
    scores = np.array([_dice_of_structures(table) for table in tables.values()])
    if np.isnan(scores).all():
        raise DataError(f"Dice: none of the {len(tables)} subjects shows the structure; add one that does")
    return float(np.nanmean(scores))


def predict_labels(
    network: nn.Module, cases: Sequence[Case], *, divisor: int, device: str | torch.device = "cpu"
) -> Iterator[NDArray[np.uint8]]:
    """The class with the largest output at every pixel: uint8, shape ``(*spatial)``, one for each case in order."""
    return (largest_output(outputs) for outputs in predict_outputs(network, cases, divisor=divisor, device=device))


def predict_outputs(
    network: nn.Module, cases: Sequence[Case], *, divisor: int, device: str | torch.device = "cpu"
) -> Iterator[torch.Tensor]:
    """The network's outputs before softmax: float32, shape ``(K, *spatial)``, one for each case in order."""
    for _, group in groupby(cases, key=lambda case: case.label.shape):
        same_shape = list(group)
        at_once = IMAGES_AT_ONCE if same_shape[0].ndim == 2 else 1
        for start in range(0, len(same_shape), at_once):
            images = np.stack([case.image for case in same_shape[start : start + at_once]])
            yield from _outputs(network, torch.from_numpy(images), divisor, device)


def largest_output(outputs: torch.Tensor) -> NDArray[np.uint8]:
    """The class with the largest of the outputs ``(K, *spatial)`` at every pixel."""
    largest: NDArray[np.uint8] = outputs.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return largest


def confusion_table(label: NDArray[np.uint8], predicted: NDArray[np.uint8], n_classes: int) -> NDArray[np.int64]:
    """Number of pixels by labelled class (row) and predicted class (column), without the ignored ones; shape (K, K)."""
    valid = label != IGNORE_LABEL
    pairs = label[valid].astype(np.int64) * n_classes + predicted[valid]
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def _dice_of_structures(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice of the classes 1..K-1; NaN where a class is not labelled."""
    overlap, labelled, predicted = np.diag(table)[1:], table.sum(axis=1)[1:], table.sum(axis=0)[1:]
    dice = 2 * overlap / np.maximum(labelled + predicted, 1)
    return np.where(labelled > 0, dice, np.nan)


def _outputs(network: nn.Module, images: torch.Tensor, divisor: int, device: str | torch.device) -> torch.Tensor:
    sizes = images.shape[2:]
    padded = padded_for(images, divisor).to(device)
    with inference(network):
        if len(sizes) == 2:
            outputs = network(padded)
        else:
            outputs = sliding_window_inference(
                padded, default_window(sizes, divisor), 1, network, overlap=0.25, mode="gaussian"
            )
    inside: torch.Tensor = outputs[(slice(None), slice(None), *(slice(size) for size in sizes))]
    return inside


def padded_for(images: torch.Tensor, divisor: int) -> torch.Tensor:
    """Images (B, channels, ...) with zeros at the end of each axis, up to a size that the network takes."""
    missing = [padded_size(size, divisor) - size for size in images.shape[2:]]
    return functional.pad(images, [pad for size in reversed(missing) for pad in (0, size)])


@contextmanager
def inference(network: nn.Module) -> Iterator[None]:
    """No gradients, and the network in evaluation mode; its own mode comes back after."""
    was_training = network.training
    if was_training:  # visiting every layer takes as long as a small image
        network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            network.train()

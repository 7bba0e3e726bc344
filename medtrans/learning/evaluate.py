"""How well a network segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from torch import nn

from medtrans.features.windows import default_window, padded_for
from medtrans.learning.measures import Accuracy, accuracy_of_labels
from medtrans.tasks import Case

IMAGES_AT_ONCE = 8
"""2D images that go through the network together."""


def segmentation_accuracy(
    network: nn.Module,
    cases: Sequence[Case],
    n_classes: int,
    *,
    has_background: bool,
    divisor: int,
    device: str | torch.device = "cpu",
) -> Accuracy:
    """Dice, mIoU and pixel accuracy of a network on labelled cases, as `accuracy_of_labels` has them.

    The predicted class is the one with the largest output. Spatial sizes are padded to multiples of ``divisor``;
    volumes are segmented in windows of 96 voxels a side that overlap by a quarter.

    Raises:
        DataError: no case has any of the classes.
    """
    predicted = predict_labels(network, cases, divisor=divisor, device=device)
    return accuracy_of_labels(cases, predicted, n_classes, has_background=has_background)


def dice_score(
    network: nn.Module, cases: Sequence[Case], n_classes: int, *, divisor: int, device: str | torch.device = "cpu"
) -> float:
    """The Dice coefficient of `segmentation_accuracy` for a task with a background: mean over the classes 1..K-1."""
    found = segmentation_accuracy(network, cases, n_classes, has_background=True, divisor=divisor, device=device)
    return found.dice


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

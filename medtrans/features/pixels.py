"""One model at the sampled pixels: the features that its last layer reads there, and the probabilities it gives.

Only windows that hold a sampled pixel go through the network, and of each window only the sampled pixels are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softmax

from medtrans.errors import NetworkError, SamplingError, did_you_mean
from medtrans.features.windows import Pixels, Window, batches_of, windows_around
from medtrans.networks import forward_with_map, penultimate_layer
from medtrans.sources import Activation
from medtrans.tasks import Case

_MAX_SIGMOID_CHANNELS = 8  # 2**8 combinations of channels


@dataclass(frozen=True, eq=False)
class PixelFeatures:
    """What a network says about U pixels.

    Attributes:
        features: float32 (U, D).
        probabilities: float32 (U, C) over the network's classes; rows sum to 1.
    """

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """int64 (U,): the most probable class of each pixel."""
        predictions: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predictions

    def at(self, rows: slice) -> PixelFeatures:
        """Some of the pixels; nothing is copied."""
        return PixelFeatures(self.features[rows], self.probabilities[rows])


def extract_features(
    network: nn.Module,
    cases: Sequence[Case],
    pixels: Pixels,
    *,
    layer: str | None = None,
    roi_size: Sequence[int] | None = None,
    divisor: int = 1,
    activation: Activation = "softmax",
    batch_size: int = 4,
    device: str | torch.device = "cpu",
) -> PixelFeatures:
    """Run a network where pixels were sampled, without gradients; results are in the order of ``pixels``.

    Windows lie as in MONAI's ``sliding_window_inference`` with ``overlap=0``: side by side from the first pixel on, the
    last one moved back to the border. An image smaller than the window is padded with zeros, other than there at the
    end of each axis, as it is in training (``features.windows``). A pixel in two windows takes its values from the
    first. On the CPU the same call gives the same bits.

    Args:
        network: maps images ``(B, channels, *spatial)`` to logits ``(B, C, *spatial)``; it is moved to ``device`` and
            put in evaluation mode.
        cases: where the images are; all with the same channels and number of axes.
        pixels: positions in them.
        layer: the layer whose input are the features, interpolated linearly where its resolution is lower than the
            image's, at the sampled pixels only; None: the convolution that scores the classes.
        roi_size: window size in pixels; None: whole images in 2D and windows of at most ``WINDOW_3D`` a side in 3D,
            padded to a multiple of ``divisor`` and at least twice it.
        divisor: the network takes sizes that are multiples of this.
        activation: what the logits mean. ``"softmax"``: classes that exclude each other. ``"sigmoid"``: structures that
            may overlap; then each combination of structures is a class, with the product of p or 1 - p over the
            structures as its probability. Class c is the one where structure i is present if bit i of c is set.
        batch_size: windows in a forward pass.
        device: where the network runs; the arrays returned are on the CPU.

    Raises:
        NetworkError: the window or the activation does not fit the network, or its output is not finite.
        SamplingError: there are no pixels.
    """
    if not len(pixels.case_index):
        raise SamplingError("no pixels to extract features at; draw some with sample_pixels first")
    if activation not in get_args(Activation):
        raise NetworkError(f"unknown activation '{activation}'; {did_you_mean(activation, get_args(Activation))}")
    network = network.to(device).eval()
    layer = layer or penultimate_layer(network, cases[0].ndim, cases[0].image.shape[0])
    windows = windows_around(cases, pixels, roi_size, divisor)
    rows: list[NDArray[np.int64]] = []
    features: list[NDArray[np.float32]] = []
    probabilities: list[NDArray[np.float32]] = []
    for batch in batches_of(windows, batch_size):
        at_pixels, logits = _run(network, layer, batch, device)
        rows.extend(window.rows for window in batch)
        features.append(at_pixels.cpu().numpy())
        probabilities.append(_probabilities(logits, activation).cpu().numpy())
    in_order = np.argsort(np.concatenate(rows))
    return PixelFeatures(
        _finite(np.concatenate(features)[in_order], f"features at layer '{layer}'"),
        _finite(np.concatenate(probabilities)[in_order], "probabilities"),
    )


@torch.inference_mode()
def _run(network: nn.Module, layer: str, batch: list[Window], device: str | torch.device) -> tuple[Tensor, Tensor]:
    """Features (n, D) and logits (n, C) at the pixels of a batch, window after window."""
    images = torch.from_numpy(np.stack([window.content() for window in batch])).to(device)
    logits, cells, grid = forward_with_map(network, layer, images)
    which = np.repeat(np.arange(len(batch)), [len(window.rows) for window in batch])
    local = np.concatenate([window.local for window in batch])
    image_index, *axis_indices = torch.from_numpy(np.column_stack([which, local])).to(device).T
    at_pixels = (image_index, slice(None), *axis_indices)
    return grid.at(cells, image_index, axis_indices).float(), logits[at_pixels].float()


@torch.inference_mode()
def _probabilities(logits: Tensor, activation: Activation) -> Tensor:
    """From (n, C) logits to a distribution over classes, or over combinations of overlapping structures."""
    if activation == "softmax" and logits.shape[1] == 1:
        raise NetworkError("one output channel has no softmax, which is 1 everywhere; use activation 'sigmoid'")
    if activation == "softmax":
        return softmax(logits, dim=1)
    n_channels = logits.shape[1]
    if n_channels > _MAX_SIGMOID_CHANNELS:
        raise NetworkError(
            f"{n_channels} overlapping structures make too many combinations (at most {_MAX_SIGMOID_CHANNELS} "
            "sigmoid channels); use a source whose classes exclude each other"
        )
    combinations = [bits[::-1] for bits in product((0.0, 1.0), repeat=n_channels)]  # bit i of the row number first
    present = torch.tensor(combinations, device=logits.device)
    return (logsigmoid(logits) @ present.T + logsigmoid(-logits) @ (1 - present).T).exp()


def _finite(values: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise NetworkError(
            f"the network gives NaN or infinite {what}; check its weights, and that the images are preprocessed as "
            "those it was trained on"
        )
    return values

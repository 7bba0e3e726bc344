"""One model at the sampled pixels: the features that its last layer reads there, and the probabilities it gives.

Only windows that hold a sampled pixel go through the network, and of each window only the sampled pixels are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softmax

from medtrans.errors import NetworkError, SamplingError, did_you_mean
from medtrans.networks import forward_with_map, padded_size, penultimate_layer
from medtrans.sources import Activation
from medtrans.tasks import Case

WINDOW_3D = 96
"""Voxels a side of the windows and patches in which a volume goes through a network, where nothing else is asked."""

_MAX_SIGMOID_CHANNELS = 8  # 2**8 combinations of channels


class Pixels(Protocol):
    """U positions in some cases, as a ``PixelSample`` has them."""

    @property
    def case_index(self) -> NDArray[np.int64]:
        """int64 (U,), index into the cases."""

    @property
    def position(self) -> NDArray[np.int64]:
        """int64 (U, ndim), the pixel in its case's image."""


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
    last one moved back to the border, and an image smaller than the window padded with zeros on both sides. A pixel in
    two windows takes its values from the first. On the CPU the same call gives the same bits.

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
    windows = _windows(cases, pixels, roi_size, divisor)
    rows: list[NDArray[np.int64]] = []
    features: list[NDArray[np.float32]] = []
    probabilities: list[NDArray[np.float32]] = []
    for batch in _batches(windows, batch_size):
        at_pixels, logits = _run(network, layer, batch, device)
        rows.extend(window.rows for window in batch)
        features.append(at_pixels.cpu().numpy())
        probabilities.append(_probabilities(logits, activation).cpu().numpy())
    in_order = np.argsort(np.concatenate(rows))
    return PixelFeatures(
        _finite(np.concatenate(features)[in_order], f"features at layer '{layer}'"),
        _finite(np.concatenate(probabilities)[in_order], "probabilities"),
    )


@dataclass(frozen=True, eq=False)
class _Window:
    """A part of an image, with zeros where it reaches beyond, and the sampled pixels that take their values from it."""

    image: NDArray[np.float32]  # (channels, *spatial), all of it
    origin: NDArray[np.int64]  # the window's first pixel, counted in the image; may be negative
    shape: tuple[int, ...]
    rows: NDArray[np.int64]  # (n,) indices into the sampled pixels
    local: NDArray[np.int64]  # (n, ndim) their positions, counted in the window

    def content(self) -> NDArray[np.float32]:
        low = np.maximum(self.origin, 0)
        high = np.minimum(self.origin + self.shape, self.image.shape[1:])
        content = np.zeros((self.image.shape[0], *self.shape), dtype=np.float32)
        content[_box(low - self.origin, high - self.origin)] = self.image[_box(low, high)]
        return content


def _box(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[slice, ...]:
    """All channels between two corners."""
    return (slice(None), *map(slice, low, high))


def _windows(cases: Sequence[Case], pixels: Pixels, roi_size: Sequence[int] | None, divisor: int) -> list[_Window]:
    """The windows that hold sampled pixels, each pixel in one of them."""
    windows = []
    for index in np.unique(pixels.case_index):
        image = cases[index].image
        rows = np.flatnonzero(pixels.case_index == index)
        shape = _window_shape(image.shape[1:], roi_size, divisor)
        origins, which = np.unique(_origins(pixels.position[rows], image.shape[1:], shape), axis=0, return_inverse=True)
        for i, origin in enumerate(origins):
            inside = rows[which.reshape(-1) == i]
            windows.append(_Window(image, origin, shape, inside, pixels.position[inside] - origin))
    return windows


def default_window(size: Sequence[int], divisor: int) -> tuple[int, ...]:
    """The window for an image of this size: the whole of a slice, at most ``WINDOW_3D`` a side of a volume."""
    limit = padded_size(WINDOW_3D, divisor)
    whole = tuple(padded_size(length, divisor) for length in size)
    return whole if len(size) == 2 else tuple(min(length, limit) for length in whole)


def _window_shape(size: tuple[int, ...], roi_size: Sequence[int] | None, divisor: int) -> tuple[int, ...]:
    if roi_size is None:
        return default_window(size, divisor)
    if len(roi_size) != len(size) or any(length < 1 or length % divisor for length in roi_size):
        raise NetworkError(
            f"window {tuple(roi_size)} does not fit a {len(size)}D network that takes multiples of {divisor}; "
            "give one such size per axis"
        )
    return tuple(roi_size)


def _origins(position: NDArray[np.int64], size: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """First pixel of the first window that covers each position; (n, ndim), counted in the unpadded image."""
    padded = np.maximum(size, shape)
    before = (padded - size) // 2
    first_of_cell = (position + before) // shape * shape
    return np.asarray(np.minimum(first_of_cell, padded - shape) - before)


def _batches(windows: list[_Window], batch_size: int) -> Iterator[list[_Window]]:
    """Windows of one shape together."""
    for _, same_shape in groupby(sorted(windows, key=lambda window: window.shape), key=lambda window: window.shape):
        group = list(same_shape)
        yield from (group[start : start + batch_size] for start in range(0, len(group), batch_size))


@torch.inference_mode()
def _run(network: nn.Module, layer: str, batch: list[_Window], device: str | torch.device) -> tuple[Tensor, Tensor]:
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

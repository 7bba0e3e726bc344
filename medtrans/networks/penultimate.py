"""The feature map that the last layer reads: named by the network itself, or found by watching a forward pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medtrans.errors import NetworkError, did_you_mean, one_line
from medtrans.networks.grid import Grid, cropped
from medtrans.networks.scenes import SceneNetwork

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PROBE_SIZES = (32, 64, 96, 128)  # the smallest that the network's strides divide will do


def penultimate_layer(network: nn.Module, spatial_dims: int, in_channels: int) -> str:
    """Name of the convolution that scores the classes; its input are the penultimate features.

    The networks of ``medtrans.networks.scenes`` name it. Of any other it is the 1 x 1 convolution that makes the
    output: a copy of the network runs once on a small black image; the network itself stays untouched.

    Raises:
        NetworkError: the network does not end in a 1 x 1 convolution, or does not accept such images.
    """
    if isinstance(network, SceneNetwork):
        if (spatial_dims, in_channels) != (2, network.in_channels):
            raise _not_accepted(network, spatial_dims, in_channels, f"it takes 2D images of {network.in_channels}")
        return network.classifier_name
    shadow = copy.deepcopy(network).eval()
    outputs: list[tuple[str, Any]] = []
    for name, layer in shadow.named_modules():
        if isinstance(layer, _CONVOLUTIONS) and set(layer.kernel_size) == {1}:
            layer.register_forward_hook(lambda _layer, _inputs, output, name=name: outputs.append((name, output)))
    logits = _run_on_small_image(shadow, spatial_dims, in_channels)
    if not outputs or outputs[-1][1] is not logits:
        raise NetworkError(
            f"{type(network).__name__} does not end in a 1 x 1 convolution; name the layer whose input are the features"
        )
    return outputs[-1][0]


def _run_on_small_image(network: nn.Module, spatial_dims: int, in_channels: int) -> Any:
    weight = next(network.parameters())
    for size in _PROBE_SIZES:
        image = torch.zeros(1, in_channels, *(size,) * spatial_dims, device=weight.device, dtype=weight.dtype)
        try:
            with torch.no_grad():
                return network(image)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = error
    raise _not_accepted(network, spatial_dims, in_channels, reason) from reason


def _not_accepted(network: nn.Module, spatial_dims: int, in_channels: int, reason: Exception | str) -> NetworkError:
    return NetworkError(
        f"{type(network).__name__} does not accept {spatial_dims}D images of {in_channels} channels: "
        f"{reason if isinstance(reason, str) else one_line(reason)}"
    )


def forward_with_features(network: nn.Module, layer_name: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """Run the network once and also return what one of its layers reads.

    Args:
        network: in the mode and on the device it should run in; gradients flow as in an ordinary forward pass.
        layer_name: as in ``network.named_modules()``, for example ``penultimate_layer(...)``.
        images: float, shape ``(B, channels, *spatial)``.

    Returns:
        logits ``(B, classes, *spatial)`` and features ``(B, D, *spatial)``. Features of a layer at a lower resolution
        are interpolated linearly to that of the images. Of a layer that runs more than once, the last run counts.

    Raises as ``forward_with_map``.
    """
    logits, cells, grid = forward_with_map(network, layer_name, images)
    return logits, cropped(grid.enlarge(cells), images.shape[2:])


def forward_with_map(network: nn.Module, layer_name: str, images: Tensor) -> tuple[Tensor, Tensor, Grid]:
    """As ``forward_with_features``, with the features at the resolution that the layer reads them at.

    Returns:
        logits ``(B, classes, *spatial)``, features ``(B, D, *cells)``, and how their cells lie on the images.

    Raises:
        NetworkError: there is no such layer, it did not run, or it does not read a feature map; or the network is one
            of ``medtrans.networks.scenes``, and the layer is not its classifier.
    """
    layers = dict(network.named_modules())
    if layer_name not in layers:
        raise NetworkError(
            f"{type(network).__name__} has no layer '{layer_name}'; {did_you_mean(layer_name, filter(None, layers))}"
        )
    seen: list[Tensor] = []
    # The next layer may overwrite what an activation reads, as `inplace=True` says; what a convolution reads stays.
    keep_copy = not isinstance(layers[layer_name], _CONVOLUTIONS)

    def tap(_layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen[:] = [inputs[0].clone() if keep_copy else inputs[0]]

    handle = layers[layer_name].register_forward_pre_hook(tap)
    try:
        logits = network(images)
    finally:
        handle.remove()
    if not seen or seen[0].ndim != images.ndim:
        found = f"a tensor with {seen[0].ndim} axes" if seen else "nothing"
        raise NetworkError(
            f"layer '{layer_name}' read {found} in the forward pass, not a feature map; name another layer"
        )
    return logits, seen[0], _grid(network, layer_name, images.shape[2:], seen[0].shape[2:])


def _grid(network: nn.Module, layer_name: str, pixels: Sequence[int], cells: Sequence[int]) -> Grid:
    if not isinstance(network, SceneNetwork):
        return Grid(tuple(there / here for there, here in zip(pixels, cells, strict=True)))
    if layer_name != network.classifier_name:  # inside, the image is padded, and of U-Net shrinks again
        raise NetworkError(
            f"{type(network).__name__}: where the cells of '{layer_name}' lie on the image is not known; "
            f"name '{network.classifier_name}', or no layer"
        )
    return network.grid

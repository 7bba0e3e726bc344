"""Public ImageNet weights for the first layers of a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from medtrans.errors import NetworkError
from medtrans.networks.scenes.base import Encoder, SceneNetwork


def fill_encoder(network: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    """Put weights of others into the encoder of a network, in place; its other layers stay as they are.

    They fit networks of full width for colour images: torchvision's ``vgg16`` FCN8s, its ``vgg16_bn`` SegNet, and the
    ResNet-101 of hszhao/semseg PSPNet. FCN8s takes the fully connected layers of ``vgg16`` too, as convolutions, where
    they are there. What the file holds beyond that, such as a classifier of ImageNet's classes, is left.

    Args:
        network: one of ``medtrans.networks.scenes``.
        weights: names and tensors, as the file has them.
        file: for messages.

    Raises:
        NetworkError: the network has no such encoder; a tensor is missing, has another shape, or is not finite.
    """
    encoder = network.encoder if isinstance(network, SceneNetwork) else None
    kind = type(network).__name__
    if encoder is None:
        raise NetworkError(
            f"{file}: {kind} takes no encoder weights (FCN8s, SegNet and PSPNet do); leave network.encoder_weights out"
        )
    state = network.state_dict()
    for key, own in state.items():
        name = _public_name(encoder, key, weights)
        if name is not None:
            state[key] = _fitting(weights, name, own, f"{file}: '{name}'", f"{kind} takes {encoder.origin}")
    network.load_state_dict(state)


def _public_name(encoder: Encoder, key: str, weights: Mapping[str, Tensor]) -> str | None:
    """What the file calls a tensor of ours; None for those that are not taken from it."""
    for ours, theirs in encoder.prefixes.items():
        name = theirs + key.removeprefix(ours)
        if key.startswith(ours) and (name in weights or not key.endswith("num_batches_tracked")):
            return name
    for ours, theirs in encoder.optional.items():
        name = theirs + key.removeprefix(ours)
        if key.startswith(ours) and name in weights:
            return name
    return None


def _fitting(weights: Mapping[str, Tensor], name: str, own: Tensor, where: str, advice: str) -> Tensor:
    if name not in weights:
        raise NetworkError(f"{where} is missing; {advice}")
    found = weights[name]
    flattened = own.ndim == 4 and found.shape == own.flatten(1).shape  # a fully connected layer as a convolution
    if found.shape != own.shape and not flattened:
        raise NetworkError(
            f"{where} has shape {tuple(found.shape)}, not {tuple(own.shape)}; {advice}, "
            "and ImageNet weights fit width 64 and colour images only"
        )
    if not torch.isfinite(found).all():
        raise NetworkError(f"{where} holds NaN or infinite values; copy the file again")
    return found.reshape(own.shape)

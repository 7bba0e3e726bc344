"""Architectures by name, and the feature map that their last layer reads."""

from __future__ import annotations

from medtrans.networks.chance import draws_in_training, seeded
from medtrans.networks.definitions import (
    READABLE,
    TRAINABLE,
    build_network,
    network_arguments,
    network_definition,
    network_skeleton,
    padded_size,
    size_divisor,
)
from medtrans.networks.device import resolve_device
from medtrans.networks.penultimate import forward_with_features, penultimate_layer

__all__ = [
    "READABLE",
    "TRAINABLE",
    "build_network",
    "draws_in_training",
    "forward_with_features",
    "network_arguments",
    "network_definition",
    "network_skeleton",
    "padded_size",
    "penultimate_layer",
    "resolve_device",
    "seeded",
    "size_divisor",
]

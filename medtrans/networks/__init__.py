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
from medtrans.networks.encoder_weights import fill_encoder
from medtrans.networks.grid import Enlarge, Grid
from medtrans.networks.penultimate import forward_with_features, forward_with_map, penultimate_layer
from medtrans.networks.scenes import SceneNetwork, auxiliary_layers, training_outputs

__all__ = [
    "READABLE",
    "TRAINABLE",
    "Enlarge",
    "Grid",
    "SceneNetwork",
    "auxiliary_layers",
    "build_network",
    "draws_in_training",
    "fill_encoder",
    "forward_with_features",
    "forward_with_map",
    "network_arguments",
    "network_definition",
    "network_skeleton",
    "padded_size",
    "penultimate_layer",
    "resolve_device",
    "seeded",
    "size_divisor",
    "training_outputs",
]

"""Several sources for one target: their frozen features under one new head, or their predictions averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning.transfer.head import new_head, retrain_head
from medtrans.networks import forward_with_features, penultimate_layer, resolve_device, size_divisor
from medtrans.progress import Progress
from medtrans.sources import Source
from medtrans.sources.fit import check_fit
from medtrans.tasks import Task
from medtrans.threads import limited_threads

HEAD = "head"


class FusedNetwork(nn.Module):
    """Networks side by side; a 1 x 1 convolution maps the concatenation of their penultimate features to classes.

    Attributes:
        networks: as they come; each takes the images.
        layers: of each network, the name of the layer whose input are its features.
        head: maps the features of all networks, in order, to logits.
        divisor: spatial sizes of the images are multiples of it, and at least twice it.
    """

    def __init__(self, networks: Sequence[nn.Module], layers: Sequence[str], head: nn.Module, divisor: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.layers = tuple(layers)
        self.head = head
        self.divisor = divisor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From images ``(B, channels, *spatial)`` to logits ``(B, K, *spatial)``."""
        named = zip(self.networks, self.layers, strict=True)
        features = [forward_with_features(network, layer, images)[1] for network, layer in named]
        logits: torch.Tensor = self.head(torch.cat(features, dim=1))
        return logits


@limited_threads()
def fuse_heads(
    sources: Sequence[Source],
    task: Task,
    *,
    training: TrainingSettings,
    device: str = "auto",
    progress: Progress | None = None,
) -> FusedNetwork:
    """Train one new head on the features of several frozen sources; returns the whole in evaluation mode.

    The head is a 1 x 1 convolution from the concatenated penultimate features, D_1 + ... + D_k channels in the order of
    the sources, to the task's classes, initialised from ``training.seed``. The sources may differ in architecture,
    classes and activation: their own heads are not used. It is trained as ``fine_tune`` trains one in mode ``head``.

    Raises:
        TrainingError: no source, the task does not fit one of them, no case shows the structure, or the loss is not
            finite.
        BundleError: the weights of a source cannot be loaded.
    """
    if not sources:
        raise TrainingError(f"no source to fuse for {task.name}; name at least one")
    for source in sources:
        check_fit(source, task)
    place = resolve_device(device)
    fused = _with_new_head(sources, task, training.seed).to(place)
    text = f"{' + '.join(source.name for source in sources)} to {task.name}"
    retrain_head(fused, HEAD, task, training, divisor=fused.divisor, device=place, text=text, progress=progress)
    return fused.requires_grad_(True).eval()


def average_predictions(probabilities: Sequence[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """The class with the largest mean probability over networks at every pixel of a case.

    Args:
        probabilities: of each network, shape ``(K, *spatial)``.

    Returns:
        uint8, shape ``(*spatial)``; of classes with the same mean the first.
    """
    mean = np.mean([of_one.astype(np.float32) for of_one in probabilities], axis=0)
    labels: NDArray[np.uint8] = mean.argmax(axis=0).astype(np.uint8)
    return labels


def _with_new_head(sources: Sequence[Source], task: Task, seed: int) -> FusedNetwork:
    networks = [source.load_network("cpu") for source in sources]
    layers = [penultimate_layer(network, task.ndim, task.n_channels) for network in networks]
    heads = [network.get_submodule(layer) for network, layer in zip(networks, layers, strict=True)]
    head = new_head(type(heads[0]), sum(head.in_channels for head in heads), task.n_classes, seed)  # type: ignore[misc]
    divisor = math.lcm(*(size_divisor(source.network_definition) for source in sources))
    return FusedNetwork(networks, layers, head, divisor)

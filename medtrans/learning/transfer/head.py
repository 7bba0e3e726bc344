"""Train the last layer alone, on features that are computed once where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.features.windows import padded_for, padded_to
from medtrans.learning.evaluate import inference
from medtrans.learning.examples import Examples, FeatureMap, FeatureMaps
from medtrans.learning.loop import descend
from medtrans.networks import (
    Enlarge,
    Grid,
    SceneNetwork,
    forward_with_map,
    seeded,
)
from medtrans.progress import Progress
from medtrans.tasks import IGNORE_LABEL, Case, Task


def retrain_head(
    network: nn.Module,
    head_name: str,
    task: Task,
    training: TrainingSettings,
    *,
    divisor: int,
    device: torch.device,
    text: str,
    progress: Progress | None = None,
) -> None:
    """Train one layer of a network, in place, on what the others, frozen and in evaluation mode, give it to read.

    2D images without augmentation go through the frozen layers once, unless patches are to be cut where feature maps
    are coarser than the image. Raises as ``descend``.
    """
    trained = network.eval().requires_grad_(False)
    head = network.get_submodule(head_name).requires_grad_(True)
    grid = network.grid if isinstance(network, SceneNetwork) else Grid((1,) * task.ndim)
    examples: Examples = task
    if task.ndim == 2 and not training.augment and (grid.is_fine or training.patch_size is None):
        examples = FeatureMaps(feature_cases(network, head_name, task.cases, divisor, device), task.has_background)
        trained, divisor = nn.Sequential(head, Enlarge(grid)), 1
    descend(trained, examples, training, divisor=divisor, device=device, text=text, progress=progress)


def feature_cases(
    network: nn.Module, layer_name: str, cases: Sequence[Case], divisor: int, device: torch.device
) -> tuple[FeatureMap, ...]:
    """What a layer reads of each image: the same numbers as `extract_features` gives at its pixels.

    Where a pixel of the image has no cell of its own, the map stays as it is, and the label map is continued by
    ``IGNORE_LABEL`` up to the pixels that the map covers.
    """
    found = []
    with inference(network):
        for case in cases:
            image = padded_for(torch.from_numpy(case.image)[None], divisor).to(device)
            _, maps, grid = forward_with_map(network, layer_name, image)
            features, label = maps[0].float().cpu().numpy(), case.label
            if grid.is_fine:
                features = np.ascontiguousarray(features[(slice(None), *map(slice, label.shape))])
            else:
                label = padded_to(label, grid.covered(features.shape[1:]), IGNORE_LABEL)
            found.append(FeatureMap(features, label, case.kind))
    return tuple(found)


def replace_head(network: nn.Module, name: str, n_classes: int, seed: int) -> None:
    """Put a new convolution of the same size in the place of one that scores the classes."""
    old: Any = network.get_submodule(name)
    network.set_submodule(name, new_head(type(old), old.in_channels, n_classes, seed, size=old.kernel_size[0]))


def new_head(kind: type[nn.Module], in_channels: int, n_classes: int, seed: int, *, size: int = 1) -> nn.Module:
    """A convolution (of a class such as Conv2d) of odd size with random weights, the same for the same seed."""
    with seeded(seed):
        return kind(in_channels, n_classes, kernel_size=size, padding=size // 2)

"""From a source to the target: train all of its weights on the target's cases, or its last layer only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError, did_you_mean
from medtrans.learning.evaluate import inference, padded_for
from medtrans.learning.loop import Progress, descend
from medtrans.networks import forward_with_features, penultimate_layer, resolve_device, seeded, size_divisor
from medtrans.sources import Source
from medtrans.tasks import Case, Task

Mode = Literal["full", "head"]


def fine_tune(
    source: Source,
    task: Task,
    *,
    training: TrainingSettings,
    mode: Mode = "full",
    device: str = "auto",
    progress: Progress | None = None,
) -> nn.Module:
    """Train a source's network further on a task; returns it in evaluation mode, with outputs for the task's classes.

    ``full`` trains every weight, ``head`` only the last 1 x 1 convolution, which maps the penultimate features to
    classes. The last layer is kept where the source has as many classes as the task and gives them by softmax;
    otherwise a new one, initialised from ``training.seed``, takes its place.

    The head of 2D images without augmentation is trained on features that are computed once, so that a step costs
    a few milliseconds; patches are then cut from the features of the whole image. The same seed gives the same
    weights, as in ``descend``.

    Raises:
        TrainingError: the task does not fit the source, no case shows the structure, or the loss is not finite.
        BundleError: the source's weights cannot be loaded.
    """
    if mode not in get_args(Mode):
        raise TrainingError(f"unknown mode '{mode}'; {did_you_mean(mode, get_args(Mode))}")
    check_fit(source, task)
    place = resolve_device(device)
    network = source.load_network("cpu")
    head_name = penultimate_layer(network, source.spatial_dims, source.in_channels)
    if source.out_channels != task.n_classes or source.activation != "softmax":
        _replace_head(network, head_name, task.n_classes, training.seed)
    divisor = size_divisor(source.network_definition)
    text = f"{source.name} to {task.name}"
    network.to(place)
    if mode == "head":
        retrain_head(network, head_name, task, training, divisor=divisor, device=place, text=text, progress=progress)
    else:
        descend(network.train(), task, training, divisor=divisor, device=place, text=text, progress=progress)
    return network.requires_grad_(True).eval()


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

    2D images without augmentation go through the frozen layers once. Raises as ``descend``.
    """
    trained = network.eval().requires_grad_(False)
    head = network.get_submodule(head_name).requires_grad_(True)
    if task.ndim == 2 and not training.augment:
        cases = feature_cases(network, head_name, task.cases, divisor, device)
        trained, task, divisor = head, replace(task, cases=cases), 1
    descend(trained, task, training, divisor=divisor, device=device, text=text, progress=progress)


def feature_cases(
    network: nn.Module, layer_name: str, cases: tuple[Case, ...], divisor: int, device: torch.device
) -> tuple[Case, ...]:
    """The cases with the feature map that a layer reads, shape ``(D, *spatial)``, in place of each image."""
    found = []
    with inference(network):
        for case in cases:
            sizes = case.label.shape
            image = padded_for(torch.from_numpy(case.image)[None], divisor).to(device)
            features = forward_with_features(network, layer_name, image)[1][0].float().cpu().numpy()
            inside = (slice(None), *(slice(size) for size in sizes))
            found.append(replace(case, image=np.ascontiguousarray(features[inside])))
    return tuple(found)


def _replace_head(network: nn.Module, name: str, n_classes: int, seed: int) -> None:
    """Put a new 1 x 1 convolution in the place of the last one."""
    old: Any = network.get_submodule(name)
    network.set_submodule(name, new_head(type(old), old.in_channels, n_classes, seed))


def new_head(kind: type[nn.Module], in_channels: int, n_classes: int, seed: int) -> nn.Module:
    """A 1 x 1 convolution (of a class such as Conv2d) with random weights, the same for the same seed."""
    with seeded(seed):
        return kind(in_channels, n_classes, kernel_size=1)


def check_fit(source: Source, task: Task) -> None:
    """Raise TrainingError where a source's network does not take the task's images."""
    theirs, ours = (source.spatial_dims, source.in_channels), (task.ndim, task.n_channels)
    if theirs != ours:
        raise TrainingError(
            f"source '{source.name}' takes {theirs[0]}D images of {theirs[1]} channels, but task '{task.name}' has "
            f"{ours[0]}D images of {ours[1]}; choose another source, or load the task accordingly"
        )

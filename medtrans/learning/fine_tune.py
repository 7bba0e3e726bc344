"""From a source to the target: train all of its weights on the target's cases, or its last layer only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError, did_you_mean
from medtrans.learning.evaluate import inference
from medtrans.features.windows import padded_for
from medtrans.learning.loop import Progress, descend
from medtrans.networks import (
    Enlarge,
    Grid,
    SceneNetwork,
    auxiliary_layers,
    forward_with_map,
    penultimate_layer,
    resolve_device,
    seeded,
    size_divisor,
)
from medtrans.sources import Source
from medtrans.tasks import IGNORE_LABEL, Case, Task

Mode = Literal["full", "head"]


def fine_tune(
    source: Source,
    task: Task,
    *,
    training: TrainingSettings,
    mode: Mode = "full",
    head_first: TrainingSettings | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> nn.Module:
    """Train a source's network further on a task; returns it in evaluation mode, with outputs for the task's classes.

    ``full`` trains every weight, ``head`` only the last convolution, which maps the penultimate features to classes.
    The last layer is kept where the source has as many classes as the task and gives them by softmax; otherwise a new
    one of the same size, initialised from ``training.seed``, takes its place, and that of an auxiliary head likewise.

    With ``head_first``, mode ``full`` starts from a head that was retrained with these settings: gradients of a head
    that does not fit the task would change features that do (Kumar et al., "Fine-tuning can distort pretrained features
    and underperform out-of-distribution", ICLR 2022).

    The head of 2D images without augmentation is trained on features that are computed once, so that a step costs
    a few milliseconds; patches are then cut from the features of the whole image. The same seed gives the same
    weights, as in ``descend``.

    Raises:
        TrainingError: the task does not fit the source, no case shows the structure, or the loss is not finite.
        BundleError: the source's weights cannot be loaded.
    """
    if mode not in get_args(Mode):
        raise TrainingError(f"unknown mode '{mode}'; {did_you_mean(mode, get_args(Mode))}")
    if mode == "head" and head_first is not None:
        raise TrainingError("head_first goes before mode 'full'; in mode 'head' give its settings as training")
    check_fit(source, task)
    place = resolve_device(device)
    network = source.load_network("cpu")
    head_name = penultimate_layer(network, source.spatial_dims, source.in_channels)
    if source.out_channels != task.n_classes or source.activation != "softmax":
        for name in (head_name, *auxiliary_layers(network)):
            _replace_head(network, name, task.n_classes, training.seed)
    divisor = size_divisor(source.network_definition)
    network.to(place)
    how: Any = {"divisor": divisor, "device": place, "text": f"{source.name} to {task.name}", "progress": progress}
    if head_settings := training if mode == "head" else head_first:
        retrain_head(network, head_name, task, head_settings, **how)
        network.requires_grad_(True)
    if mode == "full":
        descend(network.train(), task, training, **how)
    return network.eval()


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
    if task.ndim == 2 and not training.augment and (grid.is_fine or training.patch_size is None):
        cases = feature_cases(network, head_name, task.cases, divisor, device)
        trained, task, divisor = nn.Sequential(head, Enlarge(grid)), replace(task, cases=cases), 1
    descend(trained, task, training, divisor=divisor, device=device, text=text, progress=progress)


@dataclass(frozen=True, eq=False)
class CoarseCase(Case):
    """A case whose image is a feature map, coarser than the label map, which has the size that the map covers."""

    def __post_init__(self) -> None:
        """Two sizes are right here."""


def feature_cases(
    network: nn.Module, layer_name: str, cases: tuple[Case, ...], divisor: int, device: torch.device
) -> tuple[Case, ...]:
    """The cases with the feature map that a layer reads, shape ``(D, *cells)``, in place of each image.

    Where a pixel of the image has no cell of its own, the map stays as it is, and the label map is continued by
    ``IGNORE_LABEL`` up to the pixels that the map covers.
    """
    found = []
    with inference(network):
        for case in cases:
            image = padded_for(torch.from_numpy(case.image)[None], divisor).to(device)
            _, maps, grid = forward_with_map(network, layer_name, image)
            features = maps[0].float().cpu().numpy()
            if grid.is_fine:
                inside = (slice(None), *map(slice, case.label.shape))
                found.append(replace(case, image=np.ascontiguousarray(features[inside])))
            else:
                found.append(_coarse_case(case, features, grid.covered(features.shape[1:])))
    return tuple(found)


def _coarse_case(case: Case, features: NDArray[np.float32], covered: Sequence[int]) -> CoarseCase:
    missing = [(0, there - here) for there, here in zip(covered, case.label.shape, strict=True)]
    label = np.pad(case.label, missing, constant_values=IGNORE_LABEL)
    return CoarseCase(case.id, features, label, case.spacing_mm, case.subject, case.height)


def _replace_head(network: nn.Module, name: str, n_classes: int, seed: int) -> None:
    """Put a new convolution of the same size in the place of one that scores the classes."""
    old: Any = network.get_submodule(name)
    network.set_submodule(name, new_head(type(old), old.in_channels, n_classes, seed, size=old.kernel_size[0]))


def new_head(kind: type[nn.Module], in_channels: int, n_classes: int, seed: int, *, size: int = 1) -> nn.Module:
    """A convolution (of a class such as Conv2d) of odd size with random weights, the same for the same seed."""
    with seeded(seed):
        return kind(in_channels, n_classes, kernel_size=size, padding=size // 2)


def check_fit(source: Source, task: Task) -> None:
    """Raise TrainingError where a source's network does not take the task's images."""
    theirs, ours = (source.spatial_dims, source.in_channels), (task.ndim, task.n_channels)
    if theirs != ours:
        raise TrainingError(
            f"source '{source.name}' takes {theirs[0]}D images of {theirs[1]} channels, but task '{task.name}' has "
            f"{ours[0]}D images of {ours[1]}; choose another source, or load the task accordingly"
        )

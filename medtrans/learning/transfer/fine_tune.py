"""From a source to the target: train all of its weights on the target's cases, or its last layer only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from torch import Tensor, nn

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError, did_you_mean, one_line
from medtrans.learning.loop import descend
from medtrans.learning.transfer.head import replace_head, retrain_head
from medtrans.networks import (
    auxiliary_layers,
    build_network,
    penultimate_layer,
    resolve_device,
    size_divisor,
)
from medtrans.progress import Progress
from medtrans.sources import Source
from medtrans.sources.fit import check_fit
from medtrans.tasks import Task
from medtrans.threads import limited_threads

Mode = Literal["full", "head"]

Head = Mapping[str, Tensor]
"""State dictionary of a last layer."""


@limited_threads()
def fine_tune(
    source: Source,
    task: Task,
    *,
    training: TrainingSettings,
    mode: Mode = "full",
    head_first: TrainingSettings | Head | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> nn.Module:
    """Train a source's network further on a task; returns it in evaluation mode, with outputs for the task's classes.

    ``full`` trains every weight, ``head`` only the last convolution, which maps the penultimate features to classes.
    The last layer is kept where the source has as many classes as the task and gives them by softmax; otherwise a new
    one of the same size, initialised from ``training.seed``, takes its place, and that of an auxiliary head likewise.

    With ``head_first``, mode ``full`` starts from a head that was retrained with these settings: gradients of a head
    that does not fit the task would change features that do (Kumar et al., "Fine-tuning can distort pretrained features
    and underperform out-of-distribution", ICLR 2022). A head that `train_head` gave for these settings may be handed
    over in their place: bit for bit the same comes out, and it is not trained again.

    The head of 2D images without augmentation is trained on features that are computed once, so that a step costs
    a few milliseconds; patches are then cut from the features of the whole image. The same seed gives the same
    weights, as in ``descend``.

    Raises:
        TrainingError: the task does not fit the source, no case shows the structure, the loss is not finite, or the
            head that is handed over does not fit.
        BundleError: the source's weights cannot be loaded.
    """
    if mode not in get_args(Mode):
        raise TrainingError(f"unknown mode '{mode}'; {did_you_mean(mode, get_args(Mode))}")
    if mode == "head" and head_first is not None:
        raise TrainingError("head_first goes before mode 'full'; in mode 'head' give its settings as training")
    place = resolve_device(device)
    network, head_name = _fitted(source, task, training.seed)
    network.to(place)
    how: Any = {
        "divisor": size_divisor(source.network_definition),
        "device": place,
        "text": f"{source.name} to {task.name}",
        "progress": progress,
    }
    head_settings = training if mode == "head" else head_first
    if isinstance(head_settings, TrainingSettings):
        retrain_head(network, head_name, task, head_settings, **how)
        network.requires_grad_(True)
    elif head_settings is not None:
        _put_head(network, head_name, head_settings, source)
    if mode == "full":
        descend(network.train(), task, training, **how)
    return network.eval()


def train_head(source: Source, task: Task, *, training: TrainingSettings, device: str = "auto") -> Head:
    """The last layer's weights, on the CPU, after ``fine_tune`` in mode ``head``; raises as it does.

    They are all that this mode changes: the frozen network runs in evaluation mode.
    """
    network = fine_tune(source, task, training=training, mode="head", device=device)
    head = network.get_submodule(penultimate_layer(network, source.spatial_dims, source.in_channels))
    return {name: value.detach().cpu() for name, value in head.state_dict().items()}


@limited_threads()
def head_on_random_weights(
    task: Task, definition: Mapping[str, Any], training: TrainingSettings, *, device: str = "auto"
) -> nn.Module:
    """A network with random weights, of which the last layer alone is trained: what features that learnt nothing give.

    Weights and batches come from ``training.seed``. Raises as ``descend``, and NetworkError as ``build_network``.
    """
    network = build_network(definition, seed=training.seed)
    place = resolve_device(device)
    head_name = penultimate_layer(network, task.ndim, task.n_channels)
    retrain_head(
        network.to(place),
        head_name,
        task,
        training,
        divisor=size_divisor(definition),
        device=place,
        text=f"random weights to {task.name}",
    )
    return network.eval()


def with_head(source: Source, task: Task, head: Head, *, seed: int, device: str = "auto") -> nn.Module:
    """The network that ``fine_tune`` gave in mode ``head`` with this seed, when ``train_head`` took the head from it.

    Raises:
        TrainingError: the task or the head does not fit the source.
        BundleError: the source's weights cannot be loaded.
    """
    network, head_name = _fitted(source, task, seed)
    _put_head(network, head_name, head, source)
    return network.to(resolve_device(device)).eval()


def _fitted(source: Source, task: Task, seed: int) -> tuple[nn.Module, str]:
    """The source's network on the CPU, with outputs for the task's classes, and the name of its last layer."""
    check_fit(source, task)
    network = source.load_network("cpu")
    head_name = penultimate_layer(network, source.spatial_dims, source.in_channels)
    if source.out_channels != task.n_classes or source.activation != "softmax":
        for name in (head_name, *auxiliary_layers(network)):
            replace_head(network, name, task.n_classes, seed)
    return network, head_name


def _put_head(network: nn.Module, head_name: str, head: Head, source: Source) -> None:
    try:
        network.get_submodule(head_name).load_state_dict(head)
    except RuntimeError as error:
        reason = one_line(error)
        raise TrainingError(f"the head is none of {source.name} for this task ({reason}); train it again") from error

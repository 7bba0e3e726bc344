"""Features that a metric scores, features that a head is trained on, and outputs that are judged come from one network
run: same padding, same windows, on sizes that no divisor divides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from medtrans.config import TrainingSettings
from medtrans.features import extract_features
from medtrans.learning.evaluate import predict_outputs
from medtrans.learning.transfer.head import retrain_head
from medtrans.networks import (
    READABLE,
    Grid,
    SceneNetwork,
    build_network,
    network_arguments,
    network_definition,
    penultimate_layer,
    size_divisor,
)
from medtrans.tasks import Case, Task, TaskName

TRAINED_BY_OTHERS: dict[str, dict[str, Any]] = {
    "AttentionUnet": {"channels": [4, 8, 8], "strides": [2, 2]},
    "SegResNetDS": {"init_filters": 8, "blocks_down": [1, 1, 1]},
}
SIZES = {2: [(66, 76), (37, 51), (81, 33)], 3: [(19, 35, 21)]}


def define(name: str, spatial_dims: int) -> dict[str, Any]:
    sizes = {"spatial_dims": spatial_dims, "in_channels": 1, "out_channels": 2}
    if name in TRAINED_BY_OTHERS:
        return {"_target_": f"monai.networks.nets.{name}", **sizes, **TRAINED_BY_OTHERS[name]}
    return network_definition(name, width=4, **sizes)


def is_of_streets(name: str) -> bool:
    return name in ("FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA", "FRRNB")


def a_task(size: tuple[int, ...]) -> Task:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, size).astype(np.uint8)
    image = rng.standard_normal((1, *size)).astype(np.float32) + label
    return Task(TaskName("toy", "T1", "noise"), (Case("a", image, label, (1.0,) * len(size)),), ("background", "noise"))


@dataclass
class EveryPixel:
    case_index: NDArray[np.int64]
    position: NDArray[np.int64]


def every_pixel(size: tuple[int, ...]) -> EveryPixel:
    position = np.argwhere(np.ones(size, bool))
    return EveryPixel(np.zeros(len(position), np.int64), position)


def read_in_training(network: nn.Module, head_name: str, task: Task, divisor: int) -> NDArray[np.float32]:
    """What the head reads in the first step of its training, at the pixels of the image, (D, *size)."""
    seen: list[torch.Tensor] = []
    handle = network.get_submodule(head_name).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    training = TrainingSettings(steps=1, steps_per_epoch=1, batch_size=1, augment=False)
    retrain_head(network, head_name, task, training, divisor=divisor, device=torch.device("cpu"), text="toy")
    handle.remove()
    grid = network.grid if isinstance(network, SceneNetwork) else Grid((1,) * task.ndim)
    inside = (0, slice(None), *map(slice, task.cases[0].label.shape))
    return grid.enlarge(seen[-1])[inside].detach().numpy()


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in READABLE for size in SIZES[2]]
    + [(name, size) for name in READABLE if not is_of_streets(name) for size in SIZES[3]],
)
def test_scored_trained_and_judged_are_the_same_numbers(name: str, size: tuple[int, ...]) -> None:
    definition = define(name, len(size))
    divisor, task = size_divisor(definition), a_task(size)
    network = build_network(definition, seed=1).eval()
    head_name = penultimate_layer(network, task.ndim, network_arguments(definition)["in_channels"])
    scored = extract_features(network, task.cases, every_pixel(size), divisor=divisor)
    (outputs,) = predict_outputs(network, task.cases, divisor=divisor)
    judged = torch.softmax(outputs, dim=0).reshape(2, -1).T.numpy()
    np.testing.assert_allclose(scored.probabilities, judged, atol=1e-5)

    trained = read_in_training(network, head_name, task, divisor).reshape(scored.features.shape[1], -1).T
    spread = scored.features.std()
    assert np.sqrt(np.mean((scored.features - trained) ** 2)) <= 1e-5 * spread
    np.testing.assert_allclose(scored.features, trained, atol=1e-5 * max(1.0, float(np.abs(trained).max())))

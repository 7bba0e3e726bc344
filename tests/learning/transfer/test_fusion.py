"""Several sources under one head, and the mean of several predictions, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.config import PreprocessingSettings, TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning import FusedNetwork, average_predictions, dice_score, fuse_heads
from medtrans.learning.loop import descend
from medtrans.learning.transfer.head import new_head
from medtrans.networks import build_network, forward_with_features, network_definition, penultimate_layer
from medtrans.sources import Source, write_bundle
from medtrans.tasks import TaskName
from tests.learning.transfer.test_fine_tune import a_target, same_weights

SETTINGS = TrainingSettings(steps=4, batch_size=2, augment=False)


def a_source(folder: Path, name: str = "BasicUNet", *, n_classes: int = 2, width: int = 4, seed: int = 1) -> Source:
    definition = network_definition(name, spatial_dims=2, in_channels=1, out_channels=n_classes, width=width)
    return write_bundle(
        folder / f"{name}-{seed}",
        network=build_network(definition, seed=seed),
        definition=definition,
        task=TaskName("toy", "T1", name),
        class_names=[f"class {k}" for k in range(n_classes)],
        preprocessing=PreprocessingSettings(),
        signature=None,
        training_record={},
    )


def features_of(source: Source, images: torch.Tensor) -> torch.Tensor:
    network = source.load_network()
    with torch.no_grad():
        return forward_with_features(network, penultimate_layer(network, 2, 1), images)[1]


def test_the_head_is_a_linear_map_of_all_features_in_the_order_of_the_sources(tmp_path: Path) -> None:
    sources = [a_source(tmp_path, width=4), a_source(tmp_path, "SegResNet", n_classes=3, width=8, seed=2)]
    fused = fuse_heads(sources, a_target(n_classes=4), training=SETTINGS, device="cpu")
    images = torch.from_numpy(a_target().cases[0].image)[None]
    first, second = (features_of(source, images) for source in sources)
    weight, bias = fused.head.weight[:, :, 0, 0], fused.head.bias
    by_hand = torch.einsum("kd,bdxy->bkxy", weight[:, :4], first) + torch.einsum("kd,bdxy->bkxy", weight[:, 4:], second)
    with torch.no_grad():
        logits = fused(images)
    assert weight.shape == (4, 4 + 8)
    torch.testing.assert_close(logits, (by_hand + bias[:, None, None]).detach(), rtol=1e-4, atol=1e-5)
    assert not fused.training


def test_only_the_head_is_trained_and_the_same_seed_gives_the_same_head(tmp_path: Path) -> None:
    sources = [a_source(tmp_path, seed=seed) for seed in (1, 2)]
    once, again, other = (
        fuse_heads(sources, a_target(), training=SETTINGS.model_copy(update={"seed": seed}), device="cpu")
        for seed in (0, 0, 1)
    )
    assert same_weights(once, again)
    assert not same_weights(once.head, other.head)
    for network, source in zip(once.networks, sources, strict=True):
        assert same_weights(network, source.load_network())


def test_features_computed_once_give_the_head_that_the_frozen_networks_give(tmp_path: Path) -> None:
    sources, target = [a_source(tmp_path, seed=seed) for seed in (1, 2)], a_target()
    once = fuse_heads(sources, target, training=SETTINGS, device="cpu")
    networks = [source.load_network().requires_grad_(False) for source in sources]
    each_step = FusedNetwork(networks, ["final_conv"] * 2, new_head(nn.Conv2d, 8, 2, seed=0), divisor=16)
    descend(each_step, target, SETTINGS, divisor=16, device=torch.device("cpu"), text="head")
    assert not same_weights(once.head, new_head(nn.Conv2d, 8, 2, seed=0))
    torch.testing.assert_close(once.head.state_dict(), each_step.head.state_dict(), rtol=1e-4, atol=1e-6)


def test_with_augmentation_the_frozen_networks_stay_as_they_are(tmp_path: Path) -> None:
    sources = [a_source(tmp_path, seed=seed) for seed in (1, 2)]
    training = SETTINGS.model_copy(update={"augment": True})
    fused = fuse_heads(sources, a_target(), training=training, device="cpu")
    assert not same_weights(fused.head, new_head(nn.Conv2d, 8, 2, seed=0))
    for network, source in zip(fused.networks, sources, strict=True):
        assert same_weights(network, source.load_network())


def test_the_fused_head_learns(tmp_path: Path) -> None:
    target, sources = a_target(), [a_source(tmp_path, seed=seed) for seed in (1, 2)]
    training = SETTINGS.model_copy(update={"steps": 80, "learning_rate": 0.1})
    before, after = (
        dice_score(fused, target.cases, 2, divisor=fused.divisor)
        for fused in (fuse_heads(sources, target, training=it, device="cpu") for it in (SETTINGS, training))
    )
    assert after > before + 0.1


def test_sizes_fit_every_source(tmp_path: Path) -> None:
    sources = [a_source(tmp_path, "SegResNet", width=8), a_source(tmp_path)]  # multiples of 8, and of 16
    assert fuse_heads(sources[:1], a_target(), training=SETTINGS, device="cpu").divisor == 8
    assert fuse_heads(sources, a_target(shape=(20, 37)), training=SETTINGS, device="cpu").divisor == 16


def test_what_does_not_fit_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="takes 2D images of 1 channels, but task 'toy/T2/target' has 2D images of"):
        fuse_heads([a_source(tmp_path)], a_target(n_channels=2), training=SETTINGS)
    with pytest.raises(TrainingError, match="no source to fuse for toy/T2/target; name at least one"):
        fuse_heads([], a_target(), training=SETTINGS)


def test_the_average_is_over_networks_then_the_largest_class_wins() -> None:
    one = np.array([[0.6, 0.9, 0.5], [0.4, 0.1, 0.5]], dtype=np.float16)
    two = np.array([[0.1, 0.2, 0.5], [0.9, 0.8, 0.5]], dtype=np.float16)
    # means of class 0: 0.35, 0.55, 0.5; a tie goes to the first class
    np.testing.assert_array_equal(average_predictions([one, two]), [1, 0, 0])
    np.testing.assert_array_equal(average_predictions([one]), one.argmax(axis=0))
    np.testing.assert_array_equal(average_predictions([one, one, one]), one.argmax(axis=0))
    assert average_predictions([one]).dtype == np.uint8

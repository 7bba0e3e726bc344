"""Networks for street scenes from training to fusion: heads on coarse maps, normalisations, encoder weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.config import (
    NetworkSettings,
    PreprocessingSettings,
    SamplerSettings,
    SignatureSettings,
    TrainingSettings,
)
from medtrans.errors import NetworkError, TrainingError
from medtrans.learning import dice_score, fine_tune, fuse_heads, train_source
from medtrans.learning.loop import descend
from medtrans.learning.transfer.head import feature_cases
from medtrans.networks import build_network, forward_with_features, network_definition, penultimate_layer
from medtrans.sources import Source, read_bundle, write_bundle
from medtrans.tasks import IGNORE_LABEL, Case, Task, TaskName
from tests.learning.transfer.test_fine_tune import a_target, changed, same_weights

SCENES = ("FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA")  # FRRNB is FRRNA with one level more
COARSE = ("FCN8s", "PSPNet")
SETTINGS = TrainingSettings(steps=2, batch_size=2, augment=False)
HEAD = {"classifier.weight", "classifier.bias"}
CPU = torch.device("cpu")


def a_source(folder: Path, name: str, *, n_classes: int = 2, width: int = 2) -> Source:
    """A network whose normalisations have seen an image, in a bundle."""
    definition = network_definition(name, spatial_dims=2, in_channels=1, out_channels=n_classes, width=width)
    network = build_network(definition, seed=1).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.from_numpy(a_target(shape=(64, 72)).cases[0].image)[None])
    return write_bundle(
        folder / name,
        network=network,
        definition=definition,
        task=TaskName("toy", "T1", name),
        class_names=[f"class {k}" for k in range(n_classes)],
        preprocessing=PreprocessingSettings(),
        signature=None,
        training_record={},
    )


@pytest.mark.parametrize("name", SCENES)
def test_a_bundle_gives_the_same_outputs_again(tmp_path: Path, name: str) -> None:
    definition = network_definition(name, spatial_dims=2, in_channels=1, out_channels=2, width=2)
    network = build_network(definition).train()
    images = torch.randn(2, 1, 64, 65, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network(images)  # running statistics
        write_bundle(
            tmp_path / name,
            network=network,
            definition=definition,
            task=TaskName("toy", "T1", name),
            class_names=["background", name],
            preprocessing=PreprocessingSettings(),
            signature=None,
            training_record={},
        )
        again = read_bundle(tmp_path / name).load_network()
        assert torch.equal(again(images), network.eval()(images))


@pytest.mark.parametrize("name", SCENES)
def test_head_trains_the_classifier_alone_and_full_the_running_statistics_too(tmp_path: Path, name: str) -> None:
    source, target = a_source(tmp_path, name), a_target(shape=(64, 72))
    head = fine_tune(source, target, training=SETTINGS, mode="head", device="cpu")
    assert changed(source, head) == HEAD
    full = fine_tune(source, target, training=SETTINGS, mode="full", device="cpu")
    statistics = {key for key in full.state_dict() if "running" in key}
    assert statistics <= changed(source, full)
    assert len(changed(source, full)) > 0.7 * len(full.state_dict())


def with_every_step(source: Source, target: Task, training: TrainingSettings) -> nn.Module:
    """The head trained on the images: the frozen layers run in each step."""
    network = source.load_network().requires_grad_(False)
    network.get_submodule("classifier").requires_grad_(True)
    descend(network, target, training, divisor=1, device=CPU, text="head")
    return network


@pytest.mark.parametrize("name", ["SegNet", *COARSE])
def test_features_computed_once_give_the_head_that_the_whole_network_gives(tmp_path: Path, name: str) -> None:
    source, target = a_source(tmp_path, name), a_target(shape=(67, 77))
    once = fine_tune(source, target, training=SETTINGS, mode="head", device="cpu")
    each_step = with_every_step(source, target, SETTINGS)
    assert changed(source, each_step) == HEAD
    torch.testing.assert_close(once.state_dict(), each_step.state_dict(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "cells", "covered"), [("FCN8s", (9, 10), (72, 80)), ("PSPNet", (10, 11), (73, 81))])
def test_coarse_maps_stay_coarse(tmp_path: Path, name: str, cells: tuple[int, int], covered: tuple[int, int]) -> None:
    network, cases = a_source(tmp_path, name).load_network(), a_target(shape=(67, 77)).cases
    (first, *_) = feature_cases(network, "classifier", cases, 1, CPU)
    assert first.image.shape[1:] == cells
    assert first.label.shape == covered
    np.testing.assert_array_equal(first.label[:67, :77], cases[0].label)
    assert (first.label[67:] == IGNORE_LABEL).all()
    assert (first.label[:, 77:] == IGNORE_LABEL).all()


@pytest.mark.parametrize("changes", [{"augment": True}, {"patch_size": 64}])
def test_with_augmentation_or_patches_a_coarse_head_is_trained_on_the_images(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    source, target = a_source(tmp_path, "FCN8s"), a_target(shape=(80, 72))
    training = SETTINGS.model_copy(update=changes)
    trained = fine_tune(source, target, training=training, mode="head", device="cpu")
    assert changed(source, trained) == HEAD
    assert same_weights(trained, with_every_step(source, target, training))


@pytest.mark.parametrize(("name", "mode"), [("SegNet", "head"), ("PSPNet", "full")])
def test_another_number_of_classes_gets_a_last_layer_of_the_same_size(tmp_path: Path, name: str, mode: str) -> None:
    source, target = a_source(tmp_path, name), a_target(n_classes=3, shape=(64, 72))
    once, again = (fine_tune(source, target, training=SETTINGS, mode=mode, device="cpu") for _ in range(2))  # type: ignore[arg-type]
    assert same_weights(once, again)
    old = source.load_network().get_submodule("classifier").weight
    assert once.get_submodule("classifier").weight.shape == (3, *old.shape[1:])
    with torch.no_grad():
        assert once(torch.zeros(1, 1, 64, 65)).shape == (1, 3, 64, 65)


def test_the_head_of_a_coarse_network_learns(tmp_path: Path) -> None:
    label = np.zeros((64, 72), np.uint8)
    label[20:52, 30:] = 1
    image = label + 0.1 * np.random.default_rng(0).standard_normal(label.shape)
    case = Case("a", image[None].astype(np.float32), label, (1.0, 1.0))
    target = Task(TaskName("toy", "T2", "block"), (case,), ("background", "block"))
    source = a_source(tmp_path, "FCN8s", width=4)
    training = SETTINGS.model_copy(update={"steps": 60, "learning_rate": 0.1})
    network = fine_tune(source, target, training=training, mode="head", device="cpu")
    before, after = (dice_score(n, target.cases, 2, divisor=1) for n in (source.load_network(), network))
    assert before < 0.6
    assert after > 0.9


def test_networks_of_different_resolution_are_fused(tmp_path: Path) -> None:
    sources = [
        a_source(tmp_path, name, n_classes=k, width=4) for k, name in enumerate(("FCN8s", "UNet", "BasicUNet"), 2)
    ]
    target = a_target(n_classes=3, shape=(65, 75))
    fused = fuse_heads(sources, target, training=SETTINGS, device="cpu")
    images = torch.from_numpy(target.cases[0].image)[None]
    padded = torch.nn.functional.pad(images, (0, 5, 0, 15))  # to multiples of 16, for BasicUNet
    features = []
    with torch.no_grad():
        for source in sources:
            network = source.load_network()
            features.append(forward_with_features(network, penultimate_layer(network, 2, 1), padded)[1])
        expected = fused.head(torch.cat(features, dim=1))
        assert fused.head.in_channels == 76 * 4 + 4 + 4
        assert fused.divisor == 16
        torch.testing.assert_close(fused(padded), expected, rtol=1e-4, atol=1e-4)


# --- training, with weights of others ---


def train(pool: Path, name: str, *, weights: Path | None = None, n_channels: int = 1) -> Source:
    return train_source(
        a_target(shape=(64, 72), n_channels=n_channels),
        pool=pool,
        preprocessing=PreprocessingSettings(),
        network=NetworkSettings.model_validate({"name": name, "width": 2, "encoder_weights": weights}),
        training=SETTINGS,
        signature=SignatureSettings(n_pixels=50),
        sampler=SamplerSettings(),
        device="cpu",
    )


@pytest.mark.parametrize(("name", "n_features"), [("FCN8s", 76 * 2), ("PSPNet", 8 * 2)])
def test_a_trained_source_tells_its_features(tmp_path: Path, name: str, n_features: int) -> None:
    source = train(tmp_path, name)
    assert source.network_definition["_target_"] == f"medtrans.networks.scenes.{name}"
    assert source.signature is not None
    assert source.signature.features is not None
    assert source.signature.features.shape == (50, n_features)


def some_encoder(file: Path, *, seed: int) -> Path:
    definition = network_definition("SegNet", spatial_dims=2, in_channels=3, out_channels=2, width=2)
    encoder = build_network(definition, seed=seed).features  # type: ignore[union-attr]
    torch.save({f"features.{key}": value for key, value in encoder.state_dict().items()}, file)
    return file


def test_training_starts_from_the_encoder_weights_and_the_bundle_says_which(tmp_path: Path) -> None:
    one, other = (some_encoder(tmp_path / f"{seed}.pth", seed=seed) for seed in (7, 8))
    without, first, second = (
        train(tmp_path / str(i), "SegNet", weights=file, n_channels=3) for i, file in enumerate((None, one, other))
    )
    assert not same_weights(first.load_network(), without.load_network())
    assert not same_weights(first.load_network(), second.load_network())
    moved = one.rename(tmp_path / "moved.pth")
    assert same_weights(
        first.load_network(), train(tmp_path / "1", "SegNet", weights=moved, n_channels=3).load_network()
    )
    with pytest.raises(TrainingError, match=r"other settings or data \(encoder_weights: "):
        train(tmp_path / "1", "SegNet", weights=other, n_channels=3)


def test_encoder_weights_that_cannot_be_used_are_one_clear_line(tmp_path: Path) -> None:
    file = some_encoder(tmp_path / "weights.pth", seed=0)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not a state dictionary")
    for name, weights, message in (
        (
            "SegNet",
            tmp_path / "nowhere.pth",
            r"nowhere.pth cannot be read \(No such file or directory\); check the path",
        ),
        ("SegNet", broken, "network.encoder_weights: .*broken.pth: refused"),
        ("UNet", file, "UNet takes no encoder weights"),
        ("FCN8s", file, "'features.2.weight' is missing; FCN8s takes torchvision's vgg16"),
    ):
        with pytest.raises(NetworkError, match=message) as caught:
            train(tmp_path / "pool", name, weights=weights, n_channels=3)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "pool").exists()

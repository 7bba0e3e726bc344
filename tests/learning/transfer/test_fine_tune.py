"""From a source to a target: what is trained, and what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.config import PreprocessingSettings, TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning import dice_score, fine_tune, train_head, with_head
from medtrans.learning.loop import descend
from medtrans.learning.transfer.head import feature_cases
from medtrans.networks import build_network, forward_with_features, network_definition
from medtrans.sources import Source, write_bundle
from medtrans.tasks import Case, Task, TaskName

SETTINGS = TrainingSettings(steps=4, batch_size=2, augment=False)
HEAD = {"final_conv.weight", "final_conv.bias"}


def a_target(n_classes: int = 2, shape: tuple[int, ...] = (32, 48), n_channels: int = 1) -> Task:
    """Bands along the first axis; pixels of class k are around k + 1/2."""
    rng = np.random.default_rng(0)
    cases = []
    for i in range(3):
        rows = np.arange(i, shape[0] + i) // 6 % n_classes
        label = np.broadcast_to(rows.reshape(-1, *(1,) * (len(shape) - 1)), shape).astype(np.uint8)
        image = np.stack([label + 0.5 + 0.1 * rng.standard_normal(shape)] * n_channels).astype(np.float32)
        cases.append(Case(str(i), image, label, (1.0,) * len(shape)))
    names = ("background", *(f"class {k}" for k in range(1, n_classes)))
    return Task(TaskName("toy", "T2", "target"), tuple(cases), names)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return a_source(tmp_path)


def a_source(folder: Path, *, spatial_dims: int = 2) -> Source:
    definition = network_definition("BasicUNet", spatial_dims=spatial_dims, in_channels=1, out_channels=2, width=4)
    return write_bundle(
        folder / "source",
        network=build_network(definition, seed=1),
        definition=definition,
        task=TaskName("toy", "T1", "source"),
        class_names=("background", "source"),
        preprocessing=PreprocessingSettings(),
        signature=None,
        training_record={},
    )


def changed(source: Source, network: nn.Module) -> set[str]:
    before = source.load_network().state_dict()
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_head_first_is_a_retrained_head_and_then_full_training(source: Source) -> None:
    head = SETTINGS.model_copy(update={"steps": 6, "seed": 3})
    expected = fine_tune(source, a_target(), training=head, mode="head", device="cpu").train()
    descend(expected, a_target(), SETTINGS, divisor=16, device=torch.device("cpu"), text="all")
    found = fine_tune(source, a_target(), training=SETTINGS, head_first=head, device="cpu")
    assert same_weights(found, expected)
    assert not found.training
    assert not same_weights(found, fine_tune(source, a_target(), training=SETTINGS, device="cpu"))


@pytest.mark.parametrize("n_classes", [2, 3])  # the source's own last layer, and a new one
def test_a_head_that_was_retrained_is_as_good_as_its_settings(source: Source, n_classes: int) -> None:
    target, head = a_target(n_classes), SETTINGS.model_copy(update={"steps": 6})
    trained = train_head(source, target, training=head, device="cpu")
    expected = fine_tune(source, target, training=head, mode="head", device="cpu")
    assert same_weights(with_head(source, target, trained, seed=head.seed, device="cpu"), expected)
    expected = fine_tune(source, target, training=SETTINGS, head_first=head, device="cpu")
    assert same_weights(fine_tune(source, target, training=SETTINGS, head_first=trained, device="cpu"), expected)


def test_a_head_of_another_network_is_refused(source: Source) -> None:
    head = train_head(source, a_target(3), training=SETTINGS, device="cpu")
    for wrong in (head, {}, {"weight": head["weight"]}):
        with pytest.raises(TrainingError, match="the head is none of toy/T1/source for this task"):
            fine_tune(source, a_target(), training=SETTINGS, head_first=wrong, device="cpu")


def test_head_first_has_no_place_in_mode_head(source: Source) -> None:
    with pytest.raises(TrainingError, match="head_first goes before mode 'full'"):
        fine_tune(source, a_target(), training=SETTINGS, mode="head", head_first=SETTINGS, device="cpu")


def test_full_trains_every_weight_and_head_the_last_layer_only(source: Source) -> None:
    full = fine_tune(source, a_target(), training=SETTINGS, mode="full", device="cpu")
    assert len(changed(source, full)) > 0.9 * len(full.state_dict())  # biases before a normalisation have no gradient
    for augment in (False, True):
        training = SETTINGS.model_copy(update={"augment": augment})
        head = fine_tune(source, a_target(), training=training, mode="head", device="cpu")
        assert changed(source, head) == HEAD
        assert not head.training
        assert all(parameter.requires_grad for parameter in head.parameters())


def test_the_head_learns(source: Source) -> None:
    target = a_target()
    training = SETTINGS.model_copy(update={"steps": 80, "learning_rate": 0.1})
    network = fine_tune(source, target, training=training, mode="head", device="cpu")
    before, after = (dice_score(n, target.cases, 2, divisor=16) for n in (source.load_network(), network))
    assert before < 0.7
    assert after > before + 0.1


def test_features_computed_once_give_the_head_that_the_whole_network_gives(source: Source) -> None:
    target = a_target()
    once = fine_tune(source, target, training=SETTINGS, mode="head", device="cpu")
    each_step = source.load_network().requires_grad_(False)
    each_step.get_submodule("final_conv").requires_grad_(True)
    descend(each_step, target, SETTINGS, divisor=16, device=torch.device("cpu"), text="head")
    assert changed(source, each_step) == HEAD
    torch.testing.assert_close(once.state_dict(), each_step.state_dict(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", ["full", "head"])
def test_another_number_of_classes_gets_a_new_last_layer(source: Source, mode: str) -> None:
    target = a_target(n_classes=3)
    once, again = (fine_tune(source, target, training=SETTINGS, mode=mode, device="cpu") for _ in range(2))  # type: ignore[arg-type]
    images = torch.from_numpy(target.cases[0].image)[None]
    with torch.inference_mode():
        assert once(images).shape == (1, 3, 32, 48)
    assert same_weights(once, again)


def test_a_sigmoid_source_gets_a_new_last_layer_even_with_as_many_classes(source: Source) -> None:
    training = SETTINGS.model_copy(update={"learning_rate": 1e-12})
    kept = fine_tune(source, a_target(), training=training, mode="head", device="cpu")
    replaced = fine_tune(
        replace(source, activation="sigmoid"), a_target(), training=training, mode="head", device="cpu"
    )
    before = source.load_network().state_dict()["final_conv.weight"]
    torch.testing.assert_close(kept.state_dict()["final_conv.weight"], before)
    assert not torch.allclose(replaced.state_dict()["final_conv.weight"], before, atol=0.01)


def test_volumes_are_fine_tuned_in_patches(tmp_path: Path) -> None:
    source = a_source(tmp_path, spatial_dims=3)
    training = TrainingSettings(steps=2, batch_size=1, augment=False, patch_size=32)
    network = fine_tune(source, a_target(shape=(32, 40, 16)), training=training, mode="head", device="cpu")
    assert changed(source, network) == HEAD


def test_the_source_on_disk_and_the_callers_random_state_are_untouched(source: Source) -> None:
    files = {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()}
    state = torch.get_rng_state()
    fine_tune(source, a_target(n_classes=3), training=SETTINGS, device="cpu")
    assert torch.equal(state, torch.get_rng_state())
    assert files == {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()}


def test_feature_maps_have_the_size_of_their_images(source: Source) -> None:
    target = a_target(shape=(20, 37))
    network = source.load_network().train()
    (case, *_) = feature_cases(network, "final_conv", target.cases, 16, torch.device("cpu"))
    assert case.image.shape == (4, 20, 37)
    assert network.training
    padded = torch.zeros(1, 1, 32, 48)
    padded[0, :, :20, :37] = torch.from_numpy(target.cases[0].image)
    with torch.inference_mode():
        _, features = forward_with_features(network.eval(), "final_conv", padded)
    np.testing.assert_allclose(case.image, features[0, :, :20, :37].numpy(), atol=1e-6)


def test_what_does_not_fit_is_one_clear_line(source: Source) -> None:
    for target, found in (
        (a_target(n_channels=2), "2D images of 2"),
        (a_target(shape=(16, 16, 16)), "3D images of 1"),
    ):
        with pytest.raises(TrainingError, match=f"takes 2D images of 1 channels, but task 'toy/T2/target' has {found}"):
            fine_tune(source, target, training=SETTINGS, device="cpu")
    with pytest.raises(TrainingError, match="unknown mode 'heads'; did you mean 'head'"):
        fine_tune(source, a_target(), training=SETTINGS, mode="heads", device="cpu")  # type: ignore[arg-type]

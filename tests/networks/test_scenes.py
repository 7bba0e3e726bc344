"""The six networks for street scenes: as large as in their papers, of the image's size, and features where they are."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from medtrans.errors import NetworkError
from medtrans.features import extract_features
from medtrans.learning.loop import segmentation_loss
from medtrans.networks import (
    SceneNetwork,
    build_network,
    forward_with_features,
    forward_with_map,
    network_definition,
    network_skeleton,
    penultimate_layer,
    seeded,
    training_outputs,
)
from medtrans.networks.scenes.unet import _mirrored
from medtrans.sampling import sample_pixels
from medtrans.tasks import Case

SCENES = ("FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA", "FRRNB")
FULL_WIDTH = {"FRRNA": 48, "FRRNB": 48}  # the others: 64
MILLIONS = {  # parameters with 19 classes, of the implementation in the docs
    "FCN8s": 134.46,
    "UNet": 31.04,
    "SegNet": 29.45,
    "PSPNet": 68.07,
    "FRRNA": 17.75,
    "FRRNB": 24.76,
}
FEATURES = {"FCN8s": 4864, "PSPNet": 512, "FRRNA": 48, "FRRNB": 48}  # at full width; the others: 64


def define(name: str, *, width: int = 4, in_channels: int = 3, out_channels: int = 5) -> dict[str, Any]:
    return network_definition(name, spatial_dims=2, in_channels=in_channels, out_channels=out_channels, width=width)


def build(name: str, **more: int) -> SceneNetwork:
    network = build_network(define(name, **more))
    assert isinstance(network, SceneNetwork)
    return network


def some_images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@cache
def settled(name: str, symmetric: bool = False) -> SceneNetwork:
    """A network in evaluation mode, after its normalisations have seen some images."""
    network = build(name).train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean over all that was seen
            layer.bias.data += 4 if symmetric else 0  # few zeros behind a ReLU: of equal maxima SegNet keeps the first
        if symmetric and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            upright = layer.weight.data + layer.weight.data.flip(2)
            layer.weight.data = (upright + upright.flip(3)) / 4
    with torch.no_grad():
        network(some_images(2, 3, 65, 65))
    return network.eval()


# --- as in the papers ---


@pytest.mark.parametrize("name", SCENES)
def test_at_full_width_it_has_the_parameters_of_its_reference(name: str) -> None:
    network = network_skeleton(define(name, width=FULL_WIDTH.get(name, 64), out_channels=19))
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(MILLIONS[name], rel=0.001)
    head = network.get_submodule(penultimate_layer(network, 2, 3))
    assert head.in_channels == FEATURES.get(name, 64)


@pytest.mark.parametrize("name", SCENES)
def test_logits_have_the_size_of_the_image(name: str) -> None:
    network = build(name, width=2).eval()
    for size in ((64, 64), (65, 78), (71, 67)):
        with torch.no_grad():
            assert network(torch.zeros(1, 3, *size)).shape == (1, 5, *size)


@pytest.mark.parametrize("name", SCENES)
def test_one_step_of_training_lowers_the_loss(name: str) -> None:
    network = build(name).train()
    images = some_images(2, 3, 64, 64)
    labels = (images[:, 0] > 0).long() + 2 * (images[:, 1] > 1).long()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def loss() -> torch.Tensor:
        with seeded(0):  # the same dropout before and after
            outputs = training_outputs(network, images)
        losses = [weight * segmentation_loss(logits, labels, has_background=False) for weight, logits in outputs]
        return torch.stack(losses).sum()

    before = loss()
    before.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert loss().item() < before.item() - 1e-3


# --- features ---


@pytest.mark.parametrize("name", SCENES)
def test_the_last_layer_on_the_features_gives_the_logits(name: str) -> None:
    network = settled(name)
    images = some_images(1, 3, 71, 90)
    layer = penultimate_layer(network, 2, 3)
    with torch.no_grad():
        logits, features = forward_with_features(network, layer, images)
        again = network.get_submodule(layer)(features)
    assert features.shape[2:] == (71, 90)
    torch.testing.assert_close(again, logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SCENES)
def test_features_at_sampled_pixels_are_those_of_the_whole_image(name: str) -> None:
    network = settled(name)
    rng = np.random.default_rng(0)
    cases = [
        Case(
            str(i), rng.standard_normal((3, *size), dtype=np.float32), rng.integers(0, 2, size).astype(np.uint8), (1, 1)
        )
        for i, size in enumerate([(65, 70), (71, 64)])
    ]
    sample = sample_pixels(cases, kind="uniform", n_pixels=200, repetitions=1, rng=rng)
    found = extract_features(network, cases, sample)
    for i, case in enumerate(cases):
        with torch.no_grad():
            logits, features = forward_with_features(network, "classifier", torch.from_numpy(case.image)[None])
        rows = sample.case_index == i
        at = (0, slice(None), *sample.position[rows].T)
        np.testing.assert_allclose(found.features[rows], features[at].T, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.probabilities[rows], logits.softmax(1)[at].T, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, (64, 96)) for name in SCENES if name not in ("UNet", "PSPNet")),
        ("UNet", (68, 84)),
        ("PSPNet", (65, 97)),
    ],
)
def test_features_lie_where_the_image_shows_them(name: str, size: tuple[int, int]) -> None:
    """With symmetric kernels, the mirrored image has the mirrored features, unless something is shifted."""
    network, images = settled(name, symmetric=True), some_images(1, 3, *size)
    with torch.no_grad():
        logits, features = forward_with_features(network, "classifier", images)
        of_mirrored = forward_with_features(network, "classifier", images.flip(2, 3))
    assert features.std() > 0.01
    for one, other in zip((logits, features), of_mirrored, strict=True):
        torch.testing.assert_close(other.flip(2, 3), one, rtol=1e-3, atol=1e-3)


def test_another_layer_is_refused_because_its_cells_lie_elsewhere() -> None:
    with pytest.raises(
        NetworkError, match=r"UNet: where the cells of 'down.0' lie on the image is not known; name 'cla"
    ):
        forward_with_map(build("UNet"), "down.0", torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(("dims", "channels"), [(2, 1), (3, 3)])
def test_images_of_another_kind_are_refused(dims: int, channels: int) -> None:
    message = f"SegNet does not accept {dims}D images of {channels} channels: it takes 2D images of 3"
    with pytest.raises(NetworkError, match=message):
        penultimate_layer(build("SegNet"), dims, channels)


# --- one by one ---


def test_fcn_equals_three_score_convolutions_whose_coarser_scores_are_doubled_and_added() -> None:
    network = build("FCN8s").eval()
    images = some_images(1, 3, 96, 128)
    seen: list[torch.Tensor] = []
    for layer in (network.features[16], network.features[23], network.fc7):
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
    with torch.no_grad():
        logits = network(images)
        pool3, pool4, fc7 = seen[0], seen[1], seen[2].relu()
        weights = network.classifier.weight.split([pool3.shape[1], pool4.shape[1], fc7.shape[1]], dim=1)
        scores3, scores4, scores7 = (
            functional.conv2d(maps, weight) for maps, weight in zip((pool3, pool4, fc7), weights, strict=True)
        )

        def enlarged(scores: torch.Tensor, factor: int) -> torch.Tensor:
            return functional.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)

        by_hand = enlarged(enlarged(enlarged(scores7, 2) + scores4, 2) + scores3, 8)
    by_hand = by_hand + network.classifier.bias[:, None, None]
    torch.testing.assert_close(logits, by_hand, rtol=1e-4, atol=1e-4)


def test_unet_continues_the_image_by_its_mirror_image() -> None:
    """An image and the same image already continued by 96 pixels of its mirror image: the same logits."""
    network = settled("UNet")
    images = some_images(1, 3, 100, 100)
    with torch.no_grad():
        alone = network(images)
        around = network(functional.pad(images, (96,) * 4, mode="reflect"))
    torch.testing.assert_close(around[:, :, 96:-96, 96:-96], alone, rtol=1e-4, atol=1e-4)


def test_unet_mirrors_a_small_image_again_and_again() -> None:
    row = _mirrored(torch.arange(3.0).reshape(1, 1, 1, 3))[0, 0, 0]
    assert row.shape == (92 + 4 + 92,)
    assert row[92 - 4 : 92 + 5].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0]


def test_segnet_ends_in_a_bare_convolution() -> None:
    """Behind a ReLU no logit would be negative."""
    network = build("SegNet")
    assert network.classifier.kernel_size == (3, 3)
    with torch.no_grad():
        assert (network(some_images(2, 3, 64, 64)) < 0).any()


def test_the_auxiliary_head_of_pspnet_counts_in_training_only() -> None:
    network = build("PSPNet")
    images = some_images(2, 3, 65, 70)
    network.train()
    (own, logits), (weight, auxiliary) = training_outputs(network, images)
    assert (own, weight) == (1.0, 0.4)
    assert logits.shape == auxiliary.shape == (2, 5, 65, 70)
    auxiliary.sum().backward()
    assert network.classifier.weight.grad is None
    assert network.encoder_layers.layer3[0].conv1.weight.grad is not None
    assert network.encoder_layers.layer4[0].conv1.weight.grad is None
    network.eval()
    ((own, logits),) = training_outputs(network, images)
    assert torch.equal(logits, network(images))


def test_pspnet_trains_on_a_batch_of_one() -> None:
    """The mean over the whole map is one value a channel, which has no variance."""
    network = build("PSPNet").train()
    before = network.pyramid[0][2].running_var.clone()
    network(some_images(1, 3, 64, 64))
    assert torch.equal(network.pyramid[0][2].running_var, before)
    network(some_images(2, 3, 64, 64))
    assert not torch.equal(network.pyramid[0][2].running_var, before)


def test_every_unit_of_frrn_reads_what_the_one_before_made() -> None:
    """In the public PyTorch implementation all units of a stage read the same map."""
    network = build("FRRNA").eval()
    read: list[torch.Tensor] = []
    made: list[torch.Tensor] = []
    for unit in network.down[0]:
        unit.register_forward_pre_hook(lambda _unit, inputs: read.append(inputs[0]))
        unit.register_forward_hook(lambda _unit, _inputs, outputs: made.append(outputs[0]))
    with torch.no_grad():
        network(some_images(1, 3, 64, 64))
    assert len(read) == 3
    assert all(torch.equal(one, other) for one, other in zip(read[1:], made[:-1], strict=True))


def test_dropout_is_only_where_the_reference_has_it() -> None:
    with_dropout = {name for name in SCENES if any("Dropout" in type(it).__name__ for it in build(name).modules())}
    assert with_dropout == {"FCN8s", "PSPNet"}
    with_norm = {name for name in SCENES if any(isinstance(it, nn.BatchNorm2d) for it in build(name).modules())}
    assert with_norm == set(SCENES) - {"FCN8s"}

"""Public weights find their layers by the names that the public files have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medtrans.errors import NetworkError
from medtrans.networks import build_network, fill_encoder, network_definition

FILE = Path("weights.pth")
VGG16 = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's numbers of the convolutions
VGG16_BN = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]  # a normalisation follows each
CHANNELS = [3, 2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16]  # of the image, then behind each convolution, width 2
BLOCKS = (3, 4, 23, 3)


def build(name: str, *, width: int = 2, in_channels: int = 3) -> nn.Module:
    definition = network_definition(name, spatial_dims=2, in_channels=in_channels, out_channels=4, width=width)
    return build_network(definition)


def filled(name: str, *shape: int) -> Tensor:
    """Values that differ from name to name."""
    return torch.full(shape, 1 + sum(name.encode()) / 1000)


def norm(name: str, channels: int) -> dict[str, Tensor]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": filled(f"{name}.{part}", channels) for part in parts}


def vgg16(*, with_norm: bool) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for i, before, after in zip(VGG16_BN if with_norm else VGG16, CHANNELS, CHANNELS[1:], strict=False):
        weights[f"features.{i}.weight"] = filled(f"{i}.weight", after, before, 3, 3)
        weights[f"features.{i}.bias"] = filled(f"{i}.bias", after)
        weights |= norm(f"features.{i + 1}", after) if with_norm else {}
    return weights


def fully_connected() -> dict[str, Tensor]:
    """The classifier's layers at width 2: fc6 reads 16 channels of 7 x 7."""
    return {
        "classifier.0.weight": torch.arange(128.0 * 16 * 49).reshape(128, 16 * 49) / 1e5,
        "classifier.0.bias": torch.ones(128),
        "classifier.3.weight": torch.arange(128.0 * 128).reshape(128, 128) / 1e5,
        "classifier.3.bias": torch.ones(128),
        "classifier.6.weight": torch.ones(1000, 128),
        "classifier.6.bias": torch.ones(1000),
    }


def resnet101(width: int = 2) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {"fc.weight": torch.ones(1000, 32 * width)}

    def conv(name: str, before: int, after: int, size: int) -> None:
        weights[f"{name}.weight"] = filled(name, after, before, size, size)

    for i, (before, after) in enumerate([(3, width), (width, width), (width, 2 * width)], start=1):
        conv(f"conv{i}", before, after, 3)
        weights.update(norm(f"bn{i}", after))
    before = 2 * width
    for stage, n_blocks in enumerate(BLOCKS):
        inner, outer = width * 2**stage, 4 * width * 2**stage
        for block in range(n_blocks):
            name = f"layer{stage + 1}.{block}"
            for i, shape in enumerate([(before, inner, 1), (inner, inner, 3), (inner, outer, 1)], start=1):
                conv(f"{name}.conv{i}", *shape)
                weights.update(norm(f"{name}.bn{i}", shape[1]))
            if block == 0:
                conv(f"{name}.downsample.0", before, outer, 1)
                weights.update(norm(f"{name}.downsample.1", outer))
            before = outer
    return weights


@pytest.mark.parametrize(
    ("name", "weights", "ours"),
    [
        ("FCN8s", vgg16(with_norm=False), "features."),
        ("SegNet", vgg16(with_norm=True), "features."),
        ("PSPNet", resnet101(), "encoder_layers."),
    ],
)
def test_every_weight_of_the_encoder_is_taken_and_no_other(name: str, weights: dict[str, Tensor], ours: str) -> None:
    network, before = build(name), build(name).state_dict()
    fill_encoder(network, weights, FILE)
    prefix = "" if name == "PSPNet" else "features."
    for key, value in network.state_dict().items():
        if key.startswith(ours) and not key.endswith("num_batches_tracked"):
            assert torch.equal(value, weights[prefix + key.removeprefix(ours)])
        else:
            assert torch.equal(value, before[key])


def test_fully_connected_layers_become_convolutions_where_they_are_there() -> None:
    network, weights = build("FCN8s"), vgg16(with_norm=False) | fully_connected()
    fill_encoder(network, weights, FILE)
    maps = torch.randn(1, 16, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fc6 = nn.functional.conv2d(maps, network.fc6.weight, network.fc6.bias)  # the 7 x 7 pixels that VGG16 has there
        by_hand = maps.flatten(1) @ weights["classifier.0.weight"].T + weights["classifier.0.bias"]
    torch.testing.assert_close(fc6.flatten(1), by_hand)
    assert torch.equal(network.fc7.weight.flatten(1), weights["classifier.3.weight"])
    assert network.classifier.weight.shape[0] == 4


@pytest.mark.parametrize(
    ("name", "more", "changes", "message"),
    [
        ("UNet", {}, {}, r"weights.pth: UNet takes no encoder weights \(FCN8s, SegNet and PSPNet do\); leave network"),
        ("BasicUNet", {"width": 4}, {}, "BasicUNet takes no encoder weights"),
        ("FCN8s", {}, {"features.28.bias": None}, "'features.28.bias' is missing; FCN8s takes torchvision's vgg16"),
        ("SegNet", {}, {}, "'features.1.weight' is missing; SegNet takes torchvision's vgg16_bn"),
        ("PSPNet", {}, {}, "'conv1.weight' is missing; PSPNet takes a ResNet-101 that begins with three convolutions"),
        (
            "FCN8s",
            {"width": 4},
            {},
            r"'features.0.weight' has shape \(2, 3, 3, 3\), not \(4, 3, 3, 3\).*fit width 64 and colour images only",
        ),
        ("FCN8s", {"in_channels": 1}, {}, r"has shape \(2, 3, 3, 3\), not \(2, 1, 3, 3\)"),
        (
            "FCN8s",
            {},
            {"features.2.bias": torch.full((2,), torch.nan)},
            "'features.2.bias' holds NaN or infinite values",
        ),
    ],
)
def test_weights_that_do_not_fit(name: str, more: dict[str, int], changes: dict[str, Any], message: str) -> None:
    weights = {key: value for key, value in (vgg16(with_norm=False) | changes).items() if value is not None}
    network, before = build(name, **more), build(name, **more).state_dict()
    with pytest.raises(NetworkError, match=message) as caught:
        fill_encoder(network, weights, FILE)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

"""The penultimate features: on every architecture the last layer applied to them gives the logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import UNet
from torch import nn
from torch.nn import functional

from medtrans.errors import NetworkError
from medtrans.networks import build_network, forward_with_features, network_definition, penultimate_layer

FOREIGN = {  # architectures that only bundles of others hold, with the width of their penultimate features
    "AttentionUnet": ({"channels": [4, 8, 16], "strides": [2, 2]}, 4),
    "SegResNetDS": ({"init_filters": 8, "blocks_down": [1, 1, 1], "dsdepth": 2}, 8),
    "SegResNet": ({"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "dropout_prob": 0.2}, 8),
}


def definitions() -> list[Any]:
    own = [
        pytest.param(
            network_definition(name, spatial_dims=dims, in_channels=2, out_channels=3, width=4), id=f"{name}-{dims}D"
        )
        for name in ("BasicUNet", "DynUNet", "SegResNet")
        for dims in (2, 3)
    ]
    foreign = [
        pytest.param(
            {"_target_": name, "spatial_dims": dims, "in_channels": 2, "out_channels": 3} | arguments,
            id=f"zoo-{name}-{dims}D",
        )
        for name, (arguments, _) in FOREIGN.items()
        for dims in (2, 3)
    ]
    return own + foreign


def width_of(definition: dict[str, Any]) -> int:
    name = definition["_target_"]
    return FOREIGN[name][1] if name in FOREIGN else 4


@pytest.mark.parametrize("definition", definitions())
def test_the_last_layer_applied_to_the_features_gives_the_logits(definition: dict[str, Any]) -> None:
    network = build_network(definition).eval()
    dims = definition["spatial_dims"]
    images = torch.rand(2, 2, *(32, 16, 16)[:dims], generator=torch.Generator().manual_seed(0))
    name = penultimate_layer(network, dims, 2)
    with torch.no_grad():
        logits, features = forward_with_features(network, name, images)
        again = network.get_submodule(name)(features)
    assert features.shape == (2, width_of(definition), *images.shape[2:])
    assert torch.equal(again, logits)


def test_the_network_is_left_as_it_was() -> None:
    network = build_network(network_definition("SegResNet", spatial_dims=2, in_channels=1, out_channels=2, width=8))
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    name = penultimate_layer(network, 2, 1)
    forward_with_features(network, name, torch.zeros(1, 1, 16, 16))
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(layer._forward_pre_hooks or layer._forward_hooks for layer in network.modules())


def test_a_network_with_another_last_layer_is_refused() -> None:
    """MONAI's UNet holds 1 x 1 convolutions in its middle; taking one of them would be silently wrong."""
    network = UNet(2, 1, 2, channels=(4, 8, 16), strides=(2, 2), num_res_units=2)
    with pytest.raises(NetworkError, match="does not end in a 1 x 1 convolution"):
        penultimate_layer(network, 2, 1)


class LastNamedIsNotLastCalled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(4, 2, 1)
        self.squeeze = nn.Conv2d(1, 4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.squeeze(images))


def test_the_last_called_layer_counts_not_the_last_named() -> None:
    assert penultimate_layer(LastNamedIsNotLastCalled(), 2, 1) == "head"


def test_images_of_another_kind_are_refused() -> None:
    network = build_network(network_definition("BasicUNet", spatial_dims=2, in_channels=1, out_channels=2, width=4))
    with pytest.raises(NetworkError, match="does not accept 2D images of 3 channels"):
        penultimate_layer(network, 2, 3)


def test_deep_networks_are_tried_on_larger_images() -> None:
    """Six halvings: an image of 32 x 32 has no bottom level."""
    deep = {
        "_target_": "DynUNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": [3] * 7,
        "strides": [1] + [2] * 6,
        "upsample_kernel_size": [2] * 6,
        "filters": [2] * 7,
    }
    assert penultimate_layer(build_network(deep), 2, 1) == "output_block.conv.conv"


def test_what_an_activation_reads_is_kept_before_it_is_overwritten() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1))
    images = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)  # of both signs, and without a bias so are the features
    _, features = forward_with_features(network, "1", images)
    assert torch.equal(features, network[0](images))
    assert (features < 0).any()


def test_features_at_half_resolution_are_interpolated() -> None:
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 1), nn.Upsample(scale_factor=2))
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    _, features = forward_with_features(network, "1", images)
    coarse = functional.avg_pool2d(images, 2)  # 2.5 4.5 / 10.5 12.5
    assert features.shape == (1, 1, 4, 4)
    assert features[0, 0, 0, 0] == coarse[0, 0, 0, 0]  # beyond the centres of the corner cells: their values
    assert features[0, 0, 0].tolist() == [2.5, 3.0, 4.0, 4.5]  # a quarter and three quarters of the way


def test_gradients_flow() -> None:
    network = build_network(network_definition("BasicUNet", spatial_dims=2, in_channels=1, out_channels=2, width=4))
    _, features = forward_with_features(network, "final_conv", torch.ones(1, 1, 32, 32))
    features.sum().backward()
    assert network.conv_0.conv_0.conv.weight.grad is not None


class WithoutUse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Conv2d(1, 1, 1)
        self.flat = nn.Flatten()
        self.tail = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.tail(self.flat(images))


@pytest.mark.parametrize(
    ("layer", "message"),
    [("spair", "did you mean 'spare'"), ("spare", "read nothing"), ("tail", "a tensor with 2 axes")],
)
def test_a_layer_that_reads_no_feature_map(layer: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        forward_with_features(WithoutUse(), layer, torch.zeros(1, 1, 4, 4))

"""Architectures by name: what is built, what is refused, and that nothing outside is disturbed."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
import torch

from medtrans.errors import NetworkError
from medtrans.networks import (
    READABLE,
    TRAINABLE,
    build_network,
    network_arguments,
    network_definition,
    network_skeleton,
    size_divisor,
)

SCENES = ("FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA", "FRRNB")
OF_MONAI = [name for name in TRAINABLE if name not in SCENES]


def define(name: str, spatial_dims: int = 2, *, in_channels: int = 1, out_channels: int = 2) -> dict[str, Any]:
    return network_definition(
        name, spatial_dims=spatial_dims, in_channels=in_channels, out_channels=out_channels, width=4
    )


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", OF_MONAI)
def test_maps_channels_to_classes_at_the_size_of_the_image(name: str, spatial_dims: int) -> None:
    definition = define(name, spatial_dims, in_channels=3, out_channels=5)
    size = (2 * size_divisor(definition), *(size_divisor(definition),) * (spatial_dims - 1))
    with torch.no_grad():
        logits = build_network(definition).eval()(torch.zeros(1, 3, *size))
    assert logits.shape == (1, 5, *size)


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_definition_survives_json(name: str) -> None:
    definition = define(name)
    again = build_network(json.loads(json.dumps(definition))).state_dict()
    for key, value in build_network(definition).state_dict().items():
        assert torch.equal(again[key], value)


def test_seed_decides_the_weights_and_global_randomness_stays() -> None:
    definition = define("BasicUNet")
    state = torch.get_rng_state()
    first, same, other = (build_network(definition, seed=seed).final_conv.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_skeleton_has_the_shapes_and_no_weights(name: str) -> None:
    definition = define(name)
    state = torch.get_rng_state()
    skeleton = network_skeleton(definition).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    built = build_network(definition).state_dict()
    assert {key: value.shape for key, value in skeleton.items()} == {key: it.shape for key, it in built.items()}
    assert all(value.is_meta for value in skeleton.values())


def test_a_skeleton_of_a_giant_takes_no_memory() -> None:
    """The widest convolution alone would hold 4096 * 4096 * 27 floats, 1.8 GB."""
    giant = {"_target_": "BasicUNet", "spatial_dims": 3, "features": [4096] * 6}
    start = time.perf_counter()
    assert sum(it.numel() for it in network_skeleton(giant).parameters()) > 4e9
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("definition", "divisor"),
    [
        (define("BasicUNet"), 16),
        (define("DynUNet"), 16),
        (define("SegResNet"), 8),
        *((define(name), 1) for name in SCENES),
        ({"_target_": "SegResNet"}, 8),
        ({"_target_": "SegResNet", "blocks_down": [1, 1]}, 2),
        ({"_target_": "SegResNetDS", "blocks_down": [1, 1, 1, 1, 1]}, 16),
        (define("DynUNet") | {"strides": [[1, 2], [2, 4]]}, 8),  # 2 along the first axis, 8 along the second
        (define("DynUNet") | {"strides": [1, 3, [2, 1]]}, 6),  # 6 and 3
    ],
)
def test_size_divisor(definition: dict[str, Any], divisor: int) -> None:
    assert size_divisor(definition) == divisor


def test_arguments_include_defaults() -> None:
    arguments = network_arguments({"_target_": "SegResNet", "init_filters": 16})
    assert (arguments["spatial_dims"], arguments["init_filters"], arguments["out_channels"]) == (3, 16, 2)


@pytest.mark.parametrize(
    "target", ["SegResNet", "monai.networks.nets.SegResNet", "monai.networks.nets.segresnet.SegResNet"]
)
def test_the_ways_monai_writes_a_class(target: str) -> None:
    assert type(build_network({"_target_": target, "spatial_dims": 2})).__name__ == "SegResNet"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "evil.SegResNet",
        "torch.nn.Linear",
        "SegResNet.__init__",
        "UNETR",
        "FCN8s",
        "monai.networks.nets.FCN8s",
        "medtrans.networks.scenes.SceneNetwork",
        "medtrans.networks.scenes.SegResNet",
        "",
        None,
        3,
    ],
)
def test_anything_else_is_refused(target: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("os.system was called"))
    with pytest.raises(NetworkError, match=r"is refused|_target_"):
        build_network({"_target_": target, "command": f"touch {tmp_path}/canary"})


@pytest.mark.parametrize("target", ["UNet", "monai.networks.nets.UNet"])
def test_unet_of_monai_is_refused_with_its_reason(target: str) -> None:
    with pytest.raises(NetworkError, match="1 x 1 convolution"):
        build_network({"_target_": target, "spatial_dims": 2})


@pytest.mark.parametrize("target", ["medtrans.networks.scenes.UNet", "medtrans.networks.scenes.unet.UNet"])
def test_unet_of_medtrans_is_another(target: str) -> None:
    network = build_network({"_target_": target, "spatial_dims": 2, "in_channels": 3, "out_channels": 2, "width": 2})
    assert type(network).__module__ == "medtrans.networks.scenes.unet"


@pytest.mark.parametrize("name", SCENES)
def test_networks_for_street_scenes_take_2d_images_only(name: str) -> None:
    with pytest.raises(NetworkError, match=rf"'{name}' takes 2D images only; in 3D choose one of BasicUNet, DynUNet, "):
        define(name, 3)
    with pytest.raises(NetworkError, match=r"cannot be built from these arguments: it takes 2D images, not 3D"):
        build_network(define(name) | {"spatial_dims": 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"act": "$__import__('os').system('true')"}, "is an expression"),
        ({"init_filters": "@width"}, "is an expression"),
        ({"norm": ["GROUP", {"num_groups": "%x"}]}, "is an expression"),
        ({"norm": {"_target_": "os.system", "command": "true"}}, "would build another object"),
        ({"init_filters": 10**9}, "beyond 4096"),
        ({"dropout_prob": float("nan")}, "beyond 4096"),
        ({"blocks_down": [1] * 65}, "longer than 64"),
        ({"act": [[[[[[[[[["relu"]]]]]]]]]]}, "deeper than 8"),
        ({"act": print}, "builtin_function_or_method is not a plain value"),
        ({"init_filter": 8}, "did you mean 'init_filters'"),
        ({"_mode_": "callable"}, "no argument '_mode_'"),
        ({"act": "no-such-activation"}, "cannot be built"),
        ({"init_filters": 8.5}, "cannot be built"),
    ],
)
def test_arguments_are_plain_values_that_the_network_knows(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        build_network({"_target_": "SegResNet"} | arguments)
    assert "\n" not in str(caught.value)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(NetworkError, match="DynUNet needs the argument 'spatial_dims'"):
        size_divisor({"_target_": "DynUNet"})


def test_strides_that_are_no_numbers() -> None:
    with pytest.raises(NetworkError, match="not a list of numbers"):
        size_divisor(define("DynUNet") | {"strides": ["two"]})


def test_unknown_names_and_axes() -> None:
    with pytest.raises(NetworkError, match="did you mean 'DynUNet'"):
        define("DynUnet")
    with pytest.raises(NetworkError, match="4 spatial axes"):
        define("BasicUNet", 4)


def test_trainable_networks_can_be_read_again() -> None:
    assert set(TRAINABLE) <= set(READABLE)

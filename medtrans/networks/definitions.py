"""Architectures as data: a class name and JSON arguments, the way MONAI's configurations write a network.

A definition may come from a stranger's bundle. Nothing of it is evaluated or imported: the name is looked up in a short
list, and the arguments must be plain values that the constructor knows.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.networks.nets import AttentionUnet, BasicUNet, DynUNet, SegResNet, SegResNetDS
from torch import nn
from torch.overrides import TorchFunctionMode

from medtrans.errors import NetworkError, did_you_mean, one_line
from medtrans.networks import scenes
from medtrans.networks.chance import seeded
from medtrans.networks.scenes import FRRNA, FRRNB, FCN8s, PSPNet, SegNet, UNet

_MONAI: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (AttentionUnet, BasicUNet, DynUNet, SegResNet, SegResNetDS)
}
_SCENES: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (FCN8s, UNet, SegNet, PSPNet, FRRNA, FRRNB)
}
TRAINABLE = ("BasicUNet", "DynUNet", "SegResNet", *_SCENES)
"""Architectures that ``network_definition`` writes; those of ``medtrans.networks.scenes`` in 2D only."""

READABLE = (*_MONAI, *_SCENES)
"""Architectures that a bundle may hold: of MONAI those that end in a 1 x 1 convolution at full resolution."""

_NO_FULL_RESOLUTION_FEATURES = ("UNet", "VNet", "BasicUNetPlusPlus")
_MAX_NUMBER = 4096  # of channels, strides, blocks
_MAX_LENGTH = 64  # of a list or a text
_MAX_DEPTH = 8


def network_definition(
    name: str, *, spatial_dims: int, in_channels: int, out_channels: int, width: int
) -> dict[str, Any]:
    """Define an architecture that medtrans trains.

    ``width`` is the number of channels of the first level, doubled level by level, and of the penultimate feature map
    (of FCN8s 76 times as many, of PSPNet 8 times). The networks of ``medtrans.networks.scenes`` are as in their papers
    at width 64, FRRN at 48.

    Raises:
        NetworkError: unknown name, or not 2 or 3 spatial axes; a network for street scenes in 3D.

    >>> network_definition("SegResNet", spatial_dims=3, in_channels=1, out_channels=2, width=8)["init_filters"]
    8
    """
    if name not in TRAINABLE:
        raise NetworkError(f"network '{name}' is unknown; {did_you_mean(name, TRAINABLE)}")
    if spatial_dims not in (2, 3):
        raise NetworkError(f"network '{name}': {spatial_dims} spatial axes; choose 2 or 3")
    if name in _SCENES and spatial_dims != 2:
        in_3d = [it for it in TRAINABLE if it not in _SCENES]
        raise NetworkError(f"network '{name}' takes 2D images only; in 3D choose one of {', '.join(in_3d)}")
    definition: dict[str, Any] = {
        "_target_": f"{scenes.__name__ if name in _SCENES else 'monai.networks.nets'}.{name}",
        "spatial_dims": spatial_dims,
        "in_channels": in_channels,
        "out_channels": out_channels,
    }
    if name in _SCENES:
        return definition | {"width": width}
    if name == "BasicUNet":
        return definition | {"features": [width, width, 2 * width, 4 * width, 8 * width, width]}
    if name == "SegResNet":
        return definition | {"init_filters": width, "norm": ["GROUP", {"num_groups": math.gcd(8, width)}]}
    return definition | {
        "kernel_size": [3, 3, 3, 3, 3],
        "strides": [1, 2, 2, 2, 2],
        "upsample_kernel_size": [2, 2, 2, 2],
        "filters": [width, 2 * width, 4 * width, 8 * width, 16 * width],
    }


def build_network(definition: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    """Build a network on the CPU. The same seed gives the same weights; global random state stays as it was.

    Raises:
        NetworkError: the architecture is not in ``READABLE``, or an argument is not a plain value it knows.
    """
    with seeded(seed):
        return _construct(definition)


def network_skeleton(definition: Mapping[str, Any]) -> nn.Module:
    """Build a network that has shapes but no weights (on PyTorch's ``meta`` device), to be filled from a file.

    However large the definition claims to be, no memory is taken for weights. Raises as ``build_network``.
    """
    with seeded(0), torch.device("meta"), _WithoutNormalDraws():
        return _construct(definition)


class _WithoutNormalDraws(TorchFunctionMode):
    """Skips ``Tensor.normal_``, for which PyTorch loads seconds of symbolic mathematics on the meta device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def network_arguments(definition: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a definition, those left at their default included. Raises as ``build_network``."""
    architecture = _architecture(definition)
    parameters = inspect.signature(architecture).parameters
    given = {name: value for name, value in definition.items() if name != "_target_"}
    for name, value in given.items():
        if name not in parameters:
            raise NetworkError(f"{architecture.__name__} has no argument '{name}'; {did_you_mean(name, parameters)}")
        _check_plain(value, f"{architecture.__name__}.{name}")
    missing = [name for name, it in parameters.items() if it.default is it.empty and name not in given]
    if missing:
        raise NetworkError(f"{architecture.__name__} needs the argument '{missing[0]}'; add it to the definition")
    return {name: given.get(name, parameter.default) for name, parameter in parameters.items()}


def size_divisor(definition: Mapping[str, Any]) -> int:
    """Spatial sizes must be multiples of this, and at least twice this along one axis (instance normalisation).

    It is 1 for the networks of ``medtrans.networks.scenes``, which pad and crop inside.

    >>> size_divisor({"_target_": "SegResNet", "blocks_down": [1, 2, 2, 4]})
    8

    Raises as ``build_network``.
    """
    arguments = network_arguments(definition)
    if _architecture(definition) in _SCENES.values():
        return 1
    try:
        if "blocks_down" in arguments:  # SegResNet, SegResNetDS: one halving between two levels
            return int(2 ** (len(arguments["blocks_down"]) - 1))
        if "strides" in arguments:  # DynUNet, AttentionUnet
            return math.lcm(*_total_strides(arguments["strides"], arguments["spatial_dims"]))
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{definition['_target_']}: 'blocks_down' or 'strides' is not a list of numbers") from error
    return 16  # BasicUNet: four max-poolings


def padded_size(size: int, divisor: int) -> int:
    """The next multiple of ``divisor``, at least twice it: instance normalisation needs two pixels at the bottom.

    >>> padded_size(100, 16)
    112
    """
    return max(-(-size // divisor), 2) * divisor


def _total_strides(strides: Sequence[int | Sequence[int]], spatial_dims: int) -> list[int]:
    """Product over the levels, for each axis."""
    per_axis = [[stride] * spatial_dims if isinstance(stride, int) else stride for stride in strides]
    return [math.prod(axis) for axis in zip(*per_axis, strict=True)]


def _construct(definition: Mapping[str, Any]) -> nn.Module:
    arguments = network_arguments(definition)
    architecture = _architecture(definition)
    try:
        return architecture(**arguments)
    except Exception as error:  # MONAI's constructors raise whatever their innermost layer does
        reason = one_line(error)
        raise NetworkError(f"{architecture.__name__} cannot be built from these arguments: {reason}") from error


def _architecture(definition: Mapping[str, Any]) -> type[nn.Module]:
    target = definition.get("_target_")
    if not isinstance(target, str):
        raise NetworkError("a network definition names its architecture under '_target_'; add it")
    module, _, name = target.rpartition(".")
    for known, prefixes in ((_MONAI, ("", "monai.networks.nets")), (_SCENES, (scenes.__name__,))):
        if name in known and module in (*prefixes, known[name].__module__):
            return known[name]
    if name in _NO_FULL_RESOLUTION_FEATURES and module in ("", "monai.networks.nets"):
        raise NetworkError(
            f"network '{target}' is refused: it does not end in a 1 x 1 convolution on one feature map at full "
            f"resolution; use one of {', '.join(_MONAI)}"
        )
    raise NetworkError(
        f"network '{target}' is refused: only {', '.join(_MONAI)} of monai.networks.nets and {', '.join(_SCENES)} of "
        f"{scenes.__name__} are built"
    )


def _check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Refuse everything but JSON values of sensible size, and texts that MONAI would evaluate."""
    if depth > _MAX_DEPTH:
        raise NetworkError(f"argument {where} is refused: nested deeper than {_MAX_DEPTH}")
    if isinstance(value, list | tuple | dict | str) and len(value) > _MAX_LENGTH:
        raise NetworkError(f"argument {where} is refused: longer than {_MAX_LENGTH}")
    if isinstance(value, list | tuple):
        for item in value:
            _check_plain(item, where, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if str(key).startswith("_"):
                raise NetworkError(f"argument {where} is refused: '{key}' would build another object")
            _check_plain(item, f"{where}.{key}", depth + 1)
    else:
        _check_scalar(value, where)


def _check_scalar(value: Any, where: str) -> None:
    if isinstance(value, str):
        if value.startswith(("$", "%", "@")):
            raise NetworkError(f"argument {where} is refused: '{value}' is an expression; write its value instead")
    elif isinstance(value, int | float):
        if not abs(value) <= _MAX_NUMBER:  # also refuses NaN
            raise NetworkError(f"argument {where} is refused: {value} is beyond {_MAX_NUMBER}")
    elif value is not None:
        raise NetworkError(f"argument {where} is refused: {type(value).__name__} is not a plain value")

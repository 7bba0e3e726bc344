"""Weights of a network: written as MONAI does, read without running anything that a pickle may hold."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medtrans.errors import BundleError, NetworkError
from medtrans.networks import network_skeleton
from medtrans.sources.archive import check_archive

_WRAPPERS = ("model", "state_dict", "network", "net")  # keys under which checkpoints keep the weights


_DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    | {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
)


def write_weights(file: Path, network: nn.Module) -> None:
    """Write the state dictionary, on the CPU, as ``models/model.pt`` of a bundle holds it. Raises OSError."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # torch's own writer says "unexpected pos" when the disk is full; a file of Python's says what happened.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    file.write_bytes(buffer.getbuffer())


def load_network(file: Path, definition: Mapping[str, Any]) -> nn.Module:
    """Build the network and fill it with the weights of the file, on the CPU, as float32, in evaluation mode.

    The network is built without memory for weights, which come from the file alone: a definition that claims to be
    enormous costs nothing before its shapes are compared.

    Raises:
        BundleError: the file holds anything but tensors, or they do not fit; the first key that does not is named.
    """
    try:
        network = network_skeleton(definition)
    except NetworkError as error:
        raise BundleError(f"{file}: {error}") from error
    weights = _without_prefix(file, read_weights(file), network)
    check_weights(file, weights, network)
    network.load_state_dict(weights, assign=True)
    return network.float().eval()


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dictionary in a file, as it is or under a usual key. Raises BundleError for anything but tensors."""
    if _is_torchscript(file):
        raise BundleError(f"{file}: refused, it is a TorchScript archive, which is code; ask for a state dictionary")
    check_archive(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or malicious file makes torch raise almost anything
        raise BundleError(f"{file}: refused, {_reason(error)}; copy it again, or ask for a state dictionary") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise BundleError(f"{file}: holds {type(content).__name__}, not a state dictionary")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            shown = ascii(key)[:80] if isinstance(key, str) else f"a key that is {type(key).__name__}"
            raise BundleError(f"{file}: {shown} is {type(value).__name__}, not a tensor; is this a state dictionary?")
        if reason := _not_plain(value):
            raise BundleError(f"{file}: {ascii(key)[:80]} {reason}; ask for plain, dense weights")
    content = {key.replace("_orig_mod.", ""): value for key, value in content.items()}  # of torch.compile, anywhere
    if all(key.startswith("module.") for key in content):  # of DataParallel, also where a part of a network is saved
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return content


def _not_plain(tensor: Tensor) -> str:
    """Why a tensor is not an array of numbers that the file holds in whole; empty where it is."""
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_quantized:
        return "is sparse, nested or quantised"
    if tensor.device.type != "cpu":
        return f"lies on the device {tensor.device.type}, without numbers"
    if tensor.dtype not in _DTYPES:
        return f"is {tensor.dtype}"
    if not tensor.is_contiguous():  # one number may stand for gigabytes
        return "is a view of other numbers"
    return ""


def _without_prefix(file: Path, weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights under the names that the network has, where all of these stand behind one prefix.

    DataParallel writes ``module.``, Lightning the name of an attribute such as ``net.``; what is not behind the prefix
    belongs to other modules and is left. Raises BundleError where two prefixes would do.
    """
    expected = network.state_dict()
    first = next(iter(expected), "")
    prefixes = [key.removesuffix(first) for key in weights if key.endswith("." + first)]
    fitting = [prefix for prefix in prefixes if all(prefix + key in weights for key in expected)]
    if expected.keys() <= weights.keys() or not fitting:
        return weights
    if len(fitting) > 1:
        raise BundleError(
            f"{file}: the weights of {type(network).__name__} are there twice, behind '{fitting[0]}' and "
            f"'{fitting[1]}'; keep one of them in the file"
        )
    return {key.removeprefix(fitting[0]): value for key, value in weights.items() if key.startswith(fitting[0])}


def check_weights(file: Path, weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Compare weights with what the network expects; raises BundleError naming the first that differs."""
    expected = network.state_dict()
    kind = type(network).__name__
    for key, value in expected.items():
        if key not in weights:
            raise BundleError(f"{file}: '{key}' of {kind} is missing; does configs/inference.json define this network?")
        if weights[key].shape != value.shape:
            raise BundleError(
                f"{file}: '{key}' has shape {tuple(weights[key].shape)} but {kind} expects {tuple(value.shape)}; "
                "does configs/inference.json define this network?"
            )
        if (
            weights[key].layout != torch.strided
            or weights[key].dtype.is_floating_point != value.dtype.is_floating_point
        ):
            raise BundleError(f"{file}: '{key}' is {weights[key].dtype}, {weights[key].layout}, not {value.dtype}")
        if not torch.isfinite(weights[key]).all():
            raise BundleError(f"{file}: '{key}' holds NaN or infinite values; train the source again")
    unexpected = [key for key in weights if key not in expected]
    if unexpected:
        raise BundleError(f"{file}: '{unexpected[0]}' is not part of {kind}; does configs/inference.json define it?")


def _is_torchscript(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _reason(error: Exception) -> str:
    """One line out of torch's page of advice, which for weights_only would be to run the file anyway."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is broken or holds more than tensors, which could run code when loaded"
    return f"it cannot be read as weights ({getattr(error, 'strerror', None) or type(error).__name__})"

"""A source on disk: a MONAI bundle, written whole or not at all, and read without trusting it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast
from uuid import uuid4

import torch
from pydantic import ValidationError
from torch import nn

from medtrans.config import PreprocessingSettings
from medtrans.errors import BundleError, ConfigError
from medtrans.networks import network_arguments, network_skeleton
from medtrans.sources import description as texts
from medtrans.sources.architecture import read_activation, read_network_definition
from medtrans.sources.description import Description
from medtrans.sources.files import Document, member, read_document, unreadable
from medtrans.sources.signature import Signature
from medtrans.sources.weights import check_weights, load_network, write_weights
from medtrans.tasks import TaskName

METADATA_FILE = "configs/metadata.json"
INFERENCE_FILE = "configs/inference.json"
WEIGHTS_FILE = "models/model.pt"

Activation = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, eq=False)
class Source:
    """A trained model and its task.

    Attributes:
        name: the bundle's folder relative to its pool; of a source that medtrans trained, its task.
        path: the bundle's folder.
        task: what it was trained on; None for bundles that others wrote.
        modality: contrast of the images, as the bundle names it; several channels are joined by ``+``.
        spatial_dims: 2 or 3.
        in_channels: channels of an image.
        out_channels: channels of the logits.
        class_names: one per output channel.
        activation: ``"softmax"``, or ``"sigmoid"`` where classes may overlap.
        network_definition: architecture and arguments, for ``medtrans.networks``.
        preprocessing: the settings that its training images were prepared with; None where unknown.
        signature: what it tells about its training data; None where it tells nothing.
        metadata: all of ``configs/metadata.json``.
    """

    name: str
    path: Path
    task: TaskName | None
    modality: str | None
    spatial_dims: int
    in_channels: int
    out_channels: int
    class_names: tuple[str, ...]
    activation: Activation
    network_definition: dict[str, Any]
    preprocessing: dict[str, Any] | None
    signature: Signature | None
    metadata: dict[str, Any]

    def load_network(self, device: str | torch.device = "cpu") -> nn.Module:
        """Build the network with its trained weights, in evaluation mode.

        Raises:
            BundleError: the weights hold anything but tensors, NaN or infinite values, or do not fit the network.
        """
        return load_network(member(self.path, WEIGHTS_FILE), self.network_definition).to(device)

    def weights_digest(self) -> str:
        """SHA-256 of the file of weights: which ones they are. Raises BundleError where it cannot be read."""
        file = member(self.path, WEIGHTS_FILE)
        try:
            with file.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(file, error) from error


def write_bundle(
    path: str | Path,
    *,
    network: nn.Module,
    definition: Mapping[str, Any],
    task: TaskName,
    class_names: Sequence[str],
    preprocessing: PreprocessingSettings,
    signature: Signature | None,
    training_record: Mapping[str, Any],
) -> Source:
    """Write a source that medtrans trained. A bundle that is already there is replaced.

    All files are written to a hidden folder beside ``path``, read again as a check, and then renamed. On any error the
    pool stays as it was. A kill leaves a hidden folder that the next writer removes; between the two renames of a
    replacement it leaves both bundles whole, under hidden names.

    ``training_record`` comes back as ``source.metadata["medtrans"]["training"]``.

    Raises:
        BundleError: the disk is full or read-only, or network, definition and classes do not fit together.
        NetworkError: ``definition`` is not one of ``medtrans.networks``.
    """
    path = Path(path)
    check_weights(path, network.state_dict(), network_skeleton(definition))
    description = Description(task, class_names, definition, preprocessing, signature, training_record)
    created = [folder for folder in path.parents if not folder.exists()]
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        _write_files(partial, description, network)
        source = read_bundle(partial, str(task))
        _put_in_place(partial, path)
        _remove_leftovers(path)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be written ({error.strerror or error}); free the disk or choose another pool"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_if_empty(created)
    return replace(source, path=path)


def read_bundle(path: str | Path, name: str | None = None) -> Source:
    """Read a bundle that medtrans, the MONAI Model Zoo or a stranger wrote. Weights are read by ``load_network``.

    ``name`` defaults to the folder's. Nothing in the bundle is evaluated, imported or unpickled.

    Raises:
        BundleError: a file or key is missing, wrong, contradicts another, or is refused; the message names both.
    """
    path = Path(path)
    metadata = read_document(path, METADATA_FILE)
    _check_weights_are_there(path)
    inference = read_document(path, INFERENCE_FILE)
    definition = read_network_definition(inference)
    arguments = network_arguments(definition)
    class_names = _channel_names(metadata, "outputs", arguments["out_channels"])
    source = Source(
        name=name or path.name,
        path=path,
        task=None,
        modality=_modality(metadata, _channel_names(metadata, "inputs", arguments["in_channels"])),
        spatial_dims=_spatial_dims(inference, arguments["spatial_dims"]),
        in_channels=arguments["in_channels"],
        out_channels=arguments["out_channels"],
        class_names=class_names,
        activation=cast(Activation, read_activation(inference, arguments["out_channels"])),
        network_definition=definition,
        preprocessing=None,
        signature=Signature.load(path) if (path / "signature").exists() else None,
        metadata=metadata.content,
    )
    return _with_own_facts(source, metadata) if "medtrans" in metadata.content else source


def _with_own_facts(source: Source, metadata: Document) -> Source:
    if metadata.get("medtrans", "format", kind=int) != texts.FORMAT:
        raise BundleError(f"{metadata.file}: key 'medtrans.format' is not {texts.FORMAT}; update medtrans")
    try:
        task = TaskName.parse(metadata.get("medtrans", "task", kind=str))
    except ConfigError as error:
        raise BundleError(f"{metadata.file}: key 'medtrans.task': {error}") from error
    if source.signature is not None and source.signature.task != task:
        raise BundleError(f"{metadata.file}: the task is {task}, but the signature is of {source.signature.task}")
    return replace(source, task=task, modality=task.modality, preprocessing=_preprocessing(source, metadata))


def _preprocessing(source: Source, metadata: Document) -> dict[str, Any]:
    stated = metadata.get("medtrans", "preprocessing", kind=dict)
    try:
        spacing_mm = PreprocessingSettings.model_validate(stated).spacing_mm
    except ValidationError as error:
        raise BundleError(f"{metadata.file}: key 'medtrans.preprocessing' is not as medtrans writes it") from error
    if isinstance(spacing_mm, tuple) and len(spacing_mm) != source.spatial_dims:
        raise BundleError(f"{metadata.file}: key 'medtrans.preprocessing.spacing_mm' is not one number an axis")
    return stated


def _check_weights_are_there(path: Path) -> None:
    if not (path / WEIGHTS_FILE).exists() and (path / "models/model.ts").exists():
        raise BundleError(
            f"{path / 'models/model.ts'}: refused, a TorchScript model is code; ask for its weights in {WEIGHTS_FILE}"
        )
    member(path, WEIGHTS_FILE)


def _spatial_dims(inference: Document, found: Any) -> int:
    if found not in (2, 3):
        raise BundleError(f"{inference.file}: key 'network_def.spatial_dims' is {found}; only 2 and 3 are read")
    return int(found)


def _channel_names(metadata: Document, side: str, n_channels: Any) -> tuple[str, ...]:
    """Names of the network's input or output channels; raises BundleError where metadata and network differ."""
    tensor = _tensor(metadata, side)
    where = f"network_data_format.{side}.{tensor}"
    stated = metadata.get("network_data_format", side, tensor, "num_channels", kind=int)
    if stated != n_channels:
        raise BundleError(
            f"{metadata.file}: key '{where}.num_channels' is {stated}, not {n_channels} as in {INFERENCE_FILE}"
        )
    named = metadata.content["network_data_format"][side][tensor].get("channel_def")
    named = named if isinstance(named, dict) else {}
    return tuple(str(named.get(str(i), f"channel {i}")) for i in range(stated))


def _tensor(metadata: Document, side: str) -> str:
    tensors = list(metadata.get("network_data_format", side, kind=dict))
    if len(tensors) != 1:
        raise BundleError(
            f"{metadata.file}: key 'network_data_format.{side}' names {len(tensors)} tensors; only one is read"
        )
    return str(tensors[0])


def _modality(metadata: Document, channel_names: Sequence[str]) -> str | None:
    """Contrasts by the names of the channels where they tell more than the field, which often says no more than MR."""
    if not any(name == "image" or name.startswith("channel ") for name in channel_names):
        return "+".join(channel_names)
    stated = metadata.content["network_data_format"]["inputs"][_tensor(metadata, "inputs")].get("modality")
    return stated if isinstance(stated, str) and stated not in ("", "n/a") else None


def _write_files(folder: Path, source: Description, network: nn.Module) -> None:
    _write_text(folder / METADATA_FILE, _as_json(texts.metadata(source), METADATA_FILE))
    _write_text(folder / INFERENCE_FILE, _as_json(texts.inference(source), INFERENCE_FILE))
    _write_text(folder / "docs/README.md", texts.model_card(source))
    _write_text(folder / "LICENSE", texts.LICENSE)
    if source.signature is not None:
        source.signature.save(folder)
    (folder / WEIGHTS_FILE).parent.mkdir()
    write_weights(folder / WEIGHTS_FILE, network)


def _as_json(content: dict[str, Any], file: str) -> str:
    try:
        return json.dumps(content, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise BundleError(f"{file}: {error}; write plain finite values into the training record") from error


def _write_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _put_in_place(partial: Path, path: Path) -> None:
    """Rename a folder; another one in its place is moved aside first, and back if that fails."""
    if not path.exists():
        partial.rename(path)
        return
    old = partial.with_name(f"{partial.name}.old")
    path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what killed writers of this bundle left beside it, now that it is whole."""
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}(\.old)?")
    for folder in path.parent.iterdir():
        if leftover.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_empty(folders: Sequence[Path]) -> None:
    for folder in folders:  # the deepest first
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

"""From a task to a source in the pool: a training that survives a kill, and the signature beside the weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medtrans.config import (
    NetworkSettings,
    PreprocessingSettings,
    SamplerSettings,
    SignatureSettings,
    TrainingSettings,
    differences,
)
from medtrans.data.statistics import intensity_quantiles, mean_shape
from medtrans.errors import BundleError, NetworkError, TrainingError
from medtrans.features import extract_features
from medtrans.learning.checkpoint import Checkpoint
from medtrans.learning.evaluate import segmentation_accuracy
from medtrans.learning.loop import Descent, descend
from medtrans.learning.measures import Accuracy
from medtrans.networks import build_network, fill_encoder, network_definition, resolve_device, size_divisor
from medtrans.progress import Progress
from medtrans.sampling import sample_pixels
from medtrans.sources import Signature, Source, read_bundle, write_bundle
from medtrans.sources.weights import read_weights
from medtrans.tasks import Case, Task, is_structure
from medtrans.threads import limited_threads

UNFINISHED = ".partial"
"""Folder of a pool in which the checkpoints of unfinished trainings lie."""


@limited_threads()
def train_source(
    task: Task,
    *,
    pool: Path,
    preprocessing: PreprocessingSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    signature: SignatureSettings,
    sampler: SamplerSettings,
    name: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Source:
    """Train a network on a task and add it to the pool as a MONAI bundle.

    It starts from random weights, or from ``network.encoder_weights`` in its first layers.

    ``name`` is that of its folder in the pool, and of the source; None: as the task. A training that was killed goes on
    at its last checkpoint, ``<pool>/.partial/<name>/checkpoint.pt``. A bundle that is there already, trained with the
    same settings on the same data, is returned as it is, but for a signature that an older medtrans took: that is
    written anew. The bundle's metadata record how the training went: settings, steps, final loss, accuracy on the
    training cases, seconds, versions.

    Raises:
        TrainingError: no case shows the structure, the loss is not finite, or the pool holds a bundle or a checkpoint
            of this name that comes from other settings or data.
        SamplingError: the signature's pixels cannot be drawn; found out before the training.
        NetworkError: the network does not take the task's images, or the file of encoder weights.
        BundleError: the bundle cannot be written, or the one that is there is broken.
    """
    name, pool = name or str(task.name), Path(pool)
    definition = definition_for(task, network)
    weights_depend_on = {
        "data": data_digest(task.cases),
        "class_names": list(task.class_names),
        "network": definition,
        "encoder_weights": _file_digest(network.encoder_weights),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
    }
    signature_depends_on = {"signature": signature.model_dump(mode="json"), "sampler": sampler.model_dump(mode="json")}
    settings = weights_depend_on | signature_depends_on
    checkpoint = Checkpoint(pool / UNFINISHED / name / "checkpoint.pt", weights_depend_on)
    if (pool / name).exists():
        source = _finished_source(pool / name, name, settings)
        if source.signature is not None and source.signature.is_outdated:
            source = _with_current_signature(source, task, signature, sampler, training.seed, resolve_device(device))
    else:
        place, divisor = resolve_device(device), size_divisor(definition)
        _check_pixels(task, signature, sampler)
        model, descent = train_network(
            task,
            definition,
            training,
            encoder_weights=network.encoder_weights,
            device=place,
            checkpoint=checkpoint,
            progress=progress,
        )
        record = _record(model, descent, task, divisor, place)
        rng = np.random.default_rng(training.seed)
        told = make_signature(model, task, signature, sampler, divisor=divisor, rng=rng, device=place)
        source = write_bundle(
            pool / name,
            network=model.cpu(),
            definition=definition,
            task=task.name,
            class_names=task.class_names,
            preprocessing=preprocessing,
            signature=told,
            training_record={"settings": settings, **record},
        )
    _discard(checkpoint, pool)
    return replace(source, name=name)


def make_signature(
    network: nn.Module,
    task: Task,
    settings: SignatureSettings,
    sampler: SamplerSettings,
    *,
    divisor: int,
    rng: np.random.Generator,
    device: str | torch.device = "cpu",
) -> Signature | None:
    """What the bundle tells about its training data.

    ``full``: features and labels of ``settings.n_pixels`` pixels, drawn as ``sampler`` says, the mean shape and the
    intensity quantiles; ``reduced``: without the pixels; ``none``: nothing.
    """
    if settings.content == "none":
        return None
    statistics = Signature(
        task=task.name,
        n_subjects=len(task.subjects),
        shape=mean_shape(task.cases) if task.has_background else None,
        intensity_quantiles=intensity_quantiles(task.cases),
    )
    if settings.content == "reduced":
        return statistics
    drawn = sampler.model_dump() | {"n_pixels": settings.n_pixels, "repetitions": 1}
    sample = sample_pixels(task.cases, **drawn, rng=rng)
    found = extract_features(network, task.cases, sample, divisor=divisor, device=device)
    return replace(statistics, features=found.features, labels=sample.label)


def _check_pixels(task: Task, settings: SignatureSettings, sampler: SamplerSettings) -> None:
    """Raise SamplingError before the training, not after it, where the signature will find no pixels."""
    shown = (is_structure(case.label, has_background=task.has_background).any() for case in task.cases)
    if settings.content == "full" and any(shown):  # if none does, the training says so itself
        drawn = sampler.model_dump() | {"n_pixels": 1, "repetitions": 1}
        sample_pixels(task.cases, **drawn, rng=np.random.default_rng(0))


def data_digest(cases: Sequence[Case]) -> str:
    """SHA-256 of all that training reads of the cases: ids, subjects, spacings, images and labels, in order."""
    digest = hashlib.sha256()
    for case in cases:
        facts = (case.id, case.subject, case.spacing_mm, case.height, case.image.shape)
        digest.update(repr(facts).encode())
        digest.update(case.image.tobytes())
        digest.update(case.label.tobytes())
    return digest.hexdigest()


def definition_for(task: Task, network: NetworkSettings) -> dict[str, Any]:
    """The architecture as data, with inputs and outputs as the task has them. Raises NetworkError."""
    return network_definition(
        network.name,
        spatial_dims=task.ndim,
        in_channels=task.n_channels,
        out_channels=task.n_classes,
        width=network.width,
    )


@limited_threads()
def train_network(
    task: Task,
    definition: Mapping[str, Any],
    training: TrainingSettings,
    *,
    encoder_weights: Path | None = None,
    device: str | torch.device = "auto",
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[nn.Module, Descent]:
    """Train a network on a task's cases; returns it in training mode, and how it went.

    It starts from random weights, of which those of the encoder may come from a file. Weights and batches come from
    ``training.seed``: the same arguments give the same network, as in ``descend``. Raises as ``descend``, and
    NetworkError as ``build_network``, or where the file is no state dictionary that fits.
    """
    model = build_network(definition, seed=training.seed).train()
    if encoder_weights is not None:
        fill_encoder(model, _encoder_weights(encoder_weights), encoder_weights)
    descent = descend(
        model,
        task,
        training,
        divisor=size_divisor(definition),
        device=resolve_device(str(device)),
        text=str(task.name),
        checkpoint=checkpoint,
        progress=progress,
    )
    return model, descent


def _encoder_weights(file: Path) -> dict[str, Tensor]:
    try:
        return read_weights(file)
    except BundleError as error:
        raise NetworkError(f"network.encoder_weights: {error}") from error


def _file_digest(file: Path | None) -> str | None:
    """SHA-256 of a file of encoder weights: which ones they were, wherever they lie."""
    if file is None:
        return None
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise NetworkError(
            f"network.encoder_weights: {file} cannot be read ({error.strerror}); check the path, or leave it out"
        ) from error


def _record(model: nn.Module, descent: Descent, task: Task, divisor: int, device: torch.device) -> dict[str, Any]:
    """How a training went, for the bundle's metadata."""
    accuracy = segmentation_accuracy(
        model, task.cases, task.n_classes, has_background=task.has_background, divisor=divisor, device=device
    )
    return {
        **descent._asdict(),
        "training_accuracy": accuracy._asdict(),
        "device": device.type,
        "torch": torch.__version__,
    }


def training_accuracy(source: Source) -> Accuracy:
    """How right a source that medtrans trained is on its own training cases; NaN for what its record does not tell."""
    record = source.metadata.get("medtrans", {}).get("training", {})
    told = record.get("training_accuracy", {})
    return Accuracy(*(float(told.get(measure, math.nan)) for measure in Accuracy._fields))


def _finished_source(folder: Path, name: str, settings: Mapping[str, Any]) -> Source:
    """The source in the folder, if it was trained with these settings."""
    try:
        source = read_bundle(folder, name)
    except BundleError as error:
        raise BundleError(
            f"{folder}: is there already, but is no source that can be read ({error}); "
            "delete it to train again, or choose another pool"
        ) from error
    record = source.metadata.get("medtrans", {}).get("training", {})
    if changes := differences(record.get("settings", {}), settings):
        raise TrainingError(
            f"{folder}: holds a source from other settings or data ({changes}); "
            "delete it to train again, or choose another pool"
        )
    return source


def _with_current_signature(
    source: Source, task: Task, settings: SignatureSettings, sampler: SamplerSettings, seed: int, device: torch.device
) -> Source:
    """The source with a signature that this version takes of the same network and data, and writes into its bundle."""
    told = make_signature(
        source.load_network(device),
        task,
        settings,
        sampler,
        divisor=size_divisor(source.network_definition),
        rng=np.random.default_rng(seed),
        device=device,
    )
    if told is not None:
        told.save(source.path)
    return replace(source, signature=told)


def _discard(checkpoint: Checkpoint, pool: Path) -> None:
    """Remove a checkpoint that is no longer needed, and the folders it alone was in."""
    checkpoint.remove()
    folder = checkpoint.path.parent
    while folder != pool and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent

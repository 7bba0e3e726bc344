"""Small bundles to read, break and attack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medtrans.config import PreprocessingSettings
from medtrans.data.statistics import MeanShape
from medtrans.networks import build_network, network_definition
from medtrans.sources import Signature, Source, write_bundle
from medtrans.tasks import TaskName

TASK = TaskName("open-ms", "FLAIR", "lesion")


def small_definition(in_channels: int = 1, out_channels: int = 2) -> dict[str, Any]:
    return network_definition("BasicUNet", spatial_dims=2, in_channels=in_channels, out_channels=out_channels, width=2)


def small_signature(task: TaskName = TASK) -> Signature:
    rng = np.random.default_rng(0)
    return Signature(
        task=task,
        n_subjects=3,
        features=rng.normal(size=(6, 2)).astype(np.float32),
        labels=np.array([0, 1, 0, 1, 1, 0], dtype=np.uint8),
        shape=MeanShape(rng.random((4, 4, 4), dtype=np.float32), np.array([True, False, True, True])),
        intensity_quantiles=np.linspace(-2, 2, 11, dtype=np.float32),
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Source]:
    """Writes a bundle into the pool; every part can be given."""

    def write_one(task: TaskName = TASK, *, path: Path | None = None, seed: int = 0, **parts: Any) -> Source:
        definition = parts.get("definition", small_definition())
        defaults: dict[str, Any] = {
            "network": build_network(definition, seed=seed),
            "definition": definition,
            "task": task,
            "class_names": ("background", task.structure),
            "preprocessing": PreprocessingSettings(spacing_mm=2.0),
            "signature": small_signature(task),
            "training_record": {"steps": 3, "loss": 0.5},
        }
        return write_bundle(path or tmp_path / "pool" / str(task), **(defaults | parts))

    return write_one


@pytest.fixture
def bundle(write: Callable[..., Source]) -> Path:
    """Folder of a sound bundle."""
    return write().path


@pytest.fixture
def edit(bundle: Path) -> Callable[..., None]:
    """Changes values of a JSON file of the bundle: edit("configs/metadata.json", {("a", "b"): 1})."""

    def edit_one(relative: str, changes: dict[tuple[str, ...], Any]) -> None:
        content = json.loads((bundle / relative).read_text())
        for (*keys, last), value in changes.items():
            part = content
            for key in keys:
                part = part[key]
            if value is None:
                del part[last]
            else:
                part[last] = value
        (bundle / relative).write_text(json.dumps(content))

    return edit_one


@pytest.fixture
def zoo_bundle(tmp_path: Path) -> Path:
    """A bundle in the layout of the Model Zoo's brain tumour segmentation, with a small network."""
    folder = tmp_path / "zoo" / "brats_mri_segmentation"
    definition = {
        "_target_": "SegResNet",
        "blocks_down": [1, 1],
        "blocks_up": [1],
        "init_filters": 8,
        "in_channels": 4,
        "out_channels": 3,
        "dropout_prob": 0.2,
    }
    inference = {
        "imports": ["$import os"],
        "bundle_root": ".",
        "ckpt_dir": "$@bundle_root + '/models'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "n_classes": 3,
        "network_def": definition | {"out_channels": "@n_classes"},
        "network": "$@network_def.to(@device)",
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
                {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x"},
            ],
        },
    }
    tensor = {"type": "image", "spatial_shape": ["8*n", "8*n", "8*n"], "dtype": "float32"}
    channels = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}
    regions = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
    metadata = {
        "version": "0.5.2",
        "task": "Multimodal Brain Tumor segmentation",
        "network_data_format": {
            "inputs": {"image": tensor | {"modality": "MR", "num_channels": 4, "channel_def": channels}},
            "outputs": {"pred": tensor | {"num_channels": 3, "channel_def": regions}},
        },
    }
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs/inference.json").write_text(json.dumps(inference))
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    torch.save(build_network(definition, seed=7).state_dict(), folder / "models/model.pt")
    return folder

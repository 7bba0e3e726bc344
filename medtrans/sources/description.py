"""What a written bundle says about itself: metadata.json, inference.json, a model card and terms of use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from medtrans.config import PreprocessingSettings
from medtrans.networks import network_arguments, size_divisor
from medtrans.sources.signature import Signature
from medtrans.tasks import RGB, TaskName

FORMAT = 1
"""Of the entry ``medtrans`` in ``configs/metadata.json``."""

_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_VERSION = version("medtrans")
_COLOURS = ("red", "green", "blue")
_INTENDED_USE = "Research on transferability. Not for diagnosis."

LICENSE = """\
Terms of use of this bundle

The weights of this model, and its signature if there is one, derive from the data that the model was trained on.
The terms of use of that data apply to them. Some data sets, iSeg among them, forbid passing on what derives from the
data: check those terms before this bundle leaves the place where it was trained.

The software that wrote this bundle, medtrans, grants no rights to the data or to what derives from it.
"""


@dataclass(frozen=True, eq=False)
class Description:
    """What there is to say about a source; see ``write_bundle``."""

    task: TaskName
    class_names: Sequence[str]
    definition: Mapping[str, Any]
    preprocessing: PreprocessingSettings
    signature: Signature | None
    training_record: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """For example ``2D BasicUNet``."""
        dims = network_arguments(self.definition)["spatial_dims"]
        return f"{dims}D {self.definition['_target_'].rpartition('.')[2]}"

    @property
    def settings(self) -> dict[str, Any]:
        """How the source was made."""
        return {"preprocessing": self.preprocessing.model_dump(mode="json"), "training": dict(self.training_record)}


def metadata(source: Description) -> dict[str, Any]:
    """Every mandatory field of MONAI's bundle specification, and medtrans' own facts under the key ``medtrans``."""
    task = source.task
    return {
        "schema": _SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "trained"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": _required_packages(source.definition),
        "task": f"Segmentation of {task.structure} in {task.modality}",
        "description": f"{source.architecture} trained on {task.modality} images of {task.domain}",
        "authors": f"trained with medtrans {_VERSION}",
        "copyright": "see LICENSE",
        "intended_use": _INTENDED_USE,
        "network_data_format": _data_format(source),
        "medtrans": {"format": FORMAT, "version": _VERSION, "task": str(task)} | source.settings,
    }


def inference(source: Description) -> dict[str, Any]:
    """The network and what follows it, in MONAI's configuration language, without expressions."""
    return {
        "network_def": dict(source.definition),
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            ],
        },
    }


def model_card(source: Description) -> str:
    """``docs/README.md``: what the model does, how it was made, what it gives away, what it is not for."""
    task = source.task
    return f"""\
# {task}

Segments {task.structure} in {task.modality} images of {task.domain}: classes {", ".join(source.class_names)}.
A {source.architecture}, trained with medtrans {_VERSION} as a source to transfer from.

- Intended use: {_INTENDED_USE}
- Signature: {_told(source.signature)}
- Terms of use: see `LICENSE`.

## How it was made

```json
{json.dumps(source.settings, indent=2)}
```
"""


def _required_packages(definition: Mapping[str, Any]) -> dict[str, str]:
    """What other tools need beside MONAI to build the network."""
    return {"medtrans": _VERSION} if definition["_target_"].startswith("medtrans.") else {}


def _told(signature: Signature | None) -> str:
    if signature is None:
        return "none. Nothing but the weights derives from the data."
    statistics = "intensity quantiles" if signature.shape is None else "mean shape and intensity quantiles"
    subjects = f"{signature.n_subjects} subject{'s' if signature.n_subjects > 1 else ''}"
    if signature.features is None:
        return f"reduced. {statistics.capitalize()} over {subjects}; nothing of single pixels."
    return f"full. Features and labels of {len(signature.features)} pixels of {subjects}, {statistics}."


def _data_format(source: Description) -> dict[str, Any]:
    arguments = network_arguments(source.definition)
    common = {
        "type": "image",
        "modality": source.task.modality,
        "spatial_shape": [f"{size_divisor(source.definition)}*n"] * arguments["spatial_dims"],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
    }
    n_channels = arguments["in_channels"]
    if source.task.modality == RGB and n_channels == len(_COLOURS):
        channels = list(_COLOURS)
    else:
        channels = [source.task.modality] if n_channels == 1 else [f"channel {i}" for i in range(n_channels)]
    image = _channels("magnitude", channels)
    prediction = _channels("labels", source.class_names)
    return {"inputs": {"image": common | image}, "outputs": {"pred": common | prediction}}


def _channels(kind: str, names: Sequence[str]) -> dict[str, Any]:
    return {"format": kind, "num_channels": len(names), "channel_def": {str(i): it for i, it in enumerate(names)}}

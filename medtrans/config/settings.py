"""What jobs are made of: each class is one block of a YAML file, with its defaults.

Relative paths in a configuration are relative to the folder the command is run in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from medtrans.config.layouts import layout_named
from medtrans.errors import ConfigError, did_you_mean
from medtrans.tasks import TaskName
from medtrans.tasks.relations import RELATIONS, Relations

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=2**14)]  # of an image, in pixels
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _usable_path(value: Any) -> Any:
    """A text with ``~`` expanded; anything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("expected a path; write . for the folder the command is run in")
    try:
        return str(Path(value).expanduser())
    except RuntimeError as error:
        raise ValueError("there is no such user's home folder; write the path out") from error


AccuracyMeasure = Literal["dice", "miou", "pixel_accuracy"]

MEASURE_NAMES: Mapping[AccuracyMeasure, str] = {"dice": "Dice", "miou": "mIoU", "pixel_accuracy": "pixel accuracy"}
"""Measures of accuracy as people write them."""

AnyPath = Annotated[Path, BeforeValidator(_usable_path)]


class Settings(BaseModel):
    """Base of all settings: immutable, no unknown keys, finite numbers, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def _known_format(name: str) -> str:
    try:
        return layout_named(name).name
    except ConfigError as error:
        raise ValueError(str(error).replace(f" format '{name}'", "")) from error


class DataSettings(Settings):
    """Where cases come from."""

    format: Annotated[str, AfterValidator(_known_format)]  # a layout, see docs/data.md
    root: AnyPath
    cases: tuple[str, ...] | None = None  # None: every labelled case
    n_cases: Count | None = None  # how many of these, evenly spaced in their order; None: all
    draw: Count = 1  # which n_cases of them: draw 2 takes the next case after each of draw 1, and so on
    slices: Count | tuple[int, ...] | None = None  # 2D only: how many, or which, slices a case has labels on
    empty_slices: Count | None = None  # beside them: how many that show brain but not the structure; None: none
    partition_file: AnyPath | None = None  # FeTS: another CSV than the first one in the root

    def whole(self, cases: tuple[str, ...] | None) -> DataSettings:
        """The same data set with all of these cases, and all slices of each."""
        return self.model_copy(
            update={"cases": cases, "slices": None, "empty_slices": None, "n_cases": None, "draw": 1}
        )


class PreprocessingSettings(Settings):
    """From files to arrays."""

    dimensions: Literal[2, 3] = 2
    spacing_mm: Positive | tuple[Positive, ...] | None = None  # None: as in the file
    size: tuple[Side, Side] | None = None  # photographs only: height and width in pixels; None: as in the file


class NetworkSettings(Settings):
    """An architecture by name and width."""

    name: Literal["BasicUNet", "DynUNet", "SegResNet", "FCN8s", "UNet", "SegNet", "PSPNet", "FRRNA", "FRRNB"] = (
        "BasicUNet"  # those from FCN8s on in 2D only
    )
    width: Count = 16  # channels of the first level; in the papers 64, of FRRNA and FRRNB 48
    encoder_weights: AnyPath | None = None  # a state dictionary of ImageNet weights; None: random weights


class TrainingSettings(Settings):
    """Gradient descent. The batch of step t depends on (seed, t) alone, so a resumed run equals an undisturbed one."""

    steps: Count = 300
    steps_per_epoch: Count = 50  # a checkpoint is written after every epoch
    batch_size: Count = 8
    patch_size: Count | tuple[Count, ...] | None = None  # None: whole slices in 2D, 96 voxels a side in 3D
    learning_rate: Positive = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    augment: bool = True
    seed: Seed = 0


class MetricSettings(Settings):
    """A metric with other options than its defaults: ``{name: otce_sim, epsilon: 0.05, cost_scale: max}``."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, str | int | float | bool | None]:
        """All but the name; whether the metric has them is known where it is looked up."""
        return dict(self.model_extra or {})


Metrics = Annotated[tuple[str | MetricSettings, ...], Field(min_length=1)]


def metric_choices(metrics: Metrics) -> list[str | tuple[str, dict[str, Any]]]:
    """Metrics of a configuration as `choose_metrics` takes them."""
    return [metric if isinstance(metric, str) else (metric.name, metric.options) for metric in metrics]


class SignatureSettings(Settings):
    """What a source tells about its training data. ``reduced`` leaves out features and labels of single pixels."""

    content: Literal["full", "reduced", "none"] = "full"
    n_pixels: Count = 10_000


class SamplerSettings(Settings):
    """Which pixels to look at: of scans, 60% of them near edges and 40% outside the body."""

    kind: Literal["boundary", "uniform"] = "boundary"
    n_pixels: Count = 10_000
    repetitions: Count = 10
    band_mm: Positive = 4.0  # of photographs: pixels
    weighting: Literal["uniform", "distance"] = "uniform"
    balance_classes: bool = False
    ignored_edges: bool = False  # whether the border of an ignored region is an edge
    outside: Annotated[float, Field(ge=0, lt=1)] = 0.4  # share from outside the body; photographs have none


class FilterSettings(Settings):
    """Which sources to drop before any model runs."""

    modality: bool = False  # both off: in studies of real scans they drop the best sources more often than the worst
    max_modality_distance: Positive = 0.45
    roi: bool = False
    min_shape_similarity: Annotated[float, Field(gt=0, le=1)] = 0.2
    min_pool: Count = 4  # never leave fewer sources than this

    @property
    def drop_any(self) -> bool:
        """Whether a filter is switched on."""
        return self.modality or self.roi


Members = Annotated[tuple[str, ...], Field(min_length=1)]


class RelationSettings(Settings):
    """What the rule by names knows of structures beside what it knows already; see ``medtrans.tasks.relations``."""

    parts: dict[str, Members] = {}  # of structures that consist of others: TC: [NCR, ET]
    wholes: dict[str, Members] = {}  # what parts together make up
    groups: dict[str, Members] = {}  # of structures that are alike, so that sources of one serve the others

    def table(self) -> Relations:
        """The default with these."""
        return RELATIONS.extended(self.parts, self.wholes, self.groups)

    def structures(self) -> list[str]:
        """Every structure that is named, each once."""
        members = (it for group in (self.parts, self.wholes, self.groups) for names in group.values() for it in names)
        return list(dict.fromkeys((*self.parts, *members)))

    def check(self, tasks: Iterable[TaskName]) -> None:
        """Raise ConfigError for a structure that no source or target is of: more likely it is misspelt."""
        if not (named := self.structures()):
            return  # nor is a pool read for its tasks
        known = dict.fromkeys(part for task in tasks for part in (task.structure, *task.structure.split("+")))
        for structure in named:
            if structure not in known:
                raise ConfigError(
                    f"relations: no source or target is of structure '{structure}'; {did_you_mean(structure, known)}"
                )


Device = Literal["auto", "cpu", "cuda"]


def expand_braces(text: str) -> list[str]:
    """Every combination of the words in braces.

    >>> expand_braces("iseg/{T1,T2}/CSF")
    ['iseg/T1/CSF', 'iseg/T2/CSF']
    """
    parts = [part.split(",") if i % 2 else [part] for i, part in enumerate(re.split(r"\{([^{}]*)\}", text))]
    return ["".join(words) for words in product(*parts)]

"""From YAML to checked settings. An unknown key is an error that names the nearest one.

Relative paths in a configuration are relative to the folder the command is run in.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from medtrans.errors import ConfigError, did_you_mean
from medtrans.tasks import TaskName

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _usable_path(value: Any) -> Any:
    """A text as a path, ``~`` expanded; anything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("expected a path; write . for the folder the command is run in")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such user's home folder; write the path out") from error


AnyPath = Annotated[Path, BeforeValidator(_usable_path)]


class Settings(BaseModel):
    """Base of all settings: immutable, no unknown keys, finite numbers, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Where cases come from."""

    format: Literal["iseg", "fets", "brats-2023", "open-ms", "folder"]
    root: AnyPath
    cases: tuple[str, ...] | None = None  # None: every labelled case
    slices: Count | tuple[int, ...] | None = None  # 2D only: how many, or which, slices a case has labels on
    partition_file: AnyPath | None = None  # FeTS: another CSV than the first one in the root


class PreprocessingSettings(Settings):
    """From files to arrays."""

    dimensions: Literal[2, 3] = 2
    spacing_mm: Positive | tuple[Positive, ...] | None = None  # None: as in the file


class NetworkSettings(Settings):
    """An architecture by name and width."""

    name: Literal["BasicUNet", "DynUNet", "SegResNet"] = "BasicUNet"
    width: Count = 16  # channels of the first level, and of the penultimate feature map


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


class SignatureSettings(Settings):
    """What a source tells about its training data. ``reduced`` leaves out features and labels of single pixels."""

    content: Literal["full", "reduced", "none"] = "full"
    n_pixels: Count = 10_000


class SamplerSettings(Settings):
    """Which pixels to look at."""

    kind: Literal["boundary", "uniform"] = "boundary"
    n_pixels: Count = 10_000
    repetitions: Count = 10
    band_mm: Positive = 4.0
    weighting: Literal["uniform", "distance"] = "uniform"
    balance_classes: bool = False


class FilterSettings(Settings):
    """Which sources to drop before any model runs."""

    modality: bool = True
    max_modality_distance: Positive = 0.45
    roi: bool = True
    min_shape_similarity: Annotated[float, Field(gt=0, le=1)] = 0.2
    min_pool: Count = 4  # never leave fewer sources than this


Device = Literal["auto", "cpu", "cuda"]


class TrainJob(Settings):
    """``medtrans train``: sources into a pool."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]  # braces expand: open-ms/{T1,T2}/{CSF,GM}
    pool: AnyPath
    data: DataSettings
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    sampler: SamplerSettings = SamplerSettings()
    signature: SignatureSettings = SignatureSettings()
    device: Device = "auto"

    def task_names(self) -> list[TaskName]:
        """The tasks with braces expanded, in order, each once."""
        return list(dict.fromkeys(TaskName.parse(name) for text in self.tasks for name in expand_braces(text)))


class RankJob(Settings):
    """``medtrans rank``: a target and a pool into a ranking."""

    target: str
    pool: AnyPath
    data: DataSettings
    output: AnyPath
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    metrics: tuple[str, ...] = ("h_score", "otce_sim")
    sampler: SamplerSettings = SamplerSettings()
    filters: FilterSettings | None = FilterSettings()
    exclude: tuple[str, ...] = ()  # names of sources to leave out
    device: Device = "auto"
    seed: Seed = 0


AnySettings = TypeVar("AnySettings", bound=Settings)


def expand_braces(text: str) -> list[str]:
    """Every combination of the words in braces.

    >>> expand_braces("iseg/{T1,T2}/CSF")
    ['iseg/T1/CSF', 'iseg/T2/CSF']
    """
    parts = [part.split(",") if i % 2 else [part] for i, part in enumerate(re.split(r"\{([^{}]*)\}", text))]
    return ["".join(words) for words in product(*parts)]


def load_settings(path: str | Path, kind: type[AnySettings]) -> AnySettings:
    """Read a YAML file into ``kind``; raises ConfigError with the file, the key and what to do."""
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path}: not a YAML file: {detail}; repair it") from error
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else type(raw).__name__
        raise ConfigError(f"{path}: expected 'key: value' lines, found {found}; see configs/ for examples")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error, kind)}") from error


def _first_problem(error: ValidationError, kind: type[Settings]) -> str:
    # A misspelt key is also a missing one: of the two messages, the one with the nearest name helps.
    problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in problem["loc"] if not _UNION_MEMBER.fullmatch(str(part)))
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, problem["loc"][:-1])
        return f"unknown key '{where}'; {did_you_mean(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"key '{where}' is missing; add it"
    return f"key '{where}': {_said(problem)} (found {_shown(problem['input'])})"


_UNION_MEMBER = re.compile(r"constrained-\w+|tuple\[.*|dict\[.*|int|float")  # in pydantic's locations, after the key
_EXPECTED = {
    "tuple_type": "expected a list, such as [a, b]",
    "model_type": "expected 'key: value' lines",
    "string_type": "expected a text; put it into quotes",
    "path_type": "expected a path",
    "too_short": "the list is empty; name at least one",
}


def _said(problem: Any) -> str:
    """What is wrong, in the words of a YAML file where pydantic speaks of Python."""
    names = re.findall(r"'([^']*)'", problem["ctx"]["expected"]) if problem["type"] == "literal_error" else []
    if names:
        return f"unknown; {did_you_mean(str(problem['input']), names)}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    message = str(problem["msg"])
    return _EXPECTED.get(problem["type"], message[0].lower() + message[1:])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(kind: type[Settings], where: tuple[Any, ...]) -> list[str]:
    for part in where:
        field = kind.model_fields.get(str(part))
        nested = [option for option in _options(field.annotation) if _is_settings(option)] if field else []
        if nested:
            kind = nested[0]
    return list(kind.model_fields)


def _options(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", None) or (annotation,)


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)

"""``medtrans study``: sources, targets, metrics and transfers to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from medtrans.config.layouts import layout_named
from medtrans.config.settings import (
    AccuracyMeasure,
    AnyPath,
    Count,
    DataSettings,
    Device,
    FilterSettings,
    Metrics,
    NetworkSettings,
    PreprocessingSettings,
    RelationSettings,
    SamplerSettings,
    Seed,
    Settings,
    SignatureSettings,
    TrainingSettings,
    expand_braces,
)
from medtrans.errors import ConfigError
from medtrans.tasks import ARCHITECTURE, DRAW, TaskName, metric_label

SCORING = 3
"""Raised whenever the same settings give other results; 3: transfer is judged on other people where there are any."""

Names = Annotated[tuple[str, ...], Field(min_length=1)]


class TaskGroup(Settings):
    """Tasks on the same cases; braces expand: ``open-ms/{T1,T2}/{CSF,GM}``."""

    tasks: Names
    data: DataSettings

    def names(self) -> list[str]:
        """The tasks with braces expanded, in order."""
        return [str(TaskName.parse(name)) for text in self.tasks for name in expand_braces(text)]


class SourceGroup(TaskGroup):
    """Sources: each task is trained with the study's network, or with each of several architectures."""

    networks: Annotated[tuple[NetworkSettings, ...], Field(min_length=1)] | None = None  # None: the study's one

    def names(self) -> list[str]:
        """The sources in order: every task, with ``networks`` once for each architecture: ``open-ms/T1/GM@DynUNet``."""
        if self.networks is None:
            return super().names()
        return [f"{task}{ARCHITECTURE}{network.name}" for task in super().names() for network in self.networks]


class TargetGroup(TaskGroup):
    """Targets: ``data`` are the few labelled cases, on others it is tested what transfer gives."""

    draws: Count = 1  # how often the labelled cases are drawn anew, data.n_cases of them; each is a target of its own
    test_cases: Names | None = None  # None: other people, where there are any; see studies.engine.judged
    test_slices: Count | None = None  # 2D only: of each test case, as many evenly spaced ones; None: all

    @model_validator(mode="after")
    def _draws_of_some(self) -> TargetGroup:
        if self.draws > 1 and self.data.n_cases is None:
            raise ValueError("draws: every draw would label the same cases; say how many with data.n_cases")
        if self.draws > 1 and self.data.draw > 1:
            raise ValueError("draws: counts from the first one; leave data.draw out")
        return self

    def names(self) -> list[str]:
        """The targets in order: every task; with several draws once for each, as ``open-ms/T1/GM#2``."""
        return [name for name, _ in self.by_draw()]

    def by_draw(self) -> list[tuple[str, TargetGroup]]:
        """By name of the target, the group with the data of its draw."""
        if self.draws == 1:
            return [(task, self) for task in super().names()]
        drawn = [(k, self.data.model_copy(update={"draw": k})) for k in range(1, self.draws + 1)]
        alone = [(k, self.model_copy(update={"draws": 1, "data": data})) for k, data in drawn]
        return [(f"{task}{DRAW}{k}", group) for task in super().names() for k, group in alone]


class TransferSettings(Settings):
    """What is measured: how each source is transferred, for each seed. ``null`` leaves a mode out."""

    head: TrainingSettings | None = TrainingSettings(
        steps=200, steps_per_epoch=200, batch_size=4, learning_rate=0.1, augment=False
    )
    full: TrainingSettings | None = TrainingSettings(steps=50, steps_per_epoch=50, batch_size=4, learning_rate=1e-3)
    head_first: bool = True  # full starts from a head retrained as ``head`` says; false: from the source's own
    scratch: TrainingSettings | None = TrainingSettings(steps=100, steps_per_epoch=100, batch_size=4)
    untrained: bool | None = None  # true: also a head, as ``head`` says, on a network with random weights


class ManyToOneSettings(Settings):
    """Transfer of several sources at once: the k best by each metric, by truth, and at random; k = 2 .. largest."""

    largest: Annotated[int, Field(ge=2)] = 3
    metrics: Metrics = ("h_score",)  # whose picks are fused; with options as in the study's metrics, or by their label

    @property
    def metric_labels(self) -> tuple[str, ...]:
        """What these metrics are called in tables."""
        return _labels(self.metrics)


class ExecutorSettings(Settings):
    """Where the pieces of a study run. Not part of what a study is: it may change from run to run."""

    kind: Literal["local", "threads", "dask"] = "local"
    workers: Count | None = None  # None: as many as cores allow
    threads: Count = 1  # of one worker; two threads on a busy core are slower than one
    address: str | None = None  # dask: the scheduler's, for example tcp://10.0.0.1:8786


class StudyJob(Settings):
    """``medtrans study``: every source on every target, scored and transferred."""

    output: AnyPath  # the folder of the store, the pool and the report
    sources: Annotated[tuple[SourceGroup, ...], Field(min_length=1)]
    targets: Annotated[tuple[TargetGroup, ...], Field(min_length=1)]
    pool: AnyPath | None = None  # None: <output>/pool; sources that are there already are not trained again
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    network: NetworkSettings = NetworkSettings()  # of sources whose group names none, and of training from scratch
    training: TrainingSettings = TrainingSettings()  # of the sources
    signature: SignatureSettings = SignatureSettings()
    metrics: Metrics = ("h_score", "otce_sim", "leep", "logme")
    samplers: Annotated[dict[str, SamplerSettings], Field(min_length=1)] = Field(
        default_factory=lambda: {"boundary": SamplerSettings()}
    )
    filters: dict[str, FilterSettings] = Field(  # beside no filter, which is always compared
        default_factory=lambda: {"roi": FilterSettings(roi=True)}
    )
    transfer: TransferSettings = TransferSettings()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1)
    measure: AccuracyMeasure | None = None  # of what transfer gives; None: miou for photographs, dice for the others
    same_task: bool = False  # whether the source of the target's own task is a candidate
    many_to_one: ManyToOneSettings | None = None
    relations: RelationSettings = RelationSettings()  # of structures, for the rule by names
    expectation: AnyPath | None = None  # a fit to other studies, to be judged; None: fitted anew, structures left out
    device: Device = "auto"
    seed: Seed = 0  # of the sampled pixels
    executor: ExecutorSettings = ExecutorSettings()

    @property
    def store_path(self) -> Path:
        """The SQLite file."""
        return self.output / "study.sqlite"

    @property
    def pool_path(self) -> Path:
        """The folder of the sources."""
        return self.pool or self.output / "pool"

    @property
    def accuracy_measure(self) -> AccuracyMeasure:
        """The measure that sources are compared by."""
        return self.measure or ("miou" if self.photographs else "dice")

    @property
    def metric_labels(self) -> tuple[str, ...]:
        """What the metrics are called in tables."""
        return _labels(self.metrics)

    @property
    def photographs(self) -> bool:
        """Whether the targets' images are photographs; otherwise scans."""
        return any(layout_named(group.data.format).kind == "photograph" for group in self.targets)

    def source_groups(self) -> dict[str, SourceGroup]:
        """The group of each source, by name, in order; ConfigError for a name that comes twice."""
        return _by_name([(name, group) for group in self.sources for name in group.names()], "sources")

    def network_of(self, source: str) -> NetworkSettings:
        """The network that a source is trained with."""
        networks = self.source_groups()[source].networks or (self.network,)
        architecture = source.partition(ARCHITECTURE)[2]
        return next(network for network in networks if architecture in ("", network.name))

    def target_groups(self) -> dict[str, TargetGroup]:
        """The group of each target, by name, in order; ConfigError for a name that comes twice."""
        return _by_name([pair for group in self.targets for pair in group.by_draw()], "targets")

    def identity(self) -> dict[str, Any]:
        """What the results depend on, as JSON values: not where files lie, nor where the pieces run.

        Nor ``measure``, as all measures are kept, ``relations`` and ``expectation``, which nothing is run for. Of
        encoder weights the name of the file counts.
        """
        root: Any = {"__all__": {"data": {"root"}}}
        elsewhere: Any = dict.fromkeys(("output", "pool", "executor", "measure", "relations", "expectation"), True)
        elsewhere |= {"sources": root, "targets": root}
        identity = self.model_dump(mode="json", exclude=elsewhere) | {"scoring": SCORING}
        for network in (identity["network"], *(it for group in identity["sources"] for it in group["networks"] or ())):
            network["encoder_weights"] = network["encoder_weights"] and Path(network["encoder_weights"]).name
        return identity


def _labels(metrics: Metrics) -> tuple[str, ...]:
    return tuple(it if isinstance(it, str) else metric_label(it.name, it.options) for it in metrics)


Group = TypeVar("Group", bound=TaskGroup)


def _by_name(named: Sequence[tuple[str, Group]], what: str) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for name, group in named:
        if name in found:
            raise ConfigError(f"{what}: '{name}' is there twice; name each once")
        found[name] = group
    return found

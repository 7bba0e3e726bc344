"""What a command does: one class per kind of YAML file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtrans.config.settings import (
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
from medtrans.tasks import TaskName


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
    threads: Count | None = None  # of torch and BLAS; None: as many as there are free cores

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
    metrics: Metrics = ("head_dice", "h_score")
    sampler: SamplerSettings = SamplerSettings()
    filters: FilterSettings | None = FilterSettings()
    exclude: tuple[str, ...] = ()  # names of sources to leave out
    evidence: AnyPath | None = None  # a study's evidence.json; None: what comes with medtrans
    expectation: AnyPath | Literal["shipped"] | None = "shipped"  # what `medtrans study fit` wrote; null: left out
    relations: RelationSettings = RelationSettings()  # of structures, for what an expectation knows by names
    device: Device = "auto"
    threads: Count | None = None  # of torch and BLAS; None: as many as there are free cores
    seed: Seed = 0

"""Which pieces a study consists of, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from medtrans.config import StudyJob, metric_choices
from medtrans.errors import ConfigError, MetricError, did_you_mean
from medtrans.metrics.registry import choose_metrics
from medtrans.studies.engine.pieces import FUSED, NO_FILTER, SCRATCH, UNTRAINED, Piece, transfer_modes
from medtrans.tasks import TaskName


def plan(job: StudyJob) -> list[list[Piece]]:
    """Two waves: the trainings; then by target what its sources are filtered, scored and transferred by.

    Raises:
        ConfigError: a name is unknown, reserved or there twice, nothing is transferred, or a target has no candidates.
    """
    _check(job)
    trainings = [Piece("train", (source,)) for source in job.source_groups()]
    return [trainings, [piece for target in job.target_groups() for piece in _pieces_for(job, target)]]


def candidates(job: StudyJob, target: str) -> list[str]:
    """Names of the sources that may be transferred to a target, in order: its own task's only with ``same_task``."""
    task = TaskName.of_target(target)
    return [source for source in job.source_groups() if job.same_task or TaskName.of_source(source) != task]


def _pieces_for(job: StudyJob, target: str) -> list[Piece]:
    sources = candidates(job, target)
    pieces = [Piece("filter", target=target)] if job.filters else []
    pieces += [Piece("score", (source,), target) for source in sources]
    pieces += [
        Piece("transfer", (source,), target, mode, seed)
        for mode in transfer_modes(job)
        for source in sources
        for seed in job.seeds
    ]
    if job.transfer.scratch is not None:
        pieces += [Piece("transfer", (), target, SCRATCH, seed) for seed in job.seeds]
    if job.transfer.untrained:
        pieces += [Piece("transfer", (), target, UNTRAINED, seed) for seed in job.seeds]
    return pieces


def _check(job: StudyJob) -> None:
    _check_names("seeds", job.seeds)
    _check_metrics(job)
    if NO_FILTER in job.filters:
        raise ConfigError(f"filters: the name '{NO_FILTER}' stands for no filter, which is always compared; rename it")
    _check_transfer(job)
    tasks = [TaskName.of_source(name) for name in job.source_groups()]
    job.relations.check([*tasks, *(TaskName.of_target(name) for name in job.target_groups())])
    for source in job.source_groups():
        if FUSED in source:
            raise ConfigError(f"sources: '{source}': '{FUSED}' stands between the names of fused sources; rename it")
    for target in job.target_groups():
        if not candidates(job, target):
            raise ConfigError(f"targets: '{target}' has no source but its own; add sources, or set same_task: true")


def _check_transfer(job: StudyJob) -> None:
    modes = transfer_modes(job)
    if not modes:
        raise ConfigError("transfer: head and full are both null, so there is no truth to compare with; set one")
    if job.transfer.head_first and modes == ("full",):
        raise ConfigError("transfer.head_first retrains the head as head says, which is null; set head_first: false")
    if job.transfer.untrained and job.transfer.head is None:
        raise ConfigError("transfer.untrained trains a head as head says, which is null; leave it out")


def _check_metrics(job: StudyJob) -> None:
    _check_names("metrics", job.metric_labels)
    try:
        choose_metrics(metric_choices(job.metrics))
    except MetricError as error:
        raise ConfigError(f"metrics: {error}") from error
    for metric in job.many_to_one.metric_labels if job.many_to_one else ():
        if metric not in job.metric_labels:
            raise ConfigError(
                f"many_to_one.metrics: '{metric}' is not among the metrics; {did_you_mean(metric, job.metric_labels)}"
            )


def _check_names(key: str, values: Sequence[object]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{key}: {value} is there twice; name each once")

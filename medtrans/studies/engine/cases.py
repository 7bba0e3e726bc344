"""The cases of a study's tasks: the few labelled ones of a target, those that transfer is judged on, sampled pixels.

A process keeps those of the targets it worked on last, as pieces come ordered by target. Its threads share them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from threading import RLock

import numpy as np

from medtrans.config import DataSettings, PreprocessingSettings, SamplerSettings, StudyJob, TargetGroup, metric_choices
from medtrans.data import load_task_from
from medtrans.errors import ConfigError, DataError
from medtrans.evenly import evenly
from medtrans.metrics.registry import Metric, choose_metrics
from medtrans.sampling import sample_pixels
from medtrans.selection.scoring import LookedAt, look_at
from medtrans.studies.engine.judged import cases_of, judged_cases
from medtrans.tasks import Case, Task, TaskName, is_structure

_TARGETS = 4  # kept at a time; a piece needs one, and threads may work on neighbouring ones
_SAMPLERS = 4  # of each
_ONE_AT_A_TIME = RLock()  # so that two threads do not read the same files


def source_task(job: StudyJob, name: str) -> Task:
    """What a source is trained on. Raises as ``load_task``."""
    return load_task_from(TaskName.of_source(name), job.source_groups()[name].data, job.preprocessing)


def labelled_task(job: StudyJob, target: str) -> Task:
    """The target with its few labelled cases. Raises as ``load_task``."""
    with _ONE_AT_A_TIME:
        return _labelled(target, job.target_groups()[target].data, job.preprocessing)


def held_out_cases(job: StudyJob, target: str) -> tuple[Case, ...]:
    """The cases on which transfer to a target is judged (see ``judged_cases``); none of them is a labelled one.

    Of slices, all that show the body, or as many evenly spaced ones of each volume as ``test_slices`` says.

    Raises:
        ConfigError: every case or slice is labelled.
        DataError: no test case shows the structure, or a file is wrong.
    """
    with _ONE_AT_A_TIME:
        group = job.target_groups()[target]
        _labelled(target, group.data, job.preprocessing)  # what is wrong with these is told first
        try:
            ids = group.test_cases or tuple(case for *_, case in judged_cases(job, target, _listed))
        except (ConfigError, DataError) as error:
            raise _in_test_cases(target, error) from error
        return _unlabelled(target, group, ids, job.preprocessing)


def looked_at(job: StudyJob, target: str, sampler: str) -> LookedAt:
    """Where in the labelled cases a ranking with this sampler, the job's metrics and its seed looks.

    Raises as ``load_task`` and ``sample_pixels``.
    """
    with _ONE_AT_A_TIME:
        data = job.target_groups()[target].data
        metrics = tuple(choose_metrics(metric_choices(job.metrics)))
        return _looked_at(target, data, job.preprocessing, job.samplers[sampler], metrics, job.seed)


_listed = lru_cache(maxsize=8 * _TARGETS)(cases_of)


@lru_cache(maxsize=_TARGETS)
def _labelled(target: str, data: DataSettings, preprocessing: PreprocessingSettings) -> Task:
    return load_task_from(TaskName.of_target(target), data, preprocessing)


@lru_cache(maxsize=_TARGETS)
def _unlabelled(
    target: str, group: TargetGroup, ids: tuple[str, ...], preprocessing: PreprocessingSettings
) -> tuple[Case, ...]:
    task = _labelled(target, group.data, preprocessing)
    of_slices = task.kind == "scan" and task.ndim == 2
    if group.test_slices is not None and not of_slices:
        raise ConfigError(f"target '{target}': test_slices is for slices of scans; leave it out")
    rest: tuple[Case, ...] = ()
    if ids:
        data = group.data.whole(ids)
        try:
            everything = load_task_from(TaskName.of_target(target), data, preprocessing).cases
        except (ConfigError, DataError) as error:
            raise _in_test_cases(target, error) from error
        labelled = {case.id for case in task.cases}
        rest = tuple(case for case in everything if case.id not in labelled)
    if not rest:
        what = "slice" if of_slices else "case"
        raise ConfigError(f"target '{target}': every {what} is labelled, none is left to test on; give test_cases")
    if group.test_slices is not None:
        rest = _evenly_spaced(rest, group.test_slices)
    if not any(is_structure(case.label, has_background=task.has_background).any() for case in rest):
        raise DataError(f"target '{target}': none of its test cases shows the structure; choose other test_cases")
    return rest


def _in_test_cases(target: str, error: ConfigError | DataError) -> ConfigError | DataError:
    return type(error)(f"target '{target}', test cases: {error}")


def _evenly_spaced(slices: tuple[Case, ...], n: int) -> tuple[Case, ...]:
    """Of each subject the middle ones of n equal parts of its slices; all where there are no more than n."""
    chosen: list[Case] = []
    for _, of_subject in groupby(slices, key=lambda case: case.subject):
        stack = list(of_subject)
        chosen += [stack[i] for i in evenly(len(stack), n)]
    return tuple(chosen)


@lru_cache(maxsize=_TARGETS * _SAMPLERS)
def _looked_at(
    target: str,
    data: DataSettings,
    preprocessing: PreprocessingSettings,
    sampler: SamplerSettings,
    metrics: tuple[Metric, ...],
    seed: int,
) -> LookedAt:
    task = _labelled(target, data, preprocessing)
    sample = sample_pixels(task.cases, **sampler.model_dump(), rng=np.random.default_rng(seed))
    return look_at(task, sample, metrics, seed)

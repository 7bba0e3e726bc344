"""Who transfer to a target is judged on, and who is labelled there: from lists of files, without images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePath

from medtrans.config import DataSettings, StudyJob
from medtrans.data import case_subjects
from medtrans.errors import MedtransError
from medtrans.tasks import TaskName

CaseKey = tuple[str, Path, str]
"""Format, folder and id: the same case, whatever task it is read for."""

Cases = dict[CaseKey, str]
"""By case, who it shows; see `person`, as subjects of two data sets are different people."""

Lister = Callable[[str, DataSettings], Cases]
"""The cases of a task that its data settings name."""


def person(data: DataSettings, subject: str) -> str:
    """Who a subject of a data set is: format, folder and subject.

    >>> person(DataSettings(format="folder", root="/data/site-a"), "sub-01")
    'folder:/data/site-a:sub-01'
    """
    return f"{data.format}:{data.root.resolve()}:{subject}"


def shown_person(who: str) -> str:
    """A `person` in a table: the subject with the folder of its data set, without the way there.

    >>> shown_person("folder:/data/site-a:sub-01")
    'site-a/sub-01'
    """
    root, _, subject = who.partition(":")[2].rpartition(":")
    return f"{PurePath(root).name}/{subject}" if root else who


def judged_people(job: StudyJob) -> dict[str, frozenset[str]]:
    """Who each target of a study is judged on; a target whose files cannot be listed is left out."""
    listed = cache(listed_cases)
    judged = {target: frozenset(judged_cases(job, target, listed).values()) for target in job.target_groups()}
    return {target: people for target, people in judged.items() if people}


def labelled_people(job: StudyJob) -> dict[str, frozenset[str]]:
    """Who is labelled for each target of a study; a target whose files cannot be listed is left out."""
    listed = cache(listed_cases)
    labelled = {
        target: frozenset(listed(str(TaskName.of_target(target)), group.data).values())
        for target, group in job.target_groups().items()
    }
    return {target: people for target, people in labelled.items() if people}


def judged_cases(job: StudyJob, target: str, listed: Lister) -> Cases:
    """The cases on which transfer to a target is judged; of slices, their volumes. None where every case is labelled.

    They are the group's ``test_cases``. Where it names none, of scans those of other people than the labelled ones:
    the group's cases that ``n_cases`` leaves; else all others of the data set that no source of the study was trained
    on; else, of slices, the labelled volumes, whose other slices are judged on. Of photographs they are the cases that
    ``n_cases`` leaves.
    """
    group, task = job.target_groups()[target], str(TaskName.of_target(target))
    of_slices = job.preprocessing.dimensions == 2 and not job.photographs
    labelled = listed(task, group.data)
    if group.test_cases:
        named = listed(task, group.data.whole(group.test_cases))
        return named if of_slices and group.data.slices is not None else _without(named, labelled)
    left = _without(listed(task, group.data.whole(group.data.cases)), labelled)
    if left or job.photographs:
        return left
    others = _without(listed(task, group.data.whole(None)), labelled | _learnt(job, group.data))
    return others or (labelled if of_slices else {})


def listed_cases(task: str, data: DataSettings) -> Cases:
    """The cases of a task; none where its files cannot be listed: its own pieces will say what is wrong with them."""
    with suppress(MedtransError):
        return cases_of(task, data)
    return {}


def cases_of(task: str, data: DataSettings) -> Cases:
    """The cases of a task; raises as ``case_subjects``."""
    root = data.root.resolve()
    return {(data.format, root, case): person(data, who) for case, who in case_subjects(task, data).items()}


def _without(cases: Cases, others: Mapping[CaseKey, str]) -> Cases:
    return {case: who for case, who in cases.items() if case not in others}


def _learnt(job: StudyJob, data: DataSettings) -> Cases:
    """The cases of a data set that sources of the study are trained on."""
    learnt: Cases = {}
    for group in job.sources:
        if (group.data.format, group.data.root.resolve()) == (data.format, data.root.resolve()):
            learnt |= listed_cases(str(TaskName.of_source(group.names()[0])), group.data)
    return learnt

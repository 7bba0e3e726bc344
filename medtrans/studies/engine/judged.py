"""Which cases, and so which people, transfer to a target is judged on: from lists of files, without images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from medtrans.config import DataSettings, StudyJob
from medtrans.data import case_subjects
from medtrans.errors import MedtransError
from medtrans.studies.engine.cases import judging_data

CaseKey = tuple[str, Path, str]
"""Format, folder and id: the same case, whatever task it is read for."""

Cases = dict[CaseKey, str]
"""By case, who it shows: format, folder and subject, as subjects of two data sets are different people."""


def judged_people(job: StudyJob) -> dict[str, frozenset[str]]:
    """Who each target of a study is judged on; a target whose files cannot be listed is left out."""
    listed = cache(listed_cases)
    judged = {target: frozenset(judged_cases(job, target, listed).values()) for target in job.target_groups()}
    return {target: people for target, people in judged.items() if people}


def judged_cases(job: StudyJob, target: str, listed: Callable[[str, DataSettings], Cases]) -> Cases:
    """Those of ``held_out_cases``, by way of `listed_cases`; of slices, their volumes."""
    group = job.target_groups()[target]
    of_slices = job.preprocessing.dimensions == 2 and not job.photographs
    labelled = listed(target, group.data)
    subjects = tuple(sorted(case for *_, case in labelled))
    judged = listed(target, judging_data(group, subjects, of_slices))
    if of_slices and group.data.slices is not None:  # other slices of a labelled volume are judged on
        return judged
    return {case: person for case, person in judged.items() if case not in labelled}


def listed_cases(task: str, data: DataSettings) -> Cases:
    """The cases of a task; none where its files cannot be listed: its own pieces will say what is wrong with them."""
    with suppress(MedtransError):
        root = data.root.resolve()
        subjects = case_subjects(task, data)
        return {(data.format, root, case): f"{data.format}:{root}:{who}" for case, who in subjects.items()}
    return {}

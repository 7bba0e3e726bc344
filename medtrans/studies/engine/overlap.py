"""Whether a study judges transfer on images that its sources were trained on."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

from medtrans.config import DataSettings, StudyJob
from medtrans.data import case_ids
from medtrans.errors import MedtransError, MedtransWarning
from medtrans.studies.engine.cases import judging_data
from medtrans.studies.engine.plan import candidates
from medtrans.tasks import TaskName

CaseKey = tuple[str, Path, str]
"""Format, folder and id: the same case, whatever task it is read for."""


def warn_of_overlap(job: StudyJob) -> None:
    """Issue one MedtransWarning where sources were trained on cases that targets are judged on."""
    if seen := seen_in_training(job):
        source, target, case = seen[0]
        warnings.warn(
            f"{len(seen)} transfers are judged on cases that their source was trained on, first: '{source}' to "
            f"'{target}' on case '{case}'; choose other cases, or read the results as those of images already seen",
            MedtransWarning,
            stacklevel=2,
        )


def seen_in_training(job: StudyJob) -> list[tuple[str, str, str]]:
    """Source, target and one case, for each pair that is judged on a case the source was trained on.

    Read from lists of files, without images. A task whose files cannot be listed is left out: its own pieces will say
    what is wrong with them.
    """
    cases = cache(_cases)
    of_slices = job.preprocessing.dimensions == 2 and not job.photographs
    learnt = {
        source: cases(str(TaskName.of_source(source)), group.data) for source, group in job.source_groups().items()
    }
    found = []
    for target, group in job.target_groups().items():
        labelled = cases(target, group.data)
        subjects = tuple(sorted(case for *_, case in labelled))
        judged = cases(target, judging_data(group, subjects, of_slices))
        if not of_slices or group.data.slices is None:  # otherwise other slices of a labelled volume are judged on
            judged -= labelled
        for source in candidates(job, target):
            found += [(source, target, case) for *_, case in sorted(judged & learnt[source])[:1]]
    return found


def _cases(task: str, data: DataSettings) -> frozenset[CaseKey]:
    with suppress(MedtransError):
        return frozenset((data.format, data.root.resolve(), case) for case in case_ids(task, data))
    return frozenset()

"""Whether a study judges transfer on images that its sources were trained on."""

from __future__ import annotations

import warnings
from functools import cache

from medtrans.config import StudyJob
from medtrans.errors import MedtransWarning
from medtrans.studies.engine.judged import judged_cases, listed_cases
from medtrans.studies.engine.plan import candidates
from medtrans.tasks import TaskName


def warn_of_overlap(job: StudyJob) -> None:
    """Issue one MedtransWarning where sources were trained on cases that targets are judged on."""
    if seen := seen_in_training(job):
        source, target, case = seen[0]
        everything = len(seen) == sum(len(candidates(job, target)) for target in job.target_groups())
        which = "all transfers" if everything else f"{len(seen)} transfers"
        warnings.warn(
            f"{which} are judged on cases that their source was trained on, first: '{source}' to '{target}' on case "
            f"'{case}'; choose other cases, or read the results as those of images already seen"
            + (", which say nothing about other people" if everything else ""),
            MedtransWarning,
            stacklevel=2,
        )


def seen_in_training(job: StudyJob) -> list[tuple[str, str, str]]:
    """Source, target and one case, for each pair that is judged on a case the source was trained on.

    Read from lists of files, without images. A task whose files cannot be listed is left out: its own pieces will say
    what is wrong with them.
    """
    listed = cache(listed_cases)
    learnt = {
        source: listed(str(TaskName.of_source(source)), group.data) for source, group in job.source_groups().items()
    }
    found = []
    for target in job.target_groups():
        judged = judged_cases(job, target, listed)
        for source in candidates(job, target):
            found += [(source, target, case) for *_, case in sorted(judged.keys() & learnt[source].keys())[:1]]
    return found

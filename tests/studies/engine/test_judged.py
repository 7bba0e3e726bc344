"""Who targets are judged on, from lists of tiny files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtrans.config import StudyJob
from medtrans.studies.engine.cases import held_out_cases
from medtrans.studies.engine.judged import judged_people
from tests.data.tiny_scans import write_fets


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for subject in ("s1", "s2", "s3"):
        write_fets(root, subject, (1, 2, 4))
    return root


def job(*targets: dict[str, Any], **changes: Any) -> StudyJob:
    sources = [{"tasks": ["fets/T2/ED"], "data": targets[0]["data"] | {"cases": None, "n_cases": None}}]  # of everyone
    return StudyJob.model_validate({"output": "unused", "sources": sources, "targets": targets} | changes)


def group(root: Path, *tasks: str, test_cases: Any = None, format: str = "fets", **data: Any) -> dict[str, Any]:
    return {"tasks": tasks, "data": {"format": format, "root": str(root)} | data, "test_cases": test_cases}


def person(root: Path, subject: str, format: str = "fets") -> str:
    return f"{format}:{root.resolve()}:{subject}"


def test_they_are_the_subjects_of_the_held_out_cases(scans: Path) -> None:
    slices = group(scans, "fets/T1/ET", cases=["s1"], slices=2)
    others = group(scans, "fets/T2/ET", cases=["s1"], slices=2, test_cases=["s2", "s3"])
    rest = group(scans, "fets/FLAIR/ET", cases=["s1"], test_cases=["s1", "s2"])  # every slice of s1 is labelled
    study = job(slices, others, rest)
    people = judged_people(study)
    for target in ("fets/T1/ET", "fets/T2/ET", "fets/FLAIR/ET"):
        assert people[target] == {person(scans, case.subject) for case in held_out_cases(study, target)}
    assert people["fets/FLAIR/ET"] == {person(scans, "s2")}


def test_one_subject_is_one_person_in_every_task_but_not_in_another_folder(scans: Path, tmp_path: Path) -> None:
    write_fets(tmp_path, "s1", (1, 2, 4))
    here = group(scans, "fets/T1/{ET,ED}", cases=["s1"], slices=2)
    there = group(tmp_path, "fets/T2/ET", cases=["s1"], slices=2)  # who is alone there, and so judged on other slices
    people = judged_people(job(here, there))
    assert people["fets/T1/ET"] == people["fets/T1/ED"] == {person(scans, "s1")}
    assert people["fets/T2/ET"] == {person(tmp_path, "s1")}


def test_a_target_whose_files_cannot_be_listed_is_left_out(scans: Path, tmp_path: Path) -> None:
    nowhere = group(tmp_path / "nowhere", "fets/T2/ET", cases=["s1"], slices=2)
    people = judged_people(job(group(scans, "fets/T1/ET", cases=["s1"], slices=2), nowhere))
    assert set(people) == {"fets/T1/ET"}


def test_frames_of_one_sequence_of_camvid_count_as_one(tmp_path: Path) -> None:
    names = [f"{sequence}_{frame:03d}" for sequence in ("0001TP", "0006R0") for frame in range(4)]
    for folder, pixels in (("train", np.zeros((4, 4, 3), np.uint8)), ("trainannot", np.ones((4, 4), np.uint8))):
        (tmp_path / folder).mkdir()
        for name in names:
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    tasks = "camvid-{0001TP,0006R0}/RGB/building"
    people = judged_people(job(group(tmp_path, tasks, format="camvid", n_cases=1)))
    assert people == {
        f"camvid-{sequence}/RGB/building": {person(tmp_path, sequence, "camvid")} for sequence in ("0001TP", "0006R0")
    }

"""Which transfers are judged on cases that their source was trained on, from lists of tiny files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from medtrans.config import StudyJob
from medtrans.errors import MedtransWarning
from medtrans.studies.engine.overlap import seen_in_training, warn_of_overlap
from tests.data.tiny_scans import write_fets
from tests.data.tiny_streets import write_cityscapes

SOURCE, TARGET = "fets/T2/ET", "fets/T1/ET"


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for subject in ("s1", "s2", "s3"):
        write_fets(root, subject, (1, 2, 4))
    return root


def job(root: Path, source: dict[str, Any], target: dict[str, Any], test_cases: Any = None, **changes) -> StudyJob:
    """A study of one source and one target; the dictionaries say which cases."""
    files = {"format": "fets", "root": str(root)}
    settings = {
        "output": "unused",
        "sources": [{"tasks": [SOURCE], "data": files | source}],
        "targets": [{"tasks": [TARGET], "data": files | target, "test_cases": test_cases}],
    }
    return StudyJob.model_validate(settings | changes)


@pytest.mark.parametrize(
    ("source", "target", "test_cases", "case"),
    [
        ({"cases": ["s2"]}, {"cases": ["s1"], "slices": 2}, None, None),
        ({"cases": ["s1"]}, {"cases": ["s1"], "slices": 2}, None, None),  # on s2 and s3
        ({"cases": ["s1", "s2", "s3"]}, {"cases": ["s1"], "slices": 2}, None, "s1"),  # on its slices without labels
        ({}, {"cases": ["s1"], "slices": 2}, None, "s1"),
        ({"cases": ["s1"]}, {"cases": ["s1"], "slices": 2}, ["s2", "s3"], None),  # learnt from, but not judged on
        ({"cases": ["s3", "s2"]}, {"cases": ["s1"], "slices": 2}, ["s3", "s2"], "s2"),
        ({"cases": ["s1"]}, {"cases": ["s1"]}, ["s1", "s2"], None),  # all slices of s1 are labelled
        ({"cases": ["s1"]}, {"n_cases": 1, "slices": 2}, None, "s1"),  # s2 is the middle one, s1 and s3 are judged on
        ({"cases": ["s2"]}, {"n_cases": 1, "slices": 2}, None, None),
    ],
)
def test_slices_are_seen_where_their_volume_was(
    scans: Path, source: dict[str, Any], target: dict[str, Any], test_cases: Any, case: str | None
) -> None:
    expected = [(SOURCE, TARGET, case)] if case else []
    assert seen_in_training(job(scans, source, target, test_cases)) == expected


def test_of_volumes_those_without_labels_are_judged_on(scans: Path) -> None:
    volumes = {"preprocessing": {"dimensions": 3}}
    assert seen_in_training(job(scans, {"cases": ["s2"]}, {"n_cases": 1}, **volumes)) == []
    assert seen_in_training(job(scans, {"cases": ["s3"]}, {"n_cases": 1}, **volumes)) == [(SOURCE, TARGET, "s3")]


def test_a_source_that_is_no_candidate_does_not_count(scans: Path) -> None:
    own = {"sources": [{"tasks": [TARGET, SOURCE], "data": {"format": "fets", "root": str(scans), "cases": None}}]}
    target = {"cases": ["s1"], "slices": 2}
    assert seen_in_training(job(scans, {}, target, **own)) == [(SOURCE, TARGET, "s1")]
    both = seen_in_training(job(scans, {}, target, **own, same_task=True))
    assert [source for source, *_ in both] == [TARGET, SOURCE]


def test_the_same_name_in_another_folder_is_another_case(scans: Path, tmp_path: Path) -> None:
    write_fets(tmp_path, "s1", (1, 2, 4))
    elsewhere = {"root": str(tmp_path), "cases": ["s1"]}
    assert seen_in_training(job(scans, elsewhere, {"cases": ["s1"], "slices": 2})) == []


def test_data_that_cannot_be_listed_is_left_to_its_pieces(scans: Path, tmp_path: Path) -> None:
    nowhere = {"root": str(tmp_path / "nowhere")}
    assert seen_in_training(job(scans, nowhere, {"cases": ["s1"], "slices": 2})) == []
    assert seen_in_training(job(scans, {}, nowhere | {"cases": ["s1"], "slices": 2})) == []


def test_one_warning_tells_how_many_and_the_first(scans: Path) -> None:
    target = {"cases": ["s1"], "slices": 2}
    message = "^all transfers are judged on cases .* trained on, first: .fets/T2/ET. to .*nothing about other people$"
    with pytest.warns(MedtransWarning, match=message):
        warn_of_overlap(job(scans, {}, target))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_overlap(job(scans, {"cases": ["s2"]}, target))


def test_of_photographs_the_labelled_ones_are_not_judged_on(tmp_path: Path) -> None:
    names = [f"ulm_00000{number}_000019" for number in range(3)]
    for name in names:
        write_cityscapes(tmp_path, name)
    files = {"format": "cityscapes", "root": str(tmp_path)}
    for learnt, seen in (([names[1]], None), ([names[0]], names[0]), (names, names[0])):
        settings = {
            "output": "unused",
            "sources": [{"tasks": ["cityscapes-ulm/RGB/road"], "data": files | {"cases": learnt}}],
            "targets": [{"tasks": ["cityscapes-ulm/RGB/car"], "data": files | {"n_cases": 1}}],  # the middle one
        }
        found = seen_in_training(StudyJob.model_validate(settings))
        assert [case for *_, case in found] == ([seen] if seen else [])

"""Which cases are labelled and which are tested on, derived from tiny scans.

The brain of a tiny head is in the slices 1 to 10, each structure in 3 to 6 with the same area in each.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from medtrans.config import StudyJob
from medtrans.errors import ConfigError, DataError
from medtrans.sampling import sample_pixels
from medtrans.studies.engine import cases as module
from medtrans.studies.engine.cases import held_out_cases, labelled_task, looked_at
from tests.data.tiny_scans import write_fets
from tests.data.tiny_streets import write_cityscapes

TARGET = "fets/T1/ET"


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for subject, label in (("s1", (1, 2, 4)), ("s2", (1, 2, 4)), ("s3", (1, 2))):  # s3 has no ET
        write_fets(root, subject, label)
    return root


def job(scans: Path, *, data: dict[str, Any] | None = None, tasks: tuple[str, ...] = (TARGET,), **changes) -> StudyJob:
    files = {"format": "fets", "root": str(scans)}
    test = {key: changes.pop(key) for key in ("test_cases", "test_slices", "draws") if key in changes}
    settings = {
        "output": "unused",
        "sources": [{"tasks": ["fets/T2/ET"], "data": files}],
        "targets": [{"tasks": tasks, "data": files | {"cases": ["s1"], "slices": 2} | (data or {})} | test],
        "samplers": {name: {"n_pixels": 20, "repetitions": 2, "kind": name} for name in ("boundary", "uniform")},
    }
    return StudyJob.model_validate(settings | changes)


def ids(cases) -> list[str]:
    return [case.id for case in cases]


def test_the_slices_without_labels_are_tested_on(scans: Path) -> None:
    # half of the area is passed at a quarter and three quarters: slices 3 and 5 of 3, 4, 5, 6
    assert ids(labelled_task(job(scans), TARGET).cases) == ["s1/z003", "s1/z005"]
    assert ids(held_out_cases(job(scans), TARGET)) == [f"s1/z{z:03d}" for z in (1, 2, 4, 6, 7, 8, 9, 10)]


def test_named_test_cases_are_taken_whole_but_for_what_is_labelled(scans: Path) -> None:
    everything = [f"s2/z{z:03d}" for z in range(1, 11)]
    assert ids(held_out_cases(job(scans, test_cases=["s2"]), TARGET)) == everything
    both = ids(held_out_cases(job(scans, test_cases=["s1", "s2"]), TARGET))
    assert both == [f"s1/z{z:03d}" for z in (1, 2, 4, 6, 7, 8, 9, 10)] + everything


def test_volumes_are_tested_on_other_volumes(scans: Path) -> None:
    volumes = {"dimensions": 3}
    found = held_out_cases(job(scans, data={"slices": None}, test_cases=["s2"], preprocessing=volumes), TARGET)
    assert ids(found) == ["s2"]


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (2, "target 'fets/T1/ET': every slice is labelled, none is left to test on; give test_cases"),
        (3, "target 'fets/T1/ET': every case is labelled, none is left to test on; give test_cases"),
    ],
)
def test_where_everything_is_labelled_test_cases_must_be_given(scans: Path, dimensions: int, message: str) -> None:
    settings = job(scans, data={"slices": None}, preprocessing={"dimensions": dimensions})
    with pytest.raises(ConfigError) as caught:
        held_out_cases(settings, TARGET)
    assert str(caught.value) == message


def test_test_cases_without_the_structure_are_an_error_that_names_the_target(scans: Path) -> None:
    with pytest.raises(DataError, match=r"^target 'fets/T1/ET': none of its test cases shows the .*other test_cases$"):
        held_out_cases(job(scans, data={"slices": 4}), TARGET)  # all slices that show it are labelled
    with pytest.raises(DataError, match=r"^target 'fets/T1/ET', test cases: structure 'ET' is empty in all chosen"):
        held_out_cases(job(scans, test_cases=["s3"]), TARGET)
    with pytest.raises((ConfigError, DataError), match=r"^target 'fets/T1/ET', test cases: .*s9"):
        held_out_cases(job(scans, test_cases=["s9"]), TARGET)


def test_labelled_cases_without_the_structure_are_load_tasks_error(scans: Path) -> None:
    with pytest.raises(DataError, match="structure 'ET' is empty in all chosen cases"):
        labelled_task(job(scans, data={"cases": ["s3"]}), TARGET)


def test_pixels_are_those_that_a_ranking_draws(scans: Path) -> None:
    settings = job(scans, seed=5)
    for sampler in ("boundary", "uniform"):
        drawn = settings.samplers[sampler].model_dump()
        expected = sample_pixels(labelled_task(settings, TARGET).cases, **drawn, rng=np.random.default_rng(5))
        found = looked_at(settings, TARGET, sampler).sample
        np.testing.assert_array_equal(found.position, expected.position)
        assert all(map(np.array_equal, found.repetitions, expected.repetitions))


# Photographs

CITY = "cityscapes-ulm/RGB/road"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    for number in range(5):
        write_cityscapes(root, f"ulm_00000{number}_000019")
    return root


def street_job(streets: Path, *, data: dict[str, Any] | None = None, target: str = CITY, **changes) -> StudyJob:
    files = {"format": "cityscapes", "root": str(streets)}
    return job(streets, data=files | {"cases": None, "slices": None} | (data or {}), tasks=(target,), **changes)


def numbers(cases) -> list[int]:
    return [int(case.id.split("_")[1]) for case in cases]


@pytest.mark.parametrize("target", [CITY, "cityscapes-ulm/RGB/19-classes"])
def test_photographs_that_are_not_labelled_are_tested_on(streets: Path, target: str) -> None:
    settings = street_job(streets, data={"n_cases": 2}, target=target)
    assert numbers(labelled_task(settings, target).cases) == [1, 3]  # the middles of two halves of 0 .. 4
    assert numbers(held_out_cases(settings, target)) == [0, 2, 4]


def test_n_cases_of_named_photographs_leaves_the_others_of_these(streets: Path) -> None:
    names = [f"ulm_00000{number}_000019" for number in (4, 2, 0)]
    settings = street_job(streets, data={"cases": names, "n_cases": 1})
    assert numbers(labelled_task(settings, CITY).cases) == [2]
    assert numbers(held_out_cases(settings, CITY)) == [4, 0]


def test_named_test_photographs(streets: Path) -> None:
    settings = street_job(streets, data={"n_cases": 1}, test_cases=["ulm_000002_000019", "ulm_000004_000019"])
    assert numbers(held_out_cases(settings, CITY)) == [4]  # 2 is labelled


def test_where_every_photograph_is_labelled_test_cases_must_be_given(streets: Path) -> None:
    with pytest.raises(ConfigError, match=r"every case is labelled, none is left to test on; give test_cases"):
        held_out_cases(street_job(streets), CITY)


def test_slices_of_fewer_subjects_are_tested_on_the_others(scans: Path) -> None:
    settings = job(scans, data={"cases": ["s1", "s2"], "n_cases": 1})
    assert ids(labelled_task(settings, TARGET).cases) == ["s2/z003", "s2/z005"]
    assert ids(held_out_cases(settings, TARGET)) == [f"s1/z{z:03d}" for z in range(1, 11)]


def test_a_data_set_with_people_that_no_source_has_seen_is_tested_on_these(scans: Path) -> None:
    files = {"format": "fets", "root": str(scans), "cases": ["s3"]}
    settings = job(scans, data={"cases": ["s1"]}, sources=[{"tasks": ["fets/T2/ET"], "data": files}])
    assert ids(held_out_cases(settings, TARGET)) == [f"s2/z{z:03d}" for z in range(1, 11)]


def test_every_draw_labels_others_and_is_tested_on_the_rest(scans: Path) -> None:
    settings = job(scans, data={"cases": ["s1", "s2"], "n_cases": 1}, draws=2)
    assert list(settings.target_groups()) == [f"{TARGET}#1", f"{TARGET}#2"]
    for target, labelled, judged in ((f"{TARGET}#1", "s2", "s1"), (f"{TARGET}#2", "s1", "s2")):
        assert labelled_task(settings, target).subjects == (labelled,)
        assert {case.subject for case in held_out_cases(settings, target)} == {judged}


def test_a_draw_that_would_repeat_another_is_refused(scans: Path) -> None:
    settings = job(scans, data={"cases": ["s1", "s2"], "n_cases": 1}, draws=3)
    with pytest.raises(ConfigError, match=r"^draw 3 of 1 out of 2 cases repeats draw 1; ask for fewer draws, or give"):
        labelled_task(settings, f"{TARGET}#3")


def test_draws_need_to_know_how_many_are_labelled(scans: Path) -> None:
    with pytest.raises(ValidationError, match="every draw would label the same cases"):
        job(scans, draws=2)


@pytest.mark.parametrize(("n", "slices"), [(3, (2, 6, 9)), (20, range(1, 11))])
def test_as_many_evenly_spaced_slices_as_asked_for_are_tested_on(scans: Path, n: int, slices: Any) -> None:
    # of ten slices 1 .. 10 the middles of three parts lie at 10/6, 30/6 and 50/6, places 1, 5 and 8
    found = held_out_cases(job(scans, test_cases=["s2"], test_slices=n), TARGET)
    assert ids(found) == [f"s2/z{z:03d}" for z in slices]


def test_volumes_have_no_test_slices(scans: Path) -> None:
    settings = job(scans, data={"slices": None}, test_cases=["s2"], test_slices=3, preprocessing={"dimensions": 3})
    with pytest.raises(ConfigError, match=f"^target '{TARGET}': test_slices is for slices of scans; leave it out"):
        held_out_cases(settings, TARGET)


def test_volumes_that_n_cases_leaves_are_tested_on(scans: Path) -> None:
    volumes = {"dimensions": 3}
    data = {"cases": ["s1", "s2"], "n_cases": 1, "slices": None}
    assert ids(held_out_cases(job(scans, data=data, preprocessing=volumes), TARGET)) == ["s1"]


def test_threads_share_what_was_read_once(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()

    def counted(name, *arguments):
        reads[str(name)] += 1
        return load(name, *arguments)

    load = module.load_task_from
    monkeypatch.setattr(module, "load_task_from", counted)
    settings = job(scans, tasks=("fets/{T1,T2}/ED",))
    targets = ["fets/T1/ED", "fets/T2/ED"] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda target: held_out_cases(settings, target), targets))
    assert reads == {"fets/T1/ED": 2, "fets/T2/ED": 2}  # labelled, and all slices
    assert all(cases is found[i % 2] for i, cases in enumerate(found))


def test_other_settings_are_other_cases(scans: Path) -> None:
    fine, coarse = (
        labelled_task(job(scans, preprocessing={"spacing_mm": spacing}), TARGET).cases[0] for spacing in (None, 2.0)
    )
    assert fine.spacing_mm == (1.0, 1.0)
    assert coarse.spacing_mm == (2.0, 2.0)
    moved = job(scans, data={"slices": [4]})
    assert ids(labelled_task(moved, TARGET).cases) == ["s1/z004"]

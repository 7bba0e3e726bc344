"""Tasks of photographs: classes, notes, numbers of cases, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from medtrans.config import DataSettings, PreprocessingSettings
from medtrans.data import load_task, load_task_from
from medtrans.data.layouts.street_classes import LABEL_IDS
from medtrans.data.photographs.files import preprocess_photograph
from medtrans.errors import ConfigError, DataError
from tests.data.tiny_scans import write_fets
from tests.data.tiny_streets import tiny_photograph, tiny_scene, write_cityscapes, write_png


@pytest.fixture
def ulm(tmp_path: Path) -> Path:
    """Seven images of road, building, sky and static; the first shows a traffic light instead of a building."""
    for number in range(7):
        values = (7, 19 if number == 0 else 11, 23, 4)
        write_cityscapes(tmp_path, f"ulm_00000{number}_000019", label_ids=values)
    return tmp_path


def test_a_photograph_is_a_case_of_pixels(ulm: Path) -> None:
    task = load_task("cityscapes-ulm/RGB/19-classes", ulm)
    case = task.cases[0]
    assert case.id == case.subject == "ulm_000000_000019"
    assert case.height is None
    assert case.spacing_mm == (1.0, 1.0)
    pixels = tiny_photograph(len(case.id))
    assert_array_equal(case.image, preprocess_photograph(pixels, tiny_scene(0), None)[0])
    assert (task.ndim, task.n_channels, task.n_classes) == (2, 3, 19)


def test_all_classes_leave_no_background(ulm: Path) -> None:
    task = load_task("cityscapes-ulm/RGB/19-classes", ulm)
    assert not task.has_background
    assert_array_equal(task.cases[0].label, tiny_scene(0, 6, 10, 255))
    absent = [name for name in LABEL_IDS if name not in ("road", "building", "traffic light", "sky")]
    assert task.notes[-1] == f"No chosen case shows {', '.join(absent)}."


@pytest.mark.parametrize("structure", ["sky+traffic-light", "sky+traffic light"])
def test_other_classes_are_the_background_of_some(ulm: Path, structure: str) -> None:
    task = load_task(f"cityscapes-ulm/RGB/{structure}", ulm)
    assert task.has_background
    assert task.class_names == ("background", "sky", "traffic light")
    assert_array_equal(task.cases[0].label, tiny_scene(0, 2, 1, 255))
    assert_array_equal(task.cases[1].label, tiny_scene(0, 0, 1, 255))
    others = ", ".join(case.id for case in task.cases[1:])
    assert task.notes[-1] == f"traffic light is absent from 6 of 7 subjects: {others}."


def test_a_long_list_of_images_is_cut(tmp_path: Path) -> None:
    for number in range(13):
        write_cityscapes(tmp_path, f"ulm_0000{number:02d}_000019", label_ids=(7, 26 if number == 12 else 11, 23, 4))
    (note,) = (note for note in load_task("cityscapes/RGB/car", tmp_path).notes if "car" in note)
    assert note.endswith("ulm_000008_000019, ulm_000009_000019 and 2 more.")
    assert note.startswith("car is absent from 12 of 13 subjects: ulm_000000_000019, ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cityscapes-ulm/RGB/train", "structure 'train' is empty in all chosen cases"),
        ("cityscapes-ulm/RGB/road+train", "structure 'train' is empty in all chosen cases"),
        ("cityscapes-ulm/RGB/11-classes", "structure '11-classes' is not in .*; did you mean '19-classes'?"),
        ("cityscapes-ulm/RGB/pavement", "structure 'pavement' is not in "),
        ("cityscapes-ulm/RGB/sky+traffic-light+traffic light", "names one structure twice"),
        ("cityscapes-ulm/T1/19-classes", "modality 'T1' is not in .*known are: RGB"),
    ],
)
def test_what_cannot_be_had_is_named(ulm: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_task(name, ulm)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_than_its_label(ulm: Path) -> None:
    write_png(ulm / "gtFine/train/ulm/ulm_000003_000019_gtFine_labelIds.png", tiny_scene(7, 11, 23)[:, :-2])
    expected = "case 'ulm_000003_000019': image is 8x6 pixels but its label map is 6x6; were they resampled apart?"
    with pytest.raises(DataError) as caught:
        load_task("cityscapes/RGB/19-classes", ulm)
    assert str(caught.value) == expected


def test_only_ignored_pixels(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, "ulm_000000_000019", label_ids=(0, 1, 3, 3))
    with pytest.raises(DataError, match="every pixel of the chosen cases is ignored; are they of a split without"):
        load_task("cityscapes/RGB/19-classes", tmp_path)


def test_only_the_chosen_files_are_opened(ulm: Path) -> None:
    for path in ulm.rglob("ulm_000004*.png"):
        path.write_bytes(b"broken")
    assert len(load_task("cityscapes/RGB/road", ulm, cases=["ulm_000001_000019"]).cases) == 1
    with pytest.raises(DataError, match=r"ulm_000004_000019_leftImg8bit\.png: truncated"):
        load_task("cityscapes/RGB/road", ulm)


# The middles of n equal parts of 0 .. 6: 3.5; 1.75 and 5.25; 1.17, 3.5 and 5.83.
@pytest.mark.parametrize(("n", "expected"), [(1, [3]), (2, [1, 5]), (3, [1, 3, 5]), (7, list(range(7)))])
def test_cases_evenly_spaced_in_their_order(ulm: Path, n: int, expected: list[int]) -> None:
    settings = DataSettings(format="cityscapes", root=ulm, n_cases=n)
    task = load_task_from("cityscapes/RGB/road", settings)
    assert [case.id for case in task.cases] == [f"ulm_00000{number}_000019" for number in expected]
    assert (f"{n} of 7 cases were taken, evenly spaced in their order." in task.notes) == (n < 7)


def test_cases_evenly_spaced_among_those_named(ulm: Path) -> None:
    names = [f"ulm_00000{number}_000019" for number in (6, 5, 4, 2)]
    task = load_task("cityscapes/RGB/road", ulm, cases=names, n_cases=2)
    assert [case.id for case in task.cases] == [names[1], names[3]]


def test_more_cases_than_there_are_is_noted_and_none_refused(ulm: Path) -> None:
    task = load_task("cityscapes/RGB/road", ulm, n_cases=9)
    assert len(task.cases) == 7
    assert "9 cases asked for, but there are only 7." in task.notes
    with pytest.raises(ConfigError, match="n_cases: 0 is not a number of cases"):
        load_task("cityscapes/RGB/road", ulm, n_cases=0)


def test_fewer_scans_evenly_spaced(tmp_path: Path) -> None:
    for subject in ("s1", "s2", "s3"):
        write_fets(tmp_path, subject)
    assert load_task("fets/T1/WT", tmp_path, n_cases=1, slices=2).subjects == ("s2",)


def test_size_is_applied_to_image_and_label(ulm: Path) -> None:
    task = load_task("cityscapes/RGB/road", ulm, preprocessing=PreprocessingSettings(size=(3, 4)))
    assert task.cases[0].image.shape == (3, 3, 4)
    assert_array_equal(task.cases[0].label, [[1, 0, 0, 255]] * 3)
    assert task.cases[0].spacing_mm == (1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocessing": {"dimensions": 3}}, "photographs have two dimensions; set dimensions to 2"),
        ({"preprocessing": {"spacing_mm": 2.0}}, "photographs have no millimetres; leave spacing_mm out, or set size"),
        ({"slices": 4}, "photographs have no slices; leave them out, or set n_cases"),
    ],
)
def test_settings_for_scans_are_refused_for_photographs(ulm: Path, options: dict[str, Any], message: str) -> None:
    preprocessing = PreprocessingSettings(**options.pop("preprocessing", {}))
    with pytest.raises(ConfigError, match=message):
        load_task("cityscapes/RGB/road", ulm, preprocessing=preprocessing, **options)


def test_size_is_refused_for_scans(tmp_path: Path) -> None:
    write_fets(tmp_path, "s1")
    with pytest.raises(ConfigError, match="size is for photographs; leave it out, or set spacing_mm"):
        load_task("fets/T1/WT", tmp_path, preprocessing=PreprocessingSettings(size=(64, 64)))


def test_loading_leaves_the_files_as_they_are(ulm: Path) -> None:
    before = {path: path.read_bytes() for path in ulm.rglob("*.png")}
    load_task("cityscapes/RGB/road", ulm, preprocessing=PreprocessingSettings(size=(3, 4)))
    assert {path: path.read_bytes() for path in ulm.rglob("*") if path.is_file()} == before


def test_images_of_different_sizes_stay_so_without_a_size(ulm: Path) -> None:
    name = "ulm_000002_000019"
    write_png(ulm / f"leftImg8bit/train/ulm/{name}_leftImg8bit.png", tiny_photograph()[:4])
    write_png(ulm / f"gtFine/train/ulm/{name}_gtFine_labelIds.png", tiny_scene(7, 11, 23)[:4])
    shapes = [case.label.shape for case in load_task("cityscapes/RGB/19-classes", ulm).cases]
    assert np.unique(shapes, axis=0).tolist() == [[4, 8], [6, 8]]

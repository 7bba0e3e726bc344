"""Tasks from folders: cases, classes, notes, and one clear line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from medtrans.config import DataSettings, PreprocessingSettings
from medtrans.data import load_task, load_task_from
from medtrans.data.layouts import open_dataset
from medtrans.data.scans.body import body_mask
from medtrans.data.scans.files import read_image
from medtrans.errors import ConfigError, DataError
from medtrans.tasks import TaskName
from tests.data.tiny_scans import BOX, tiny_label, write_fets, write_iseg, write_nifti

IN_3D = PreprocessingSettings(dimensions=3)


@pytest.fixture
def fets(tmp_path: Path) -> Path:
    write_fets(tmp_path, "FeTS2022_00002")
    write_fets(tmp_path, "FeTS2022_00010", label=(1, 2))
    write_fets(tmp_path, "FeTS2022_00011", label=None)
    return tmp_path


def test_a_task_of_volumes(fets: Path) -> None:
    task = load_task("fets/T1/ED+ET", fets, preprocessing=IN_3D)
    assert task.name == TaskName("fets", "T1", "ED+ET")
    assert task.class_names == ("background", "ED", "ET")
    assert (task.ndim, task.n_channels) == (3, 1)
    assert [case.id for case in task.cases] == ["FeTS2022_00002", "FeTS2022_00010"]
    assert_array_equal(task.cases[0].label, tiny_label(0, 1, 2)[BOX])
    assert task.notes == ("ET is absent from 1 of 2 subjects: FeTS2022_00010.",)


def test_a_task_of_slices(fets: Path) -> None:
    task = load_task(TaskName("fets", "T1", "WT"), fets, slices=2)
    assert task.ndim == 2
    assert task.subjects == ("FeTS2022_00002", "FeTS2022_00010")
    # The blocks are in slices 3 to 6 of the file; a quarter and three quarters of their area are reached in 3 and 5.
    assert [case.id for case in task.cases[:2]] == ["FeTS2022_00002/z003", "FeTS2022_00002/z005"]
    assert [case.height for case in task.cases[:2]] == [
        pytest.approx(2 / 9),
        pytest.approx(4 / 9),
    ]  # brain: slices 1 to 10
    assert_array_equal(task.cases[0].label, tiny_label(1, 1, 1)[BOX][..., 2])
    assert len(load_task("fets/T1/WT", fets).cases) == 2 * 10


def test_cases_come_in_the_order_asked_for(fets: Path) -> None:
    task = load_task("fets/T1/WT", fets, cases=["FeTS2022_00010", "FeTS2022_00002"], preprocessing=IN_3D)
    assert task.subjects == ("FeTS2022_00010", "FeTS2022_00002")


def test_settings_of_a_job_give_the_same_task(fets: Path) -> None:
    settings = DataSettings(format="fets", root=fets, cases=("FeTS2022_00002",), slices=(4, 5))
    task = load_task_from("fets/T1/ET", settings, PreprocessingSettings(spacing_mm=2.0))
    assert [case.id for case in task.cases] == ["FeTS2022_00002/z004", "FeTS2022_00002/z005"]
    assert task.cases[0].spacing_mm == (2.0, 2.0)


@pytest.mark.parametrize(
    ("name", "cases", "message"),
    [
        ("fets/T1C/WT", None, "modality 'T1C' is not in .*did you mean 'T1"),
        ("fets/T1/EDT", None, "structure 'EDT' is not in .*did you mean 'E"),
        ("fets/T1/ED+ED", None, "names one structure twice"),
        ("fets/T1/ED+WT", None, "case 'FeTS2022_00002': 'WT' overlaps another structure"),
        ("fets/T1/WT", ["FeTS2022_0010"], "case 'FeTS2022_0010' is not in .*did you mean 'FeTS2022_00010'"),
        ("fets/T1/WT", ["FeTS2022_00011"], "case 'FeTS2022_00011' has no label map"),
        ("fets/T1/ET", ["FeTS2022_00010"], "structure 'ET' is empty in all chosen cases"),
    ],
)
def test_what_cannot_be_had_is_named(fets: Path, name: str, cases: list[str] | None, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_task(name, fets, cases=cases)
    assert "\n" not in str(caught.value)


def test_a_modality_that_one_case_lacks(fets: Path) -> None:
    (fets / "FeTS2022_00010" / "FeTS2022_00010_t2.nii.gz").unlink()
    assert len(load_task("fets/T1/WT", fets, preprocessing=IN_3D).cases) == 2
    with pytest.raises(DataError, match=r"case 'FeTS2022_00010' has no T2 image .*leave the case out"):
        load_task("fets/T2/WT", fets)


def test_only_files_of_the_task_are_opened(fets: Path) -> None:
    for path in fets.glob("*/*_t2.nii.gz"):
        path.write_bytes(b"broken")
    assert load_task("fets/T1/WT", fets, preprocessing=IN_3D).n_classes == 2
    with pytest.raises(DataError, match=r"_t2\.nii\.gz: truncated"):
        load_task("fets/T2/WT", fets)


def test_image_and_label_resampled_apart(fets: Path) -> None:
    write_nifti(fets / "FeTS2022_00002" / "FeTS2022_00002_seg.nii.gz", tiny_label(1)[..., :-1])
    expected = "case 'FeTS2022_00002': image is 14x16x12 but FeTS2022_00002_seg.nii.gz is 14x16x11; were they resampled"
    with pytest.raises(DataError, match=expected):
        load_task("fets/T1/WT", fets)


def test_slices_make_no_sense_in_three_dimensions(fets: Path) -> None:
    with pytest.raises(ConfigError, match="slices are for two dimensions"):
        load_task("fets/T1/WT", fets, slices=4, preprocessing=IN_3D)


def test_no_labelled_case_at_all(tmp_path: Path) -> None:
    write_iseg(tmp_path, 11, label=None)
    with pytest.raises(DataError, match="none of 1 cases has a label map"):
        load_task("iseg/T1/CSF", tmp_path)


def test_slices_of_a_subject_without_the_structure(fets: Path) -> None:
    task = load_task("fets/T1/ET", fets, slices=2)
    assert task.subjects == ("FeTS2022_00002",)
    assert task.notes == ("case 'FeTS2022_00010': 2 slices asked for, but only 0 show the structure.",)


def test_loading_leaves_the_files_as_they_are(fets: Path) -> None:
    before = {path: path.read_bytes() for path in fets.rglob("*.nii.gz")}
    load_task("fets/T1/WT", fets, preprocessing=PreprocessingSettings(spacing_mm=2.0))
    assert {path: path.read_bytes() for path in fets.rglob("*") if path.is_file()} == before


# Real scans


@pytest.mark.parametrize("modality", ["T1", "T1POST", "T2", "FLAIR"])
@pytest.mark.parametrize("patient", ["patient07", "patient19"])
def test_body_mask_of_a_real_brain(shared_root: Path, patient: str, modality: str) -> None:
    (case,) = open_dataset("open-ms", shared_root / "data" / "open-ms").choose([patient], ["tissue"])
    tissue = np.asarray(nib.load(case.labels["tissue"]).dataobj) > 0
    mask = body_mask(read_image(case.images[modality].path).voxels)
    litres = mask.sum() / 1e6  # voxels of 1 mm3
    assert 1.0 < litres < 2.0
    assert mask[tissue].mean() > 0.995
    assert (mask & ~tissue).sum() < 0.02 * tissue.sum()


def test_slices_of_a_real_brain(shared_root: Path) -> None:
    root = shared_root / "data" / "open-ms"
    task = load_task("open-ms/FLAIR/lesion", root, cases=["patient07"], slices=4)
    assert len(task.cases) == 4
    assert all(case.label.any() for case in task.cases)
    stored = nib.as_closest_canonical(nib.load(open_dataset("open-ms", root).cases[0].labels["lesion"])).get_fdata()
    for case in task.cases:
        z = int(case.id.removeprefix("patient07/z"))
        assert (case.label == 1).sum() == stored[..., z].sum()
    in_3d = load_task("open-ms/FLAIR/lesion", root, cases=["patient07"], preprocessing=IN_3D).cases[0]
    assert in_3d.image.shape[1:3] == task.cases[0].image.shape[1:]
    brain = in_3d.image[in_3d.image != 0]
    assert brain.mean() == pytest.approx(0, abs=1e-3)
    assert brain.std() == pytest.approx(1, abs=1e-3)
    assert (in_3d.label == 1).sum() == 1300
    # Bright on FLAIR: that is what a lesion is.
    assert in_3d.image[0][in_3d.label == 1].mean() > 1

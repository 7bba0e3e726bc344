"""Finding the files of known data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from medtrans.config import PreprocessingSettings
from medtrans.data import FORMATS, load_task, open_dataset
from medtrans.data.layouts.dataset import natural_order
from medtrans.errors import ConfigError, DataError
from medtrans.tasks import canonical_modality
from tests.data.tiny_scans import BOX, tiny_head, tiny_label, write_fets, write_iseg, write_nifti, write_subject

IN_3D = PreprocessingSettings(dimensions=3)


def shown(root: Path, name: str, **options: object) -> list[np.ndarray]:
    """Label arrays of a task in three dimensions."""
    return [case.label for case in load_task(name, root, preprocessing=IN_3D, **options).cases]


def test_digits_sort_as_numbers() -> None:
    names = ["subject-10", "subject-2", "subject-1", "BraTS-GLI-00002-000", "x", "7", "10"]
    assert sorted(names, key=natural_order) == [
        "7",
        "10",
        "BraTS-GLI-00002-000",
        "subject-1",
        "subject-2",
        "subject-10",
        "x",
    ]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *[(name, "T1") for name in ("t1n", "T1w")],
        *[(name, "T1CE") for name in ("T1gd", "t1c", "T1POST")],
        *[(name, "T2") for name in ("t2w", "T2")],
        *[(name, "FLAIR") for name in ("t2f", "T2-FLAIR", "t2_flair")],
        *[(name, name) for name in ("CT", "adc", "DWI-b0", "T1+T2")],
    ],
)
def test_synonyms_of_modalities(written: str, name: str) -> None:
    assert canonical_modality(written) == name


def test_unknown_format_and_missing_root(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown format 'isegs'; did you mean 'iseg'"):
        open_dataset("x", tmp_path, "isegs")
    for name in FORMATS:
        with pytest.raises(DataError, match=r"no such folder"):
            open_dataset(name, tmp_path / "gone", name)
    for name in ("iseg", "fets", "brats-2023"):
        with pytest.raises(DataError, match="no cases of this layout found"):
            open_dataset(name, tmp_path)


# iSeg


@pytest.mark.parametrize("values", [(10, 150, 250), (1, 2, 3)])
def test_iseg_labels_as_distributed_and_as_remapped(tmp_path: Path, values: tuple[int, ...]) -> None:
    write_iseg(tmp_path, 1, label=values)
    for number, structure in enumerate(("CSF", "GM", "WM")):
        (label,) = shown(tmp_path, f"iseg-2019/T1/{structure}")
        assert_array_equal(label, tiny_label(*np.eye(3, dtype=int)[number])[BOX])


def test_iseg_nested_twice_in_lower_case_sorts_numerically(tmp_path: Path) -> None:
    folder = tmp_path / "iSeg-2019-Training" / "iSeg-2019-Training"
    for subject in (10, 2, 1):
        write_iseg(folder, subject, label=(10, 150, 250))
    write_iseg(tmp_path / "iSeg-2019-Validation", 11, label=None)
    for path in folder.glob("subject-2-T*"):
        path.rename(path.with_name(path.name.replace("T", "t")))
    (folder / "._subject-3-T1.hdr").write_bytes(b"a Mac was here")
    found = open_dataset("iseg-2019", tmp_path)
    assert [case.id for case in found.cases] == ["subject-1", "subject-2", "subject-10", "subject-11"]
    assert found.modalities == ("T1", "T2")
    task = load_task("iseg-2019/T2/WM", tmp_path, preprocessing=IN_3D)
    assert task.subjects == ("subject-1", "subject-2", "subject-10")


def test_iseg_years_are_not_mixed_up(tmp_path: Path) -> None:
    for year in ("iSeg-2017-Training", "iSeg-2019-Training"):
        write_iseg(tmp_path / year, 1, label=(10,))
    with pytest.raises(DataError, match=r"case 'subject-1': more than one .* give one copy"):
        open_dataset("iseg", tmp_path)


def test_iseg_values_between_the_codings_are_an_error(tmp_path: Path) -> None:
    write_iseg(tmp_path, 1, label=(10, 100))
    with pytest.raises(DataError, match=r"subject-1-label\.hdr: unexpected label value 100"):
        load_task("iseg/T1/CSF", tmp_path)


# FeTS


def write_partition(root: Path, lines: list[str], name: str = "partitioning_1.csv") -> Path:
    path = root / name
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


def test_fets_structures_and_regions(tmp_path: Path) -> None:
    write_fets(tmp_path, "FeTS2022_00000")
    expected = {"NCR": (1, 0, 0), "ED": (0, 1, 0), "ET": (0, 0, 1), "TC": (1, 0, 1), "WT": (1, 1, 1)}
    for structure, values in expected.items():
        (label,) = shown(tmp_path, f"fets/FLAIR/{structure}")
        assert_array_equal(label, tiny_label(*values)[BOX])
    (joined,) = shown(tmp_path, "fets/FLAIR/ET+NCR")
    assert_array_equal(joined, tiny_label(2, 0, 1)[BOX])


def test_fets_modalities_are_the_right_files(tmp_path: Path) -> None:
    write_fets(tmp_path, "FeTS2022_00000")
    for number, modality in enumerate(("FLAIR", "T1", "T1CE", "T2")):
        (case,) = load_task(f"fets/{modality}/ET", tmp_path, preprocessing=IN_3D).cases
        brain = tiny_head(number)[BOX]
        assert np.corrcoef(case.image.ravel(), brain.ravel())[0, 1] == pytest.approx(1)


def test_fets_2022_partition(tmp_path: Path) -> None:
    root = tmp_path / "MICCAI_FeTS2022_TrainingData"
    for subject in ("FeTS2022_01341", "FeTS2022_00010", "FeTS2022_00002"):
        write_fets(root, subject)
    write_partition(root, ["Partition_ID,Subject_ID", "22,FeTS2022_01341", "2,FeTS2022_00010", "22,FeTS2022_00002"])
    write_partition(root, ["Partition_ID,Subject_ID", "32,FeTS2022_01341"], "partitioning_2.csv")
    (tmp_path / "Institutions.csv").write_text("name,city\nnone,none\n")
    ids = {
        domain: [case.id for case in open_dataset(domain, tmp_path).cases]
        for domain in ("fets-22", "fets-2022-2", "fets")
    }
    assert ids == {
        "fets-22": ["FeTS2022_00002", "FeTS2022_01341"],
        "fets-2022-2": ["FeTS2022_00010"],
        "fets": ["FeTS2022_00002", "FeTS2022_00010", "FeTS2022_01341"],
    }
    other = open_dataset("fets-32", tmp_path, partition_file=root / "partitioning_2.csv")
    assert [case.id for case in other.cases] == ["FeTS2022_01341"]
    with pytest.raises(DataError, match=r"partitioning_1\.csv: no institution 3; it has 2, 22"):
        open_dataset("fets-3", tmp_path)


def test_fets_2021_partition_has_its_columns_the_other_way_round_and_padded_numbers(tmp_path: Path) -> None:
    for subject in ("FeTS21_Training_001", "FeTS21_Training_002"):
        write_fets(tmp_path, subject, suffix=".nii")
    lines = ["Subject_ID,Partition_ID", "FeTS21_Training_001,01", "FeTS21_Training_002,10", "FeTS21_Training_369,01"]
    write_partition(tmp_path, lines)
    found = open_dataset("fets-2021-01", tmp_path)
    assert [case.id for case in found.cases] == ["FeTS21_Training_001"]
    assert found.notes == ("1 of the 2 subjects of institution 1 are not in the root folder.",)


@pytest.mark.parametrize("lines", [["a,b", "1,2"], ["Partition_ID,Subject_ID", "UPenn,FeTS2022_00000"]])
def test_fets_broken_partition_file(tmp_path: Path, lines: list[str]) -> None:
    write_fets(tmp_path, "FeTS2022_00000")
    path = write_partition(tmp_path, lines, "other.csv")
    with pytest.raises(DataError, match=r"other\.csv: not a table of Partition_ID"):
        open_dataset("fets-1", tmp_path, partition_file=path)


def test_fets_without_a_usable_partition_file(tmp_path: Path) -> None:
    write_fets(tmp_path, "FeTS2022_00000")
    with pytest.raises(DataError, match="no CSV file with Partition_ID and Subject_ID"):
        open_dataset("fets-1", tmp_path)
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read"):
        open_dataset("fets-1", tmp_path, partition_file=tmp_path / "gone.csv")
    write_partition(tmp_path, ["Partition_ID,Subject_ID", "1,FeTS2022_00001"])
    with pytest.raises(DataError, match="none of the 1 subjects of institution 1 is here"):
        open_dataset("fets-1", tmp_path)
    with pytest.raises(ConfigError, match="for FeTS only"):
        open_dataset("open-ms", tmp_path, partition_file=tmp_path / "x.csv")


def test_fets_label_of_another_year_is_an_error(tmp_path: Path) -> None:
    write_fets(tmp_path, "FeTS2022_00000", label=(1, 2, 3))
    with pytest.raises(DataError, match=r"unexpected label value 3; expected only \[0, 1, 2, 4\]"):
        load_task("fets/T1/WT", tmp_path)


def test_brats_2020_subject_with_a_label_of_another_name(tmp_path: Path) -> None:
    write_fets(tmp_path, "BraTS20_Training_355", label=None)
    write_nifti(tmp_path / "BraTS20_Training_355" / "W39_1998.09.19_Segm.nii", tiny_label(1, 2, 4))
    assert len(load_task("brats-2020/T1/WT", tmp_path, format="fets", preprocessing=IN_3D).cases) == 1


# BraTS 2023


def test_brats_2023(tmp_path: Path) -> None:
    for subject in ("BraTS-GLI-00010-000", "BraTS-GLI-00002-001"):
        write_subject(tmp_path / subject, "{}-{}.nii.gz", ("t1n", "t1c", "t2w", "t2f"), (1, 2, 3))
    found = open_dataset("brats-2023-gli", tmp_path)
    assert [case.id for case in found.cases] == ["BraTS-GLI-00002-001", "BraTS-GLI-00010-000"]
    assert set(found.modalities) == {"T1", "T1CE", "T2", "FLAIR"}
    label, _ = shown(tmp_path, "brats-2023/T1CE/ET")
    assert_array_equal(label, tiny_label(0, 0, 1)[BOX])


def test_brats_2023_does_not_know_the_resection_cavity_of_2024(tmp_path: Path) -> None:
    write_subject(tmp_path / "BraTS-GLI-00002-000", "{}-{}.nii.gz", ("t1n",), (1, 2, 4))
    with pytest.raises(DataError, match="unexpected label value 4"):
        load_task("brats-2023/T1/WT", tmp_path)


# open-ms


def write_open_ms(root: Path, patient: str, *, tissue: bool) -> None:
    folder = root / "cross_sectional" / "MNI" / patient
    for number, modality in enumerate(("T1", "T1POST", "T2", "FLAIR")):
        write_nifti(folder / f"{modality}_N4_brain_regtoMNI.nii.gz", tiny_head(number))
    write_nifti(folder / "GOLD_STANDARD_N4_regtoMNI.nii.gz", tiny_label(1))
    if tissue:
        write_nifti(root / "derived" / f"{patient}_tissue.nii.gz", tiny_label(1, 2, 3))


def test_open_ms_lesions_and_derived_tissue(tmp_path: Path) -> None:
    write_open_ms(tmp_path, "patient07", tissue=True)
    write_open_ms(tmp_path, "patient19", tissue=False)
    lesions = load_task("open-ms/T1POST/lesion", tmp_path, preprocessing=IN_3D)
    assert lesions.subjects == ("patient07", "patient19")
    assert lesions.notes == ()
    assert open_dataset("open-ms", tmp_path).modalities == ("T1", "T1POST", "T2", "FLAIR")
    brain = tiny_head(1)[BOX]
    assert np.corrcoef(lesions.cases[0].image.ravel(), brain.ravel())[0, 1] == pytest.approx(1)
    tissue = load_task("open-ms/T1/GM+WM", tmp_path, preprocessing=IN_3D)
    assert tissue.subjects == ("patient07",)
    assert_array_equal(tissue.cases[0].label, tiny_label(0, 1, 2)[BOX])
    assert any("derived" in note for note in tissue.notes)
    with pytest.raises(DataError, match="case 'patient19' has no tissue map"):
        load_task("open-ms/T1/GM", tmp_path, cases=["patient19"])


def test_open_ms_structures_from_two_label_maps(tmp_path: Path) -> None:
    write_open_ms(tmp_path, "patient07", tissue=True)  # the lesion's block is the CSF's
    (label,) = shown(tmp_path, "open-ms/T1/lesion+WM")
    assert_array_equal(label, tiny_label(1, 0, 2)[BOX])
    with pytest.raises(DataError, match="case 'patient07': 'CSF' overlaps another structure"):
        load_task("open-ms/T1/lesion+CSF", tmp_path)


def test_open_ms_root_is_the_folder_above(tmp_path: Path) -> None:
    write_open_ms(tmp_path, "patient07", tissue=False)
    with pytest.raises(DataError, match="give the folder that holds cross_sectional/ as root"):
        open_dataset("open-ms", tmp_path / "cross_sectional")

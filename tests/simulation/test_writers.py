"""Simulated folders: layouts, determinism, all or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medtrans.data.load import load_task
from medtrans.errors import DataError
from medtrans.simulation import SITES, simulate_fets, simulate_iseg, writers
from medtrans.simulation.folders import MARKER

COARSE_MM = 8.0


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def voxels(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


@pytest.fixture(scope="module")
def iseg(tmp_path_factory) -> Path:
    return simulate_iseg(tmp_path_factory.mktemp("data") / "iseg", subjects=2, seed=3, spacing_mm=COARSE_MM)


@pytest.fixture(scope="module")
def fets(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "fets"
    return simulate_fets(root, institutions=(22, 2), subjects_per_institution=2, seed=3, spacing_mm=COARSE_MM)


def test_iseg_layout(iseg):
    expected = {
        f"subject-{n}-{name}.{suffix}" for n in (1, 2) for name in ("T1", "T2", "label") for suffix in ("hdr", "img")
    }
    assert {path.name for path in iseg.iterdir()} == expected | {MARKER}
    image, label = nib.load(iseg / "subject-1-T1.hdr"), nib.load(iseg / "subject-1-label.hdr")
    assert image.shape == label.shape == (18, 24, 32, 1)  # 144 x 192 x 256 mm, and the trailing axis of the original
    assert image.header.get_zooms()[:3] == (8, 8, 8)
    assert label.get_data_dtype() == np.uint8
    assert set(np.unique(label.dataobj)) == {0, 10, 150, 250}
    assert ((voxels(iseg / "subject-1-T1.hdr") == 0) == (np.asanyarray(label.dataobj) == 0)).all()


def test_iseg_headers_are_analyze_and_not_nifti(iseg):
    assert (iseg / "subject-1-T1.hdr").read_bytes()[344:347] != b"ni1"


def test_fets_layout(fets):
    names = [f"FeTS2022_{n:05d}" for n in range(4)]
    assert {path.name for path in fets.iterdir()} == {*names, "partitioning_1.csv", MARKER}
    assert {path.name for path in (fets / names[0]).iterdir()} == {
        f"{names[0]}_{suffix}.nii.gz" for suffix in ("flair", "t1", "t1ce", "t2", "seg")
    }
    assert (fets / "partitioning_1.csv").read_bytes().decode() == (
        "Partition_ID,Subject_ID\r\n22,FeTS2022_00000\r\n22,FeTS2022_00001\r\n2,FeTS2022_00002\r\n2,FeTS2022_00003\r\n"
    )
    image = nib.load(fets / names[0] / f"{names[0]}_t1ce.nii.gz")
    assert image.shape == (30, 30, 19)  # 240 x 240 x 155 mm
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    label = voxels(fets / names[0] / f"{names[0]}_seg.nii.gz")
    assert label.dtype == np.uint8
    assert set(np.unique(label)) == {0, 1, 2, 4}
    brains = [voxels(fets / names[0] / f"{names[0]}_{name}.nii.gz") != 0 for name in ("flair", "t1", "t1ce", "t2")]
    assert all((brain == brains[0]).all() for brain in brains)
    assert brains[0][label > 0].all()


def test_head_is_the_right_way_up(fets):
    # seen along the axes that the file states, a brain is longest from back to front
    image = nib.as_closest_canonical(nib.load(fets / "FeTS2022_00000" / "FeTS2022_00000_t1.nii.gz"))
    brain = np.asanyarray(image.dataobj) != 0
    right, front, top = (np.flatnonzero(brain.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    assert len(front) > len(right)
    # and its upper half is larger than its lower, where only cerebellum and temporal lobes are
    middle = (top[0] + top[-1] + 1) // 2
    assert brain[:, :, middle:].sum() > brain[:, :, :middle].sum()


def test_same_seed_same_bytes(iseg, fets, tmp_path):
    simulate_iseg(tmp_path / "iseg", subjects=2, seed=3, spacing_mm=COARSE_MM)
    simulate_fets(tmp_path / "fets", institutions=[22, 2], subjects_per_institution=2, seed=3, spacing_mm=COARSE_MM)
    assert contents(tmp_path / "iseg") == contents(iseg)
    assert contents(tmp_path / "fets") == contents(fets)


def test_a_subject_does_not_depend_on_how_many_there_are(iseg, tmp_path):
    root = simulate_iseg(tmp_path / "one", subjects=1, seed=3, spacing_mm=COARSE_MM)
    assert (root / "subject-1-T2.img").read_bytes() == (iseg / "subject-1-T2.img").read_bytes()


def test_another_seed_is_another_infant(iseg, tmp_path):
    root = simulate_iseg(tmp_path / "other", subjects=1, seed=4, spacing_mm=COARSE_MM)
    assert (root / "subject-1-label.img").read_bytes() != (iseg / "subject-1-label.img").read_bytes()


def test_two_sites_scan_the_same_heads_differently(iseg, tmp_path):
    root = simulate_iseg(tmp_path / "fast", site="3T-infant-fast", subjects=1, seed=3, spacing_mm=COARSE_MM)
    assert (root / "subject-1-label.img").read_bytes() == (iseg / "subject-1-label.img").read_bytes()
    assert (root / "subject-1-T1.img").read_bytes() != (iseg / "subject-1-T1.img").read_bytes()


def test_institutions_can_be_given_sites(tmp_path):
    root = simulate_fets(
        tmp_path, institutions={7: SITES["1.5T-gradient"]}, subjects_per_institution=1, spacing_mm=COARSE_MM
    )
    assert '"name": "1.5T-gradient"' in (root / MARKER).read_text()


def test_complete_folder_is_kept(iseg):
    before = {path: path.stat().st_mtime_ns for path in iseg.iterdir()}
    assert simulate_iseg(iseg, subjects=2, seed=3, spacing_mm=COARSE_MM) == iseg
    assert {path: path.stat().st_mtime_ns for path in iseg.iterdir()} == before


def test_folder_with_another_simulation_is_refused(iseg):
    with pytest.raises(DataError, match="other parameters"):
        simulate_iseg(iseg, subjects=2, seed=4, spacing_mm=COARSE_MM)


def test_folder_with_foreign_files_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DataError, match="is not empty"):
        simulate_iseg(tmp_path, subjects=1, spacing_mm=COARSE_MM)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("exists", [False, True])
def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch, exists):
    def full_disk(path, volume, spacing_mm):
        if "subject-2" in path.name:
            raise OSError("no space left on device")
        path.write_bytes(b"half")

    root = tmp_path / "iseg"
    if exists:
        root.mkdir()
    monkeypatch.setattr(writers, "_write_analyze", full_disk)
    with pytest.raises(OSError, match="no space"):
        simulate_iseg(root, subjects=2, spacing_mm=COARSE_MM)
    assert not list(tmp_path.rglob("*.hdr"))
    assert [path.name for path in tmp_path.iterdir()] == (["iseg"] if exists else [])


def test_numbers_out_of_range_are_refused(tmp_path):
    with pytest.raises(DataError, match="subjects is 0"):
        simulate_iseg(tmp_path, subjects=0)
    with pytest.raises(DataError, match="seed is -1"):
        simulate_iseg(tmp_path, subjects=1, seed=-1)
    with pytest.raises(DataError, match="spacing_mm is 40"):
        simulate_iseg(tmp_path, subjects=1, spacing_mm=40)
    with pytest.raises(DataError, match="institutions is 0"):
        simulate_fets(tmp_path, institutions=(), subjects_per_institution=1)
    with pytest.raises(DataError, match="each id once"):
        simulate_fets(tmp_path, institutions=(3, 3), subjects_per_institution=1)
    with pytest.raises(DataError, match="unknown site"):
        simulate_fets(tmp_path, institutions={3: "moon"}, subjects_per_institution=1)
    assert not list(tmp_path.iterdir())


def test_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose an empty folder"):
        simulate_iseg(tmp_path / "file", subjects=1, spacing_mm=COARSE_MM)


def test_the_real_readers_read_what_is_written(iseg, fets):
    infants = load_task("iseg/T1/CSF+GM+WM", iseg)
    assert infants.subjects == ("subject-1", "subject-2")
    assert infants.class_names == ("background", "CSF", "GM", "WM")
    patients = load_task("fets-22/T1CE/ET", fets)
    assert patients.subjects == ("FeTS2022_00000", "FeTS2022_00001")
    assert all(case.spacing_mm == (COARSE_MM, COARSE_MM) for case in (*infants.cases, *patients.cases))

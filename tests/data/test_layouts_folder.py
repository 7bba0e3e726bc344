"""Folders described by a file in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import yaml
from numpy.testing import assert_array_equal

from medtrans.config import PreprocessingSettings
from medtrans.data import load_task, open_dataset
from medtrans.errors import ConfigError, DataError
from medtrans.tasks import IGNORE_LABEL, Case
from tests.data.tiny_scans import BOX, tiny_head, tiny_label, write_nifti

IN_3D = PreprocessingSettings(dimensions=3)


def load(root: Path, name: str) -> tuple[Case, ...]:
    return load_task(name, root, preprocessing=IN_3D).cases


def shows(case: Case, brain: np.ndarray) -> bool:
    """Whether a case's image is this brain, standardised."""
    return bool(np.corrcoef(case.image.ravel(), brain.ravel())[0, 1] > 0.9999)


def describe(root: Path, **changes: object) -> None:
    description = {
        "images": "{case}/{modality}.nii.gz",
        "labels": "{case}/{case}_label.nii.gz",
        "modalities": ["T1", "T2"],
        "structures": {"grey": 7, "both": [7, 1000]},
    }
    content = {key: value for key, value in (description | changes).items() if value is not None}
    (root / "medtrans.yaml").write_text(yaml.safe_dump(content))


def write_case(
    root: Path, case_id: str, label: tuple[int, ...] | None = (7, 1000), words: tuple[str, ...] = ("T1", "T2")
) -> None:
    for number, word in enumerate(words):
        write_nifti(root / case_id / f"{word}.nii.gz", tiny_head(number))
    if label:
        values = np.array([0, *label], np.int16)
        write_nifti(root / case_id / f"{case_id}_label.nii.gz", values[tiny_label(*range(1, len(values)))])


def test_yaml_names_files_structures_and_values(tmp_path: Path) -> None:
    for case_id in ("p10", "p9"):
        write_case(tmp_path, case_id)
    write_case(tmp_path, "p11", label=None)
    describe(tmp_path)
    assert [case.id for case in open_dataset("mine", tmp_path).cases] == ["p9", "p10", "p11"]
    first, second = load(tmp_path, "mine/T2/grey")
    assert (first.id, second.id) == ("p9", "p10")
    assert shows(first, tiny_head(1)[BOX])
    assert_array_equal(first.label, tiny_label(1)[BOX])
    assert_array_equal(load(tmp_path, "mine/T1/both")[0].label, tiny_label(1, 1)[BOX])


def test_yaml_may_rename_modalities_and_ignore_values(tmp_path: Path) -> None:
    write_case(tmp_path, "p1", label=(7, 1000, 3), words=("t1_mprage", "t2"))
    describe(tmp_path, modalities={"T1": "t1_mprage", "T2": "t2"}, ignore=[3])
    (case,) = load(tmp_path, "mine/T1/grey")
    assert shows(case, tiny_head(0)[BOX])
    assert_array_equal(case.label, tiny_label(1, 0, IGNORE_LABEL)[BOX])


def test_yaml_with_4d_images_of_another_format(tmp_path: Path) -> None:
    channels = np.stack([tiny_head(0), tiny_head(1)], axis=-1)
    (tmp_path / "images").mkdir()
    image = SimpleITK.GetImageFromArray(channels.transpose(2, 1, 0, 3), isVector=True)
    label = SimpleITK.GetImageFromArray(tiny_label(1, 2).transpose(2, 1, 0))
    SimpleITK.WriteImage(image, str(tmp_path / "images" / "p1.nrrd"))
    SimpleITK.WriteImage(label, str(tmp_path / "images" / "p1-seg.mha"))
    describe(tmp_path, images="images/{case}.nrrd", labels="images/{case}-seg.mha", structures={"a": 1, "b": 2})
    (case,) = load(tmp_path, "mine/T2/b")
    # SimpleITK's axes point left and back by default: in RAS both are turned round.
    assert shows(case, tiny_head(1)[BOX][::-1, ::-1])
    assert_array_equal(case.label, tiny_label(0, 1)[BOX][::-1, ::-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": {"a": 1}}, "unknown key 'structure'; did you mean 'structures'"),
        ({"labels": None}, "key 'labels' is missing"),
        ({"images": "a_{modality}.nii"}, "key 'images': .*must hold {case}"),
        ({"labels": "/data/{case}.nii"}, "key 'labels': .*must be relative"),
        ({"images": "{case}.nii", "modalities": {"T1": "t1"}}, "key 'images' must hold {modality}"),
    ],
)
def test_a_wrong_description_is_one_clear_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    describe(tmp_path, **changes)
    with pytest.raises(ConfigError, match=rf"medtrans\.yaml: {message}"):
        open_dataset("mine", tmp_path)


def test_a_folder_needs_a_description(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither medtrans\.yaml nor dataset\.json"):
        open_dataset("mine", tmp_path)


def write_json(root: Path, **content: object) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))


def write_nnunet(root: Path, label: tuple[int, ...]) -> None:
    for case_id in ("BraTS_002", "BraTS_010"):
        for channel in range(2):
            write_nifti(root / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz", tiny_head(channel))
        write_nifti(root / "labelsTr" / f"{case_id}.nii.gz", tiny_label(*label))
    (root / "labelsTr" / "._BraTS_002.nii.gz").write_bytes(b"a Mac was here")


def test_nnunet_2(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1, 2, 3))
    write_json(
        tmp_path,
        channel_names={"0": "t2f", "1": "T1w"},
        labels={"background": 0, "whole tumor": [1, 2], "core": 2, "ignore": 3},
        numTraining=2,
        file_ending=".nii.gz",
    )
    assert open_dataset("dataset137", tmp_path).modalities == ("FLAIR", "T1")
    cases = load(tmp_path, "dataset137/T1/whole tumor")
    assert [case.id for case in cases] == ["BraTS_002", "BraTS_010"]
    assert shows(cases[0], tiny_head(1)[BOX])
    assert_array_equal(cases[0].label, tiny_label(1, 1, IGNORE_LABEL)[BOX])


def test_nnunet_1(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1, 2))
    write_json(tmp_path, modality={"0": "FLAIR", "1": "T1gd"}, labels={"0": "background", "1": "ED", "2": "NCR"})
    cases = load(tmp_path, "task/T1CE/NCR")
    assert len(cases) == 2
    assert shows(cases[0], tiny_head(1)[BOX])
    assert_array_equal(cases[0].label, tiny_label(0, 1)[BOX])


def test_decathlon(tmp_path: Path) -> None:
    root = tmp_path / "Task01_BrainTumour"
    channels = np.stack([tiny_head(number) for number in range(4)], axis=-1)
    write_nifti(root / "imagesTr" / "BRATS_001.nii.gz", channels)
    write_nifti(root / "labelsTr" / "BRATS_001.nii.gz", tiny_label(1, 2, 3))
    write_json(
        root,
        modality={"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        labels={"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        training=[{"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}],
    )
    for number, modality in enumerate(("FLAIR", "T1", "T1CE", "T2")):
        (case,) = load(root, f"msd/{modality}/enhancing tumour")
        assert case.id == "BRATS_001"
        assert shows(case, tiny_head(number)[BOX])
        assert_array_equal(case.label, tiny_label(0, 0, 1)[BOX])
    with pytest.raises(DataError, match=r"structure 'edma' is not in .*did you mean 'edema'"):
        load(root, "msd/T1/edma")


@pytest.mark.parametrize(
    "content",
    [
        {"labels": {"a": 1}},
        {"modality": {"0": "T1"}},
        {"modality": ["T1"], "labels": {"a": 1}},
        {"modality": {"x": "T1"}},
    ],
)
def test_a_dataset_json_that_lacks_what_is_needed(tmp_path: Path, content: dict[str, object]) -> None:
    write_json(tmp_path, **content)
    with pytest.raises(DataError, match=r"dataset\.json: key .* repair it"):
        open_dataset("x", tmp_path)


@pytest.mark.parametrize("names", [("t1gd", "T1POST"), ("t2f", "T2-FLAIR"), ("zscore", "zscore")])
def test_two_channels_of_one_modality_are_not_mixed_up(tmp_path: Path, names: tuple[str, str]) -> None:
    write_nnunet(tmp_path, (1,))
    write_json(tmp_path, channel_names=dict(enumerate(names)), labels={"background": 0, "core": 1})
    with pytest.raises(DataError, match=f"channels '{names[0]}' and '{names[1]}' are both .*; rename one"):
        open_dataset("x", tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_dataset_json_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json: .*repair it"):
        open_dataset("x", tmp_path)

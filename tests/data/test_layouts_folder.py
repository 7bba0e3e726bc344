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
        {"modality": "T1", "labels": {"a": 1}},
        {"modality": {"x": "T1"}},
        {"modality": {"9" * 5000: "T1"}, "labels": {"a": 1}},
        {"modality": {"0": "T1"}, "labels": ["a"]},
        {"modality": {"0": "T1"}, "labels": {"a": 1.5}},
        {"modality": {"0": "T1"}, "labels": {"a": True}},
        {"modality": {"0": "T1"}, "labels": {"a": "9" * 5000}},
        {"modality": {"0": "T1"}, "labels": {"a": 1}, "file_ending": None},
    ],
)
def test_a_dataset_json_that_lacks_what_is_needed(tmp_path: Path, content: dict[str, object]) -> None:
    write_json(tmp_path, **content)
    with pytest.raises(DataError, match=r"dataset\.json: key .* repair it"):
        open_dataset("x", tmp_path)


def test_a_dataset_json_written_by_hand(tmp_path: Path) -> None:
    """With a byte order mark, channels as a list and values as texts."""
    write_nnunet(tmp_path, (1,))
    write_json(tmp_path, channel_names=["T1", "T2"], labels={"background": 0, "a": "1.0"})
    file = tmp_path / "dataset.json"
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert [case.id for case in load(tmp_path, "mine/T2/a")] == ["BraTS_002", "BraTS_010"]


NNUNET = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "a": 1}}


def test_a_case_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1,))
    write_nifti(tmp_path / "labelsTr" / "old" / "BraTS_002.nii.gz", tiny_label(0, 1))
    write_json(tmp_path, **NNUNET)
    with pytest.raises(DataError, match=r"'BraTS_002' has two label maps, labelsTr/.* and labelsTr/old/.*keep one"):
        open_dataset("x", tmp_path)


def test_label_maps_with_a_channel_number_are_an_error_whatever_the_modality(tmp_path: Path) -> None:
    for case_id in ("a", "b"):
        for channel in range(2):
            write_nifti(tmp_path / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz", tiny_head(channel))
        write_nifti(tmp_path / "labelsTr" / f"{case_id}_0000.nii.gz", tiny_label(1))
    write_json(tmp_path, **NNUNET)
    with pytest.raises(
        DataError, match=r"a_0000\.nii\.gz: a label map .* carries no channel number; rename it to a\.nii"
    ):
        open_dataset("x", tmp_path)


def test_files_that_are_not_read_and_cases_that_are_missing_are_told(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1,))
    write_nifti(tmp_path / "labelsTr" / "BraTS_030.nii", tiny_label(1))
    write_json(tmp_path, **NNUNET, numTraining=3)
    first, second = open_dataset("x", tmp_path).notes
    assert first == "1 files in labelsTr do not end with .nii.gz and are not read: BraTS_030.nii first."
    assert second == "dataset.json announces 3 training cases, but labelsTr holds 2 label maps."


def test_names_with_signs_are_written_with_hyphens(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1, 2, 3))
    labels = {"background": 0, "prostate/uterus": 1, "left lung": 2, "a-b": 3}
    write_json(tmp_path, channel_names={"0": "T1/Gd", "1": "T2*"}, labels=labels)
    for name in ("x/T2*/prostate-uterus", "x/T1-Gd/left-lung", "x/T1-Gd/left lung"):
        assert all(case.label.any() for case in load(tmp_path, name))
    with pytest.raises(DataError, match=r"did you mean 'prostate-uterus'"):
        load(tmp_path, "x/T2*/prostate-uteru")
    with pytest.raises(ConfigError, match=r"a slash in a name becomes a hyphen, prostate-uterus"):
        load(tmp_path, "x/T2*/prostate/uterus")


def test_two_names_of_one_spelling_are_not_mixed_up(tmp_path: Path) -> None:
    write_nnunet(tmp_path, (1, 2))
    write_json(tmp_path, channel_names={"0": "T1", "1": "T2"}, labels={"background": 0, "a b": 1, "a-b": 2})
    assert_array_equal(load(tmp_path, "x/T1/a-b")[0].label, tiny_label(0, 1)[BOX])
    assert_array_equal(load(tmp_path, "x/T1/a b")[0].label, tiny_label(1)[BOX])


@pytest.mark.parametrize("ids", [("p²", "p③"), ("p٣", "p10")])
def test_ids_with_other_digits(tmp_path: Path, ids: tuple[str, str]) -> None:
    for case_id in ids:
        write_case(tmp_path, case_id)
    describe(tmp_path)
    assert {case.id for case in open_dataset("mine", tmp_path).cases} == set(ids)


def test_more_structures_than_a_byte_holds(tmp_path: Path) -> None:
    write_nifti(tmp_path / "p1" / "T1.nii.gz", tiny_head())
    values = np.array([0, 255, 1300], np.int16)
    write_nifti(tmp_path / "p1" / "p1_label.nii.gz", values[tiny_label(1, 2)])
    describe(tmp_path, modalities=["T1"], structures={f"s{value}": value for value in range(1, 1301)})
    assert_array_equal(load(tmp_path, "mine/T1/s255")[0].label, tiny_label(1)[BOX])
    assert_array_equal(load(tmp_path, "mine/T1/s1300")[0].label, tiny_label(0, 1)[BOX])
    with pytest.raises(DataError, match="255 structures in one task; at most 254"):
        load(tmp_path, "mine/T1/" + "+".join(f"s{value}" for value in range(1, 256)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": {"T1": 0}}, r"key 'modalities\.T1': expected a text; put it into quotes \(found 0\)"),
        ({"structures": {True: 1}}, r"key 'structures': YAML reads a name in it as True; put it into quotes"),
    ],
)
def test_what_yaml_takes_for_something_else_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    describe(tmp_path, **changes)
    with pytest.raises(ConfigError, match=message):
        open_dataset("mine", tmp_path)


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

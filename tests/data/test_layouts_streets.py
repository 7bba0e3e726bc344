"""Finding the files of street scenes: Cityscapes, BDD100K, GTA5, CamVid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from medtrans.config import LAYOUTS
from medtrans.data import load_task, open_dataset
from medtrans.data.layouts.street_classes import FROM_LABEL_IDS, FROM_TRAIN_IDS, LABEL_IDS
from medtrans.errors import DataError, MedtransWarning
from medtrans.tasks import IGNORE_LABEL
from tests.data.tiny_streets import (
    TRAIN_IDS,
    tiny_photograph,
    tiny_scene,
    write_bdd100k,
    write_camvid,
    write_cityscapes,
    write_gta5,
    write_png,
)

# Identifier, trainId and name in the table of cityscapesScripts; every other identifier is ignored.
TABLE = """
 7  0 road          | 17  5 pole          | 23 10 sky    | 28 15 bus
 8  1 sidewalk      | 19  6 traffic light | 24 11 person | 31 16 train
11  2 building      | 20  7 traffic sign  | 25 12 rider  | 32 17 motorcycle
12  3 wall          | 21  8 vegetation    | 26 13 car    | 33 18 bicycle
13  4 fence         | 22  9 terrain       | 27 14 truck  |
"""


def table() -> list[tuple[int, int, str]]:
    cells = [cell.split(maxsplit=2) for line in TABLE.splitlines() for cell in line.split("|") if cell.strip()]
    return [(int(label_id), int(train_id), name.strip()) for label_id, train_id, name in cells]


def ids(found) -> list[str]:
    return [case.id for case in found.cases]


def test_the_19_classes() -> None:
    assert len(table()) == 19
    for label_id, train_id, name in table():
        assert LABEL_IDS[name] == label_id
        assert list(LABEL_IDS)[train_id] == name
        assert FROM_LABEL_IDS[label_id] == train_id
        assert FROM_TRAIN_IDS[train_id] == train_id
    ignored = set(range(34)) - {label_id for label_id, *_ in table()} | {255}
    assert {value for value, to in FROM_LABEL_IDS.items() if to == IGNORE_LABEL} == ignored
    assert FROM_LABEL_IDS.keys() == {*range(34), 255}
    assert FROM_TRAIN_IDS.keys() == {*range(19), 255}


def test_the_formats_of_photographs_are_those_whose_measure_is_miou(tmp_path: Path) -> None:
    write_cityscapes(tmp_path / "cityscapes", "aachen_000000_000019")
    write_bdd100k(tmp_path / "bdd100k", "0a")
    write_gta5(tmp_path / "gta5", "00001")
    write_camvid(tmp_path / "camvid", "0001TP_006690")
    photographs = {layout.name for layout in LAYOUTS.values() if layout.kind == "photograph"}
    for name in photographs:
        assert open_dataset(name, tmp_path / name).photographs
    assert {folder.name for folder in tmp_path.iterdir()} == photographs


# Cityscapes


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    write_cityscapes(tmp_path, "aachen_000001_000019")
    write_cityscapes(tmp_path, "aachen_000000_000019")
    write_cityscapes(tmp_path, "ulm_000000_000019", split="val")
    write_cityscapes(tmp_path, "berlin_000000_000019", split="test", label_ids=(0, 0, 0, 0))
    return tmp_path


def test_a_city_is_a_domain_wherever_it_lies(cityscapes: Path) -> None:
    assert ids(open_dataset("cityscapes-aachen", cityscapes)) == ["aachen_000000_000019", "aachen_000001_000019"]
    assert ids(open_dataset("cityscapes-ulm", cityscapes)) == ["ulm_000000_000019"]
    every = open_dataset("cityscapes", cityscapes)
    assert ids(every) == ["aachen_000000_000019", "aachen_000001_000019", "ulm_000000_000019"]
    assert ids(open_dataset("town", cityscapes, "cityscapes")) == ids(every)
    assert every.modalities == ("RGB",)
    assert every.notes[-1] == "The images are of all cities: aachen, ulm."


def test_a_city_that_is_not_there(cityscapes: Path) -> None:
    with pytest.raises(DataError, match=r"no images of city 'achen' in train or val; did you mean 'aachen'\?"):
        open_dataset("cityscapes-achen", cityscapes)
    with pytest.raises(DataError, match="city 'berlin' is in the test split, whose labels are withheld"):
        open_dataset("cityscapes-berlin", cityscapes)
    (cityscapes / "gtFine" / "train" / "bonn").mkdir()  # labels, but no images
    with pytest.raises(DataError, match="no images of city 'bonn' in train or val; known are: aachen, ulm"):
        open_dataset("cityscapes-bonn", cityscapes)


def test_a_folder_without_cityscapes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"leftImg8bit: no such folder; give the folder that holds leftImg8bit/"):
        open_dataset("cityscapes", tmp_path)
    (tmp_path / "leftImg8bit").mkdir()
    with pytest.raises(DataError, match="no cases of this layout found"):
        open_dataset("cityscapes-aachen", tmp_path)


def test_label_ids_become_train_ids(cityscapes: Path) -> None:
    task = load_task("cityscapes-ulm/RGB/19-classes", cityscapes)
    assert_array_equal(task.cases[0].label, tiny_scene(*TRAIN_IDS))
    assert task.class_names == tuple(LABEL_IDS)
    assert "Labels are read from the files gtFine_labelIds.png." in task.notes


def test_train_ids_are_read_only_where_every_labelled_image_has_them(tmp_path: Path) -> None:
    sidewalk = (1, 2, 10, 255)  # told apart from the labelIds, which say road
    write_cityscapes(tmp_path, "ulm_000000_000019", train_ids=sidewalk)
    write_cityscapes(tmp_path, "ulm_000001_000019", label_ids=None)
    task = load_task("cityscapes-ulm/RGB/19-classes", tmp_path)
    assert_array_equal(task.cases[0].label, tiny_scene(*sidewalk))
    assert "Labels are read from the files gtFine_labelTrainIds.png." in task.notes
    write_cityscapes(tmp_path, "ulm_000002_000019")
    task = load_task("cityscapes-ulm/RGB/19-classes", tmp_path)
    assert [case.id for case in task.cases] == ["ulm_000000_000019", "ulm_000002_000019"]
    assert_array_equal(task.cases[0].label, tiny_scene(*TRAIN_IDS))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"label_ids": TRAIN_IDS}, r"look like trainIds \(no value from 19 to 33 occurs, and 100% of the pixels .*"),
        ({"label_ids": None, "train_ids": (7, 11, 23, 4)}, r"labelTrainIds\.png: .* look like labelIds \(value 23 .*"),
        ({"label_ids": None, "train_ids": (7, 8, 17, 11)}, r"look like labelIds \(value 7 occurs and none of 0 to 6\)"),
    ],
)
def test_the_other_ids_than_the_name_says(tmp_path: Path, files: dict, message: str) -> None:
    write_cityscapes(tmp_path, "ulm_000000_000019", **files)
    with pytest.raises(DataError, match=rf"{message}.* expected here; .* name them") as caught:
        load_task("cityscapes/RGB/19-classes", tmp_path)
    assert "\n" not in str(caught.value)


def test_images_with_the_other_kind_of_label_map_are_left_out_with_a_note(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, "ulm_000000_000019")
    write_cityscapes(tmp_path, "ulm_000001_000019", label_ids=None, train_ids=TRAIN_IDS)
    task = load_task("cityscapes-ulm/RGB/19-classes", tmp_path)
    assert len(task.cases) == 1
    assert "1 of 2 labelled images have no such file and are left out." in task.notes


def test_ids_are_judged_over_the_chosen_images_together(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, "ulm_000000_000019", label_ids=(0, 1, 3, 11))  # alone it would be suspect
    write_cityscapes(tmp_path, "ulm_000001_000019", label_ids=(7, 7, 26, 23))
    task = load_task("cityscapes/RGB/19-classes", tmp_path)
    assert len(task.cases) == 2
    assert task.notes[-2].endswith("might be of another coding; look at them: ulm_000000_000019.")
    with pytest.raises(DataError, match="look like trainIds"):
        load_task("cityscapes/RGB/19-classes", tmp_path, cases=["ulm_000000_000019"])


def test_a_value_outside_the_table_is_named_with_its_file(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, "ulm_000000_000019", label_ids=(7, 26, 23, 40))
    with pytest.raises(DataError, match=r"ulm_000000_000019_gtFine_labelIds\.png: unexpected label value 40"):
        load_task("cityscapes/RGB/19-classes", tmp_path)
    write_cityscapes(tmp_path, "ulm_000000_000019", label_ids=None, train_ids=(0, 2, 10, 19))
    (tmp_path / "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"labelTrainIds\.png: unexpected label value 19; expected only \[0, 1, 2"):
        load_task("cityscapes/RGB/19-classes", tmp_path)


# BDD100K


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("outer", [".", "bdd100k"])
def test_bdd100k_in_both_layouts(tmp_path: Path, legacy: bool, outer: str) -> None:
    write_bdd100k(tmp_path / outer, "b1", legacy=legacy)
    write_bdd100k(tmp_path / outer, "a2", legacy=legacy, split="val")
    write_bdd100k(tmp_path / outer, "c3", legacy=legacy, split="test", values=None)
    assert ids(open_dataset("bdd100k", tmp_path)) == ["a2", "b1", "c3"]
    task = load_task("bdd100k/RGB/19-classes", tmp_path)
    assert [case.id for case in task.cases] == ["a2", "b1"]
    assert_array_equal(task.cases[0].label, tiny_scene(*TRAIN_IDS))
    with pytest.raises(DataError, match=r"case 'c3' has no label map in .*; add it or leave the case out"):
        load_task("bdd100k/RGB/19-classes", tmp_path, cases=["c3"])


def test_colour_maps_of_bdd100k_are_no_labels(tmp_path: Path) -> None:
    write_bdd100k(tmp_path, "a", values=None)
    write_png(tmp_path / "labels/sem_seg/colormaps/train/a.png", tiny_photograph())
    with pytest.raises(DataError, match="none of 1 cases has a label map"):
        load_task("bdd100k/RGB/19-classes", tmp_path)
    write_png(tmp_path / "labels/sem_seg/masks/train/a.png", tiny_photograph())
    with pytest.raises(DataError, match=r"masks/train/a\.png: holds colours, not class indices"):
        load_task("bdd100k/RGB/19-classes", tmp_path)


def test_label_ids_in_masks_of_bdd100k(tmp_path: Path) -> None:
    write_bdd100k(tmp_path, "a", values=(7, 11, 26, 23))
    with pytest.raises(DataError, match=r"a\.png: the labels look like labelIds \(value 26 occurs\), but trainIds"):
        load_task("bdd100k/RGB/19-classes", tmp_path)


# GTA5


def test_the_index_of_a_palette_image_is_the_label(tmp_path: Path) -> None:
    write_gta5(tmp_path, "00001", (7, 26, 34, 23))
    (case,) = load_task("gta5/RGB/19-classes", tmp_path).cases
    assert_array_equal(case.label, tiny_scene(0, 13, 255, 10))
    write_png(tmp_path / "labels" / "00001.png", tiny_photograph())
    with pytest.raises(DataError, match=r"labels/00001\.png: holds colours, .* palette .* must be fetched again"):
        load_task("gta5/RGB/19-classes", tmp_path)


def test_pairs_that_are_known_to_be_wrong_are_left_out(tmp_path: Path) -> None:
    for name in ("02153", "02154", "02158", "02159", "15188", "17705"):
        write_gta5(tmp_path, name)
    found = open_dataset("gta5", tmp_path)
    assert ids(found) == ["02153", "02159"]
    assert found.notes == ("Left out as known to be blank or not to fit their labels: 4 of 6 images.",)


def test_a_label_of_another_size_is_left_out_with_a_warning(tmp_path: Path) -> None:
    for name in ("00001", "00002"):
        write_gta5(tmp_path, name)
    write_png(tmp_path / "labels" / "00002.png", tiny_scene(7)[:-1], mode="P")
    said = "case '00002': image is 8x6 pixels but its label map is 8x5, so it was left out."
    with pytest.warns(MedtransWarning, match=said):
        task = load_task("gta5/RGB/road", tmp_path)
    assert [case.id for case in task.cases] == ["00001"]
    assert said in task.notes
    with pytest.warns(MedtransWarning), pytest.raises(DataError, match="none of the chosen images has the size of its"):
        load_task("gta5/RGB/19-classes", tmp_path, cases=["00002"])


def test_train_ids_in_gta5(tmp_path: Path) -> None:
    write_gta5(tmp_path, "00001", (0, 10, 2, 8))
    with pytest.raises(DataError, match=r"look like trainIds .*but labelIds are expected here; fetch the original"):
        load_task("gta5/RGB/19-classes", tmp_path)


# CamVid


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    folder = tmp_path / "CamVid"
    write_camvid(folder, "0001TP_006690")
    write_camvid(folder, "0006R0_f00930", split="val")
    write_camvid(folder, "0001TP_008550", split="test")
    (folder / "train.txt").write_text("/SegNet/CamVid/train/gone.png /SegNet/CamVid/trainannot/gone.png\n")
    return tmp_path


def test_a_sequence_is_a_domain_in_whatever_split_it_lies(camvid: Path) -> None:
    for root in (camvid, camvid / "CamVid"):
        assert ids(open_dataset("camvid-0001TP", root)) == ["0001TP_006690", "0001TP_008550"]
        assert ids(open_dataset("camvid", root)) == ["0001TP_006690", "0001TP_008550", "0006R0_f00930"]
    assert open_dataset("camvid", camvid).notes == ("The images are of all sequences: 0001TP, 0006R0.",)
    assert open_dataset("camvid-0001TP", camvid).notes == ()
    with pytest.raises(DataError, match="no images of sequence '0001tp'; did you mean '0001TP'"):
        open_dataset("camvid-0001tp", camvid)
    with pytest.raises(DataError, match=r"train: no such folder; give the folder that holds CamVid/"):
        open_dataset("camvid", camvid / "CamVid" / "train")


def test_the_11_classes_of_camvid(camvid: Path) -> None:
    task = load_task("camvid-0006R0/RGB/11-classes", camvid)
    assert task.n_classes == 11
    assert task.class_names[0] == "sky"
    assert task.class_names[3] == "road"
    assert task.class_names[10] == "bicyclist"
    assert_array_equal(task.cases[0].label, tiny_scene(3, 1, 0, 255))


def test_real_sequences(shared_root: Path) -> None:
    root = shared_root / "data" / "camvid"
    if not root.is_dir():
        pytest.skip("data/camvid is not in shared/")
    assert len(open_dataset("camvid", root).cases) == 128
    for sequence in ("0001TP", "0006R0", "0016E5", "Seq05VD"):
        task = load_task(f"camvid-{sequence}/RGB/11-classes", root, n_cases=4)
        assert len(open_dataset(f"camvid-{sequence}", root).cases) == 32
        assert {case.image.shape for case in task.cases} == {(3, 360, 480)}
        labels = np.stack([case.label for case in task.cases])
        road, sky = task.class_names.index("road"), task.class_names.index("sky")
        assert 0.1 < (labels == road).mean() < 0.5
        assert (labels == IGNORE_LABEL).mean() < 0.15
        rows = np.arange(360)[:, None]
        assert (rows * (labels == road)).sum() / (labels == road).sum() > 240  # the road is below
        assert (rows * (labels == sky)).sum() / (labels == sky).sum() < 120
        # Skies are bright, at dusk too.
        images = np.stack([case.image for case in task.cases])
        assert images[:, 2][labels == sky].mean() > images[:, 2][labels == road].mean()

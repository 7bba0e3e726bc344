"""Bad input on the command line: one clear line, the right exit status, nothing half-written."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from medtrans.learning.loop import Checkpoint
from tests.cli.jobs import complaint, rank_settings, run, train_settings, write
from tests.data.tiny_streets import TRAIN_IDS, write_cityscapes


@pytest.fixture
def rank_job(pool, scans, tmp_path):
    def job(**changes) -> tuple[str, str]:
        return "rank", write(tmp_path / "rank.yaml", rank_settings(scans, pool, tmp_path / "out") | changes)

    return job


@pytest.fixture
def train_job(scans, tmp_path):
    def job(**changes) -> tuple[str, str]:
        return "train", write(tmp_path / "train.yaml", train_settings(scans, tmp_path / "new") | changes)

    return job


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 0}, "key 'threads': input should be greater than or equal to 1 (found 0)"),
        ({"threads": 10**4}, "threads is 10000; give 1 to "),
        ({"seed": -1}, "key 'seed': input should be greater than or equal to 0 (found -1)"),
        ({"sampler": {"band_mm": float("inf")}}, "key 'sampler.band_mm': input should be a finite number"),
        ({"data": [1, 2]}, "key 'data': expected 'key: value' lines (found [1, 2])"),
        ({"metrics": "h_score"}, "key 'metrics': expected a list, such as [a, b] (found 'h_score')"),
        ({"device": "gpu"}, "key 'device': unknown; "),
        ({"output": ""}, "key 'output': expected a path"),
        ({"output": "a\0b"}, "key 'output': expected a path"),
        ({"pool": "~/no-such-pool"}, f"{Path.home()}/no-such-pool"),
        ({"trget": "fets-2/FLAIR/ET", "target": None}, "unknown key 'trget'; did you mean 'target'?"),
        ({"target": "fets-2/flair/ET"}, "did you mean 'FLAIR'?"),
        ({"preprocessing": {"spacing_mm": 500.0}}, "spacing_mm 500.0 leaves too few or too many voxels"),
        ({"preprocessing": {"size": [64, 64]}}, "size is for photographs; leave it out, or set spacing_mm"),
        ({"preprocessing": {"size": [64]}}, "key 'preprocessing.size.1' is missing; add it"),
        ({"preprocessing": {"size": [64, 10**6]}}, "key 'preprocessing.size.1': input should be less than or equal to"),
        ({"preprocessing": {"size": 64}}, "key 'preprocessing.size': expected a list, such as [a, b] (found 64)"),
        ({"preprocessing": {"spacing_mm": 1e-5}}, "spacing_mm 1e-05 leaves too few or too many voxels"),
    ],
)
def test_settings_for_ranking(rank_job, changes, said, tmp_path, capsys):
    assert said in complaint(capsys, *rank_job(**changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cases", 5, "key 'data.cases': expected a list"),
        ("cases", [], "the list of cases is empty"),
        ("n_cases", 0, "key 'data.n_cases': input should be greater than or equal to 1 (found 0)"),
        ("format", "cityscape", "key 'data.format': unknown; did you mean 'cityscapes'?"),
        ("slices", [], "the list of slices is empty"),
        ("slices", -3, "key 'data.slices': input should be greater than or equal to 1 (found -3)"),
        ("root", "x" * 5000, "File name too long"),
    ],
)
def test_data_settings(rank_job, scans, key, value, said, tmp_path, capsys):
    data = {"format": "fets", "root": str(scans), key: value}
    assert said in complaint(capsys, *rank_job(data=data))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": []}, "key 'tasks': the list is empty"),
        ({"tasks": ["../FLAIR/ET"]}, "no part may start with a dot"),
        ({"training": {"patch_size": [-8, 8]}}, "key 'training.patch_size"),
        ({"training": {"seed": 10**40}}, "key 'training.seed'"),
        ({"threads": -1}, "key 'threads': input should be greater than or equal to 1 (found -1)"),
        ({"threads": 10**4}, "threads is 10000; give 1 to "),
        ({"network": {"name": "BasicUnet"}}, "did you mean 'BasicUNet'?"),
        ({"sampler": {"band_mm": 0.001}}, "widen band_mm"),
    ],
)
def test_settings_for_training_are_refused_before_it(train_job, changes, said, tmp_path, capsys):
    assert said in complaint(capsys, *train_job(**changes))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("threads", ["0", "-3", "10000"])
@pytest.mark.parametrize("command", ["train", "rank", "demo"])
def test_threads_that_cannot_be_are_refused_before_the_work(train_job, rank_job, command, threads, tmp_path, capsys):
    arguments = {"train": train_job(), "rank": rank_job(), "demo": ("demo", "--output", str(tmp_path / "out"))}
    said = complaint(capsys, *arguments[command], f"--threads={threads}")
    assert said.startswith(f"medtrans: threads is {threads}; give 1 to ")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "out").exists()


def test_a_config_nested_beyond_reason(tmp_path, capsys):
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 5000)
    assert "not a YAML file" in complaint(capsys, "rank", str(tmp_path / "deep.yaml"))


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("flair", lambda path: path.write_bytes(path.read_bytes()[:500]), "truncated"),
        ("flair", lambda path: path.unlink(), "has no FLAIR image"),
        ("flair", lambda path: edit(path, lambda voxels: np.where(voxels > 0, np.nan, 0)), "NaN or infinite"),
        ("flair", lambda path: edit(path, lambda voxels: np.full_like(voxels, 7)), "every voxel is 7"),
        ("seg", lambda path: edit(path, lambda voxels: voxels[1:]), "were they resampled apart?"),
        ("seg", lambda path: edit(path, lambda voxels: voxels, shift_mm=5.0), "5 mm apart"),
        ("seg", lambda path: edit(path, lambda voxels: voxels + 7), "unexpected label value"),
        ("seg", lambda path: edit(path, lambda voxels: voxels * 0), "structure 'ET' is empty"),
        ("seg", lambda path: edit(path, lambda voxels: np.full_like(voxels, 4)), "has an edge between two classes"),
    ],
)
def test_a_file_that_is_wrong(rank_job, scans, kind, change, said, tmp_path, capsys):
    shutil.copytree(scans, tmp_path / "scans")
    path = next((tmp_path / "scans").glob(f"*00002/*_{kind}.nii.gz"))
    change(path)
    data = {"format": "fets", "root": str(tmp_path / "scans"), "slices": 4, "cases": [path.parent.name]}
    assert said in complaint(capsys, *rank_job(data=data))
    assert not (tmp_path / "out").exists()


def edit(path: Path, change, shift_mm: float = 0.0) -> None:
    image = nib.load(path, mmap=False)
    affine = image.affine.copy()
    affine[0, 3] += shift_mm
    nib.save(nib.Nifti1Image(change(np.asarray(image.dataobj)), affine), path)


@pytest.mark.parametrize(
    ("target", "changes", "said"),
    [
        ("cityscapes-aachn/RGB/19-classes", {}, "no images of city 'aachn' in train or val; did you mean 'aachen'?"),
        ("cityscapes-aachen/RGB/19-classes", {"label_ids": TRAIN_IDS}, "the labels look like trainIds"),
        ("cityscapes-aachen/RGB/train", {}, "structure 'train' is empty in all chosen cases"),
        ("cityscapes-aachen/RGB/trains", {}, "did you mean 'train'?"),
        ("cityscapes-aachen/RGB/road", {"label_ids": (99,)}, "unexpected label value 99"),
    ],
)
def test_street_scenes_that_are_wrong(rank_job, target, changes, said, tmp_path, capsys):
    write_cityscapes(tmp_path / "streets", "aachen_000000_000019", **changes)
    data = {"format": "cityscapes", "root": str(tmp_path / "streets")}
    assert said in complaint(capsys, *rank_job(target=target, data=data))
    assert not (tmp_path / "out").exists()


def test_a_partition_file_that_is_no_text(rank_job, scans, tmp_path, capsys):
    shutil.copytree(scans, tmp_path / "scans")
    next((tmp_path / "scans").glob("*.csv")).write_bytes(b"Partition_ID,Subject_ID\n\xff\xfe")
    data = {"format": "fets", "root": str(tmp_path / "scans")}
    assert "not a table" in complaint(capsys, *rank_job(data=data))


def test_fewer_pixels_than_asked_for_are_all_used_and_it_is_said(rank_job, capsys):
    assert run(*rank_job(sampler={"n_pixels": 10**9, "repetitions": 2, "band_mm": 12.0})) == 0
    assert "every repetition uses all of them" in capsys.readouterr().out


@pytest.mark.parametrize("attack", ["pickle", "truncated"])
def test_weights_that_are_refused_are_warned_of_and_the_others_ranked(rank_job, pool, attack, tmp_path, capsys):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    shutil.copytree(pool, tmp_path / "pool")
    weights = tmp_path / "pool/fets-1/FLAIR/ED/models/model.pt"
    weights.write_bytes(pickle.dumps(Attack()) if attack == "pickle" else weights.read_bytes()[:1000])
    assert run(*rank_job(pool=str(tmp_path / "pool"))) == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("medtrans: warning: source 'fets-1/FLAIR/ED' is left out: ")
    ranked = set(pd.read_csv(tmp_path / "out/ranking.csv", comment="#")["source"])
    assert ranked == {"fets-1/FLAIR/ET", "fets-1/T1CE/ET"}
    assert run("pool", "ls", str(tmp_path / "pool")) == 0
    assert "left out fets-1/FLAIR/ED: " in capsys.readouterr().out
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_is_a_file_is_refused_before_the_work(rank_job, output, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("medtrans.cli.rank.load_task_from", lambda *_: pytest.fail("the scans were read"))
    assert "is not a folder" in complaint(capsys, *rank_job(output=str(tmp_path / output)))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fills_up_leaves_no_part_of_a_ranking(rank_job, tmp_path, capsys, monkeypatch):
    write_text = Path.write_text

    def full(path, text, **options):
        if "html" in path.name:
            raise OSError(28, "No space left on device")
        return write_text(path, text, **options)

    job = rank_job()
    monkeypatch.setattr(Path, "write_text", full)
    assert "ranking.html: cannot be written (No space left on device)" in complaint(capsys, *job)
    assert files_below(tmp_path / "out") == []


def test_a_file_where_a_bundle_should_be_says_what_to_delete(train_job, tmp_path, capsys):
    (tmp_path / "new/fets-1/FLAIR").mkdir(parents=True)
    (tmp_path / "new/fets-1/FLAIR/ET").write_text("mine")
    assert "delete it to train again" in complaint(capsys, *train_job())


def test_a_pool_that_is_a_file(train_job, tmp_path, capsys):
    (tmp_path / "new").write_text("mine")
    assert "cannot be written (Not a directory)" in complaint(capsys, *train_job())


def test_an_interrupted_training_says_so_and_goes_on(train_job, tmp_path, capsys, monkeypatch):
    write_checkpoint = Checkpoint.write

    def interrupt(self, state):
        write_checkpoint(self, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", interrupt)
    assert run(*train_job()) == 130
    assert capsys.readouterr().err == "medtrans: interrupted; run the same command again to go on\n"
    assert files_below(tmp_path / "new") == ["checkpoint.pt"]
    kept = torch.load(next((tmp_path / "new/.partial").rglob("checkpoint.pt")))
    assert kept["step"] == 2
    monkeypatch.undo()
    assert run(*train_job()) == 0
    assert not (tmp_path / "new/.partial").exists()
    assert (tmp_path / "new/fets-1/FLAIR/ET/models/model.pt").exists()


def test_an_error_of_the_system_is_one_line_whatever_the_file_is_called(tmp_path, capsys, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "a\nb\x1b[31m")

    monkeypatch.setattr("medtrans.cli.tables.print_pool", refuse)
    assert "a b [31m: Permission denied; check the path" in complaint(capsys, "pool", "ls", str(tmp_path))


@pytest.mark.parametrize("network", ["BasicUNet", "DynUNet", "SegResNet"])
def test_volumes_and_several_structures_with_every_network(train_job, rank_job, scans, network, tmp_path):
    small = {"steps": 1, "batch_size": 2, "patch_size": 32}
    volumes = {"preprocessing": {"dimensions": 3}}
    tasks = ["fets-1/T1/NCR+ED+ET"]
    assert run(*train_job(tasks=tasks, network={"name": network, "width": 4}, training=small, **volumes)) == 0
    data = {"format": "fets", "root": str(scans)}
    pool, target = str(tmp_path / "new"), "fets-2/FLAIR/NCR+ED+ET"
    assert run(*rank_job(target=target, pool=pool, data=data, **volumes)) == 0
    assert len(pd.read_csv(tmp_path / "out/ranking.csv", comment="#")) == 3

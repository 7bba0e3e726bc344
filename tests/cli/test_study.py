"""Studies on tiny simulated scans: what a user types, what comes out, and one clear line for what is wrong."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medtrans.cli.study import store_path
from medtrans.studies.findings.results import Results
from tests.cli.jobs import complaint, run, study_settings, write

GROUP = {"tasks": ["fets-1/FLAIR/ED"], "data": {"format": "fets", "root": "nowhere"}}
N_PIECES = 2 + 2 * (1 + 2 + 2 * 2 + 1 + 2)  # trainings; by target: filter, scores, transfers, scratch, fusions


@pytest.fixture(scope="module")
def finished(scans, tmp_path_factory) -> Path:
    """The configuration of a study that was run."""
    folder = tmp_path_factory.mktemp("study")
    config = write(folder / "study.yaml", study_settings(scans, folder / "out"))
    assert run("study", "run", config) == 0
    return Path(config)


def test_a_run_stores_every_number_and_writes_the_report(finished):
    results = Results.read(store_path(finished))
    assert len(results.frames["pieces"]) == N_PIECES
    for mode in ("head", "full"):
        assert results.truth(mode).notna().all(axis=None)
    for metric in ("h_score", "leep"):
        assert results.scores("boundary", metric).notna().all(axis=None)
    assert len(results.frames["fusions"]) == 4
    for name in ("report.html", "evidence.json"):
        assert (finished.parent / "out" / name).stat().st_size


def test_a_second_run_repeats_nothing(finished, capsys):
    before = Results.read(store_path(finished)).frames["pieces"]
    assert run("study", "run", str(finished)) == 0
    assert f"0 pieces in 0:00:00, {N_PIECES} were finished before" in capsys.readouterr().out
    assert Results.read(store_path(finished)).frames["pieces"].equals(before)


@pytest.mark.parametrize("named_by", ["study.yaml", "out", "out/study.sqlite"])
def test_status(finished, named_by, capsys):
    assert run("study", "status", str(finished.parent / named_by)) == 0
    printed = capsys.readouterr().out
    assert "not running, nothing left to do" in printed
    rows = [line.replace("│", " ").split() for line in printed.splitlines()]
    assert ["transfer", "head", "4", "4", "0", "0", "0"] in rows
    assert ["fuse", "full", "2", "2", "0", "0", "0"] in rows


def test_a_report_is_written_again(finished, capsys):
    page = finished.parent / "out" / "report.html"
    page.unlink()
    assert run("study", "report", str(finished.parent / "out")) == 0
    assert page.exists()
    assert f"wrote {page}" in capsys.readouterr().out


def test_changed_settings_are_refused(finished, scans, tmp_path, capsys):
    settings = study_settings(scans, finished.parent / "out", metrics=["h_score"], many_to_one=None)
    said = complaint(capsys, "study", "run", write(tmp_path / "study.yaml", settings))
    assert "the settings changed since the study began" in said
    assert "metrics" in said
    assert len(Results.read(store_path(finished)).frames["pieces"]) == N_PIECES


def test_another_executor_is_no_change(finished, scans, tmp_path):
    settings = study_settings(scans, finished.parent / "out", executor={"kind": "threads", "workers": 1})
    assert run("study", "run", write(tmp_path / "study.yaml", settings)) == 0


def test_a_source_that_cannot_be_trained_is_recorded_and_the_rest_goes_on(scans, tmp_path, capsys):
    shutil.copytree(scans, tmp_path / "empty")
    for path in (tmp_path / "empty").glob("*/*_seg.nii.gz"):
        image = nib.load(path, mmap=False)
        nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), path)
    settings = study_settings(scans, tmp_path / "out")
    good, empty = {"format": "fets", "root": str(scans)}, {"format": "fets", "root": str(tmp_path / "empty")}
    settings["sources"] = [
        {"tasks": ["fets-1/FLAIR/ED"], "data": good},
        {"tasks": ["fets-1/FLAIR/ET"], "data": empty},
    ]
    config = write(tmp_path / "study.yaml", settings)
    assert run("study", "run", config) == 2
    captured = capsys.readouterr()
    said = captured.err.strip().splitlines()[-1]
    assert said.startswith("medtrans: 1 of 18 pieces failed, first: train fets-1/FLAIR/ET: ")
    assert f"see `medtrans study status {config}`" in said
    assert "failed: train fets-1/FLAIR/ET: " in captured.err
    assert "wait for sources that could not be trained" in captured.out
    results = Results.read(tmp_path / "out" / "study.sqlite")
    assert set(results.frames["transfers"]["source"]) == {"fets-1/FLAIR/ED", ""}
    assert run("study", "status", config) == 0
    status = capsys.readouterr().out
    assert "failed: train fets-1/FLAIR/ET: " in status
    assert "not running, nothing left to do" in status


def test_no_study_there(tmp_path, capsys):
    for command in ("status", "report"):
        assert "study.sqlite: no such study" in complaint(capsys, "study", command, str(tmp_path))


def test_a_store_that_another_program_locks(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("medtrans.studies.engine.schema.BUSY_SECONDS", 0.1)
    locker = sqlite3.connect(store_path(finished))
    locker.execute("BEGIN EXCLUSIVE")
    try:
        assert "is locked by another program" in complaint(capsys, "study", "run", str(finished))
    finally:
        locker.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": ["h_scor"]}, "did you mean 'h_score'?"),
        ({"executor": {"kind": "slurm"}}, "key 'executor.kind': unknown"),
        ({"measure": "iou"}, "key 'measure': unknown; did you mean 'miou'?"),
        ({"sources": [GROUP | {"networks": [{"nme": "DynUNet"}]}]}, ".networks.0.nme'; did you mean 'name'?"),
        ({"sources": [GROUP | {"networks": [{}, {"width": 4}]}]}, "'fets-1/FLAIR/ED@BasicUNet' is there twice"),
        ({"sources": [GROUP | {"networks": []}]}, "key 'sources.0.networks': the list is empty; name at least one"),
        ({"sources": [GROUP | {"tasks": ["fets-1/FLAIR/ED@UNet"]}]}, "'@' stands between a task and the architecture"),
        ({"executor": {"kind": "dask"}}, "key 'executor.address' is missing"),
        ({"executor": {"kind": "dask", "address": "nowhere"}}, "no Dask scheduler answers at nowhere"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_nothing_is_written(changes, said, scans, tmp_path, capsys):
    config = write(tmp_path / "study.yaml", study_settings(scans, tmp_path / "out") | changes)
    assert said in complaint(capsys, "study", "run", config)
    assert not (tmp_path / "out").exists()

"""A study of photographs with several architectures, from training to the report: no background, ignored pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtrans.config import DataSettings, PreprocessingSettings, StudyJob
from medtrans.report.study.page import write_study_report
from medtrans.selection import read_evidence
from medtrans.sources import Pool
from medtrans.studies.engine import cases as loading
from medtrans.studies.engine.run import run_study
from medtrans.studies.findings.results import Results
from medtrans.tasks import IGNORE_LABEL, Case, Task, TaskName

CLASSES = ("road", "building", "sky")
HEIGHT, WIDTH = 24, 40
SOURCE, OTHER, TARGET = "dark/RGB/3-classes", "light/RGB/3-classes", "grey/RGB/3-classes"


def photograph(name: TaskName, number: int) -> Case:
    """Sky over a building over a road, each of its own colour, which differs a little from city to city."""
    rng = np.random.default_rng(number)
    label = np.full((HEIGHT, WIDTH), 2, np.uint8)
    label[int(rng.integers(6, 10)) :, :] = 1
    label[int(rng.integers(14, 18)) :, :] = 0
    label[-3:] = IGNORE_LABEL  # the bonnet
    colours = np.array([[-1, 0, 1], [1, -1, 0], [0.5, 1, -1]]) + {"dark": -0.5, "grey": 0.1, "light": 1.5}[name.domain]
    image = colours[np.where(label == IGNORE_LABEL, 0, label)].transpose(2, 0, 1) + rng.normal(
        0, 0.4, (3, HEIGHT, WIDTH)
    )
    return Case(f"{number:03}", image.astype(np.float32), label, (1.0, 1.0), kind="photograph")


def load(name: str | TaskName, data: DataSettings, preprocessing: PreprocessingSettings) -> Task:
    """In the place of files."""
    name = TaskName.parse(name) if isinstance(name, str) else name
    return Task(name, tuple(photograph(name, int(case)) for case in data.cases or ()), CLASSES)


def street_job(output: Path) -> StudyJob:
    data = {"format": "folder", "root": "nowhere"}
    steps = {"steps": 10, "batch_size": 2, "learning_rate": 0.03}
    networks = [{"name": "BasicUNet", "width": 4}, {"name": "SegResNet", "width": 8}]
    return StudyJob.model_validate(
        {
            "output": str(output),
            "sources": [
                {"tasks": [SOURCE], "data": data | {"cases": ["1", "2", "3"]}, "networks": networks},
                {"tasks": [TARGET], "data": data | {"cases": ["1", "2", "3"]}, "networks": networks[:1]},
                {"tasks": [OTHER], "data": data | {"cases": ["1", "2", "3"]}},
            ],
            "targets": [{"tasks": [TARGET], "data": data | {"cases": ["7"]}, "test_cases": ["8", "9"]}],
            "network": networks[0],
            "training": steps,
            "signature": {"n_pixels": 200},
            "metrics": ["h_score", "leep"],
            "samplers": {"boundary": {"n_pixels": 200, "repetitions": 2, "band_mm": 2}},
            "filters": {},
            "transfer": {"head": steps | {"learning_rate": 0.1, "augment": False}, "full": None, "scratch": None},
            "seeds": [0],
            "measure": "miou",
            "many_to_one": {"largest": 2},
            "device": "cpu",
            "executor": {"kind": "threads", "workers": 1},
        }
    )


def test_a_study_of_photographs_from_training_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_task_from", load)
    job = street_job(tmp_path)
    summary = run_study(job)
    assert not summary.failed
    sources = [f"{SOURCE}@BasicUNet", f"{SOURCE}@SegResNet", OTHER]
    pool = Pool(tmp_path / "pool")
    assert {source.name for source in pool} == {*sources, f"{TARGET}@BasicUNet"}
    assert all(source.class_names == CLASSES for source in pool)
    assert set(pool[sources[0]].signature.labels.tolist()) == {0, 1, 2}  # type: ignore[union-attr]

    results = Results.read(job.store_path)
    truth = results.truth("head").loc[TARGET]
    assert truth.index[truth.notna()].tolist() == sources  # the target's own task is none, whatever its architecture
    assert results.scores("boundary", "h_score").loc[TARGET, sources].notna().all()
    transfers = results.frames["transfers"]
    assert (transfers["miou"] < transfers["dice"]).all()  # of each class it is, unless both are 1
    assert (transfers[["dice", "miou", "pixel_accuracy"]] > 0.1).all(axis=None)
    assert truth.max() > 0.6
    assert len(results.fusions()) > 0

    report, evidence, *_ = write_study_report(results, tmp_path)
    assert "mIoU after transfer" in report.read_text(encoding="utf-8")
    assert read_evidence(evidence).measure == "miou"

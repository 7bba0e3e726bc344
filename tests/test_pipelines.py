"""The scripts in pipelines/, as a user runs them, on a study whose numbers are known."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medtrans.config import StudyJob
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results
from tests.data.tiny_streets import write_cityscapes

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
SOURCES = ("a/T1/GM", "a/T1/WM", "a/T2/GM", "a/T1CE/ET", "a/T1CE/WT")
TARGETS = ("b/T1/GM", "b/T2/WM", "b/T1CE/TC")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Folder of a study of five sources, three targets and mode head, with everything done."""
    folder = tmp_path_factory.mktemp("study")
    data = {"format": "folder", "root": "nowhere"}
    job = StudyJob.model_validate(
        {
            "output": folder,
            "sources": [{"tasks": SOURCES, "data": data}],
            "targets": [{"tasks": TARGETS, "data": data}],
            "metrics": ["h_score", "otce_sim"],
            "samplers": {"boundary": {"repetitions": 1}},
            "filters": {"default": {}},
            "transfer": {"full": None, "scratch": None},
            "many_to_one": {"largest": 3, "metrics": ["h_score"]},
        }
    )
    with Store.open(job.store_path, job) as store:
        for wave in plan(job):
            for piece in wave:
                store.record(piece, outcome_of(piece))
    fusions = plan_fusions(job, Results.read(job.store_path))
    with Store.open(job.store_path, job) as store:
        for piece in fusions:
            store.record(piece, outcome_of(piece))
    return folder


def outcome_of(piece: Piece) -> Outcome:
    """Dice of source s on target t: 0.1 + 0.1 s + 0.01 t; of k sources: 0.7 + 0.01 k; seed 1 has 0.02 more.

    mIoU is half of it, pixel accuracy always 0.9.

    h_score ranks as the truth does, otce_sim the other way round; the filter drops the best source, a/T1CE/WT.
    """
    s = SOURCES.index(piece.sources[0]) if piece.sources else -1
    t = TARGETS.index(piece.target) if piece.target else -1
    seed = 0.02 * (piece.seed or 0)
    of_target, sources, run = (piece.target,), piece.sources, (piece.mode, piece.seed)

    def by_measure(dice: float) -> tuple[float, float, float]:
        return dice, dice / 2, 0.9

    rows = {
        "train": {"sources": [(*sources, 0.9, 0.8, 0.95)]},
        "filter": {"candidates": [(*of_target, "default", name, name != SOURCES[-1], "") for name in SOURCES]},
        "score": {
            "scores": [
                (*of_target, *sources, "boundary", "h_score", 0, float(s)),
                (*of_target, *sources, "boundary", "otce_sim", 0, float(-s)),
            ]
        },
        "transfer": {"transfers": [(*of_target, *sources, *run, *by_measure(0.1 + 0.1 * s + 0.01 * t + seed))]},
        "fuse": {"fusions": [(*of_target, " + ".join(sources), *run, *by_measure(0.7 + 0.01 * len(sources) + seed))]},
    }[piece.kind]
    return Outcome(rows, seconds=1.0, parts={})


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script of pipelines/ with arguments; what it prints."""

    def run(script: str, *arguments: str) -> str:
        monkeypatch.syspath_prepend(str(PIPELINES))
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(PIPELINES / f"{script}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


# With two seeds the truth is 0.11 + 0.1 s + 0.01 t.
@pytest.mark.parametrize(
    ("script", "lines", "figure"),
    [
        ("transfer_heatmap", ["| a/T1/GM | 0.110 | 0.120 | 0.130 |"], "heatmap-head"),
        # b/T1/GM: T2/GM; T1/WM; the mean of T1CE/ET and T1CE/WT.
        ("modality_or_structure", ["| b/T1/GM | 0.310 | 0.210 | 0.460 |"], "modality_or_structure"),
        ("complementary_structures", ["| b/T1/GM | 0.210 | 0.460 |"], "complementary_structures"),
        ("subset_structures", ["| b/T1CE/TC | 0.430 | 0.530 |", "on 0 of 1 targets"], "subset_structures"),
        # b/T1/GM: the mean of s = 0, 1, 2; that of s = 3, 4. b/T1CE/TC: of s = 3, 4; of s = 0, 1, 2.
        (
            "related_sources",
            ["| b/T1/GM | 0.210 | 0.460 |", "| b/T1CE/TC | 0.480 | 0.230 |", "on 1 of 3 targets"],
            "related_sources",
        ),
        # Pearson over all: 0.1 sd(s) / sd(0.1 s + 0.01 t), with variances 2 of s and 2 / 3 of t: 0.998.
        (
            "score_scatter",
            ["| h_score | 0.998 | 1.000 | 1.000 | 15 |", "| otce_sim | -0.998 | -1.000 | -1.000 | 15 |"],
            "score_scatter-head",
        ),
        # The wrong way round, the first picks have true ranks 5, 4, 3, 2; without the best, h_score is off by one.
        (
            "footrule_table",
            [
                "| b/T1/GM | 0.0 | 0.0 | 0.0 | 0.0 | 4.0 | 6.0 | 6.0 | 8.0 |",
                "| b/T1/GM | 1.0 | 2.0 | 3.0 | 4.0 | 4.0 | 6.0 | 6.0 | 8.0 |",
            ],
            "footrule",
        ),
        # The best source alone has 0.51 + 0.01 t, two have 0.73, three 0.74.
        (
            "many_to_one",
            ["| h_score | 1 | 0.520 |", "| h_score | 2 | 0.730 | +0.210", "| b/T1/GM | 0.510 | 0.730 | 0.740 |"],
            "many_to_one",
        ),
    ],
)
def test_prints_its_table_and_draws_its_figure(study, run, script, lines, figure):
    printed = run(script, str(study))
    for line in lines:
        assert line in printed
    image = study / "figures" / f"{figure}.png"
    assert image.read_bytes().startswith(b"\x89PNG")


def test_the_table_of_evidence_has_metrics_baselines_and_the_ceiling(study, run):
    """h_score ranks as the truth does; the static order too, as every target has the same order."""
    printed = run("evidence_table", str(study))
    assert "| h_score | 1.000 | 0.000 | 0.000 |" in printed
    assert "| static order | 1.000 | - | 0.000 |" in printed
    assert "| chance | 0.000 | - |" in printed
    assert "| ceiling | 1.000 (seeds), nan (draws) | - | 0 |" in printed


def test_the_table_of_scenes_marks_the_best_metric_of_every_target_and_has_no_figure(study, run):
    """h_score ranks as the truth does, otce_sim the other way round."""
    printed = run("scene_table", str(study))
    assert "## Dice, head retrained, sampler boundary" in printed
    assert "| target | Spearman, h_score | Spearman, otce_sim | Kendall, h_score | Kendall, otce_sim |" in printed
    for row in (*TARGETS, "mean of 3"):
        assert f"| {row} | **1.00** | <u>-1.00</u> | **1.00** | <u>-1.00</u> |" in printed
    assert not (study / "figures/scene_table.png").exists()


def test_marks_go_by_what_is_printed_and_a_metric_alone_has_none(monkeypatch):
    monkeypatch.syspath_prepend(str(PIPELINES))
    marked = runpy.run_path(str(PIPELINES / "scene_table.py"))["marked"]
    table = pd.DataFrame([[0.501, 0.499, 0.4, 0.1], [np.nan, 0.2, np.nan, np.nan], [-0.001, -0.5, np.nan, -0.5]])
    assert marked(table).fillna("-").to_numpy().tolist() == [
        ["**0.50**", "**0.50**", "<u>0.40</u>", "0.10"],
        ["-", "0.20", "-", "-"],
        ["**0.00**", "<u>-0.50</u>", "-", "<u>-0.50</u>"],
    ]


def test_sources_of_one_architecture_are_also_compared_alone(monkeypatch):
    """Among the three of A the score orders as the truth does, among those of B the other way round."""
    monkeypatch.syspath_prepend(str(PIPELINES))
    within = runpy.run_path(str(PIPELINES / "scene_table.py"))["within_architectures"]
    truth = pd.DataFrame([[1, 2, 3, 4, 5, 6], [2, 3, 1, 5, 4, 6]], columns=list("abcdef"), dtype=float)
    truth.columns = [f"{name}@{'A' if name < 'd' else 'B'}" for name in truth.columns]
    scores = truth.mul([1, 1, 1, -1, -1, -1])
    results = SimpleNamespace(truth=lambda mode: truth, scores=lambda sampler, metric: scores)
    assert within(results, "head", "boundary", ["leep"]).to_dict() == {"leep": {"A": 1, "B": -1}}
    two_of_b = SimpleNamespace(truth=lambda mode: truth.iloc[:, :5], scores=results.scores)
    assert within(two_of_b, "head", "boundary", ["leep"]).empty


def test_scripts_speak_of_the_measure_of_the_study(study, run, tmp_path):
    """mIoU is half of Dice here."""
    before = Results.read(study / "study.sqlite").job
    job = before.model_copy(update={"output": tmp_path, "measure": "miou"})
    shutil.copy(study / "study.sqlite", job.store_path)
    Store.open(job.store_path, job).close()
    for script in ("agreement_table", "many_to_one", "scene_table", "score_scatter", "transfer_heatmap"):
        printed = run(script, str(tmp_path))
        assert "Dice" not in printed
    assert "| a/T1/GM | 0.055 | 0.060 | 0.065 |" in printed
    assert "mIoU" in run("scene_table", str(tmp_path))
    assert "| chooser | k | mIoU |" in run("many_to_one", str(tmp_path))


def test_says_when_there_is_nothing_to_compare(tmp_path, run):
    data = {"format": "folder", "root": "nowhere"}
    tasks = [{"tasks": ["a/T1/{GM,WM}"], "data": data}]
    job = StudyJob.model_validate({"output": tmp_path, "sources": tasks, "targets": tasks})
    with Store.open(job.store_path, job) as store:
        store.record(
            Piece("transfer", ("a/T1/GM",), "a/T1/WM", "head", 0),
            Outcome({"transfers": [("a/T1/WM", "a/T1/GM", "head", 0, 0.5, 0.4, 0.9)]}, 1.0, {}),
        )
    assert "nothing to compare" in run("subset_structures", str(tmp_path))
    assert "nothing to cluster" in run("transfer_heatmap", str(tmp_path))
    assert "fuses no sources" in run("many_to_one", str(tmp_path))
    assert not (tmp_path / "figures").exists()


def test_a_folder_without_a_study_is_one_line(tmp_path, run):
    with pytest.raises(SystemExit) as stop:
        run("transfer_heatmap", str(tmp_path))
    assert "study.sqlite" in str(stop.value.code)
    assert "\n" not in str(stop.value.code)


@pytest.mark.slow
def test_the_small_simulated_study_runs_and_repeats_nothing(tmp_path):
    command = [sys.executable, str(PIPELINES / "simulated_study.py"), "--small", "--output", str(tmp_path)]
    subprocess.run(command, check=True, cwd=PIPELINES.parent)  # noqa: S603
    results = Results.read(tmp_path / "study.sqlite")
    assert (results.frames["pieces"]["status"] == "done").all()
    assert results.frames["pieces"]["kind"].value_counts().drop("fuse").to_dict() == {
        "train": 4,
        "filter": 3,
        "score": 4 * 3,
        "transfer": 4 * 3 * 2 * 2 + 3 * 2,  # in two modes with two seeds, and from scratch
    }
    assert len(results.frames["fusions"]) > 0
    for mode in ("head", "full"):
        assert results.truth(mode).notna().all(axis=None)
        assert 0.2 < results.truth(mode).max(axis=1).min() <= 1  # every target has a source that helps
    assert list(tmp_path.glob("*.html"))
    again = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PIPELINES.parent)  # noqa: S603
    assert "0 pieces in" in again.stdout.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize(("script", "n_sources", "n_pairs"), [("intra_dataset", 4, 12), ("inter_dataset", 6, 12)])
def test_the_small_studies_of_streets_run_and_give_the_table(tmp_path, script, n_sources, n_pairs):
    command = [sys.executable, str(PIPELINES / f"{script}_study.py"), "--small", "--output", str(tmp_path)]
    subprocess.run(command, check=True, cwd=PIPELINES.parent)  # noqa: S603
    results = Results.read(tmp_path / "study.sqlite")
    assert (results.frames["pieces"]["status"] == "done").all()
    assert len(results.sources) == n_sources
    assert results.measure_name == "mIoU"
    for mode in ("head", "full"):
        assert results.truth(mode).notna().to_numpy().sum() == n_pairs
    command = [sys.executable, str(PIPELINES / "scene_table.py"), str(tmp_path)]
    table = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PIPELINES.parent)  # noqa: S603
    assert table.stdout.count("mean of") == 4  # two modes, two samplers


def test_studies_of_streets_on_files_that_are_there_take_all_cities_and_the_slides_targets(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PIPELINES))
    from inter_dataset_study import ARCHITECTURES, real
    from intra_dataset_study import SLIDES, study

    for city in (*SLIDES, "bochum"):
        write_cityscapes(tmp_path, f"{city}_000000_000019")
    job = StudyJob.model_validate({**study(tmp_path / "out", tmp_path, small=False), "filters": {}})
    assert len(job.source_groups()) == 6
    assert list(job.target_groups()) == [f"cityscapes-{city}/RGB/19-classes" for city in SLIDES]
    job = StudyJob.model_validate(real(tmp_path / "out", "gta5", str(tmp_path), tmp_path))
    assert {*job.source_groups()} == {f"gta5/RGB/19-classes@{name}" for name in ARCHITECTURES}
    assert len(ARCHITECTURES) == 6

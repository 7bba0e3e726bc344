"""A fit to a study on tiny simulated scans, and a ranking that tells what it expects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtrans.selection import read_expectation
from medtrans.studies.findings.results import Results
from tests.cli.jobs import complaint, rank_settings, run, study_settings, write

METRICS = ["head_dice", "zero_shot_dice", "h_score"]


@pytest.fixture(scope="module")
def studied(scans, tmp_path_factory) -> Path:
    """The folder of a study of three structures and three sources, whose head is retrained."""
    folder = tmp_path_factory.mktemp("study")
    settings = study_settings(scans, folder / "out", metrics=METRICS, many_to_one=None)
    settings["sources"] = [{"tasks": ["fets-1/FLAIR/{ED,ET,NCR}"], "data": settings["sources"][0]["data"]}]
    settings["targets"] = [{"tasks": ["fets-2/T1CE/{ED,ET,NCR}"], "data": settings["targets"][0]["data"]}]
    settings["transfer"] |= {"full": None, "scratch": None}
    assert run("study", "run", write(folder / "study.yaml", settings)) == 0
    return folder


def test_a_study_is_fitted_and_a_ranking_tells_it(studied, scans, pool, tmp_path, capsys):
    path = tmp_path / "expected.json"
    assert run("study", "fit", str(studied / "study.yaml"), "--output", str(path)) == 0
    printed = capsys.readouterr().out
    fitted = read_expectation(path)
    (fit,) = fitted.fits
    (row,) = [line.replace("│", " ").split() for line in printed.splitlines() if "head" in line]
    people = "?" if fitted.n_people is None else str(fitted.n_people)
    assert row[:3] == ["head", "3", people]
    assert row[-1] == f"{fit.coverage:.0%}"
    assert f"wrote {path}" in printed
    assert fitted.n_sources == 3

    settings = rank_settings(scans, pool, tmp_path / "ranked", metrics=["h_score"], expectation=str(path))
    assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
    data = json.loads((tmp_path / "ranked" / "ranking.json").read_text())
    assert data["metrics"] == ["h_score"]
    assert set(data["expected"]) == {"fets-1/FLAIR/ED", "fets-1/FLAIR/ET", "fets-1/T1CE/ET"}
    for (estimate,) in data["expected"].values():
        assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
    assert ">Expected Dice<" in (tmp_path / "ranked" / "ranking.html").read_text()


def test_null_leaves_the_expected_accuracy_out(scans, pool, tmp_path):
    settings = rank_settings(scans, pool, tmp_path / "ranked", metrics=["h_score"], expectation=None)
    assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
    assert json.loads((tmp_path / "ranked" / "ranking.json").read_text())["expected"] == {}
    assert ">Expected Dice<" not in (tmp_path / "ranked" / "ranking.html").read_text()


def test_the_report_of_a_study_judges_its_own_fit(studied):
    rows = (studied / "out" / "agreement.csv").read_text().splitlines()
    assert sum("expected_accuracy" in row for row in rows) == 3
    assert Results.read(studied / "out" / "study.sqlite").metrics == tuple(METRICS)


def test_what_is_no_fit_is_one_clear_line_before_any_work(studied, scans, pool, tmp_path, capsys):
    (tmp_path / "expected.json").write_text("{}")
    wrong = {"expectation": str(tmp_path / "expected.json")}
    rank = write(tmp_path / "rank.yaml", rank_settings(scans, pool, tmp_path / "ranked", **wrong))
    assert "expected.json: not a fit of the expected accuracy" in complaint(capsys, "rank", rank)
    assert not (tmp_path / "ranked").exists()
    study = write(tmp_path / "study.yaml", study_settings(scans, tmp_path / "out", **wrong))
    assert "expected.json: not a fit of the expected accuracy" in complaint(capsys, "study", "run", study)
    assert not (tmp_path / "out").exists()


def test_a_fit_needs_a_study_with_its_metrics(scans, tmp_path, capsys):
    settings = study_settings(scans, tmp_path / "out", many_to_one=None)
    settings["transfer"] |= {"full": None, "scratch": None}
    config = write(tmp_path / "study.yaml", settings)
    assert run("study", "run", config) == 0
    capsys.readouterr()
    said = complaint(capsys, "study", "fit", config, "--output", str(tmp_path / "expected.json"))
    assert "has no metric 'head_dice', which the fit needs" in said
    assert not (tmp_path / "expected.json").exists()


def test_relations_of_a_structure_that_nobody_has_are_refused_in_a_ranking_too(scans, pool, tmp_path, capsys):
    settings = rank_settings(scans, pool, tmp_path / "out", relations={"groups": {"tumour": ["ED", "EB"]}})
    said = complaint(capsys, "rank", write(tmp_path / "rank.yaml", settings))
    assert "relations: no source or target is of structure 'EB'; did you mean" in said
    assert not (tmp_path / "out" / "ranking.json").exists()

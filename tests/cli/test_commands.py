"""The commands on tiny simulated scans: what a user types, what comes out, and one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import torch

from tests.cli.jobs import complaint, rank_settings, run, train_settings, write


def test_pool_ls_names_every_source(pool, capsys):
    assert run("pool", "ls", str(pool)) == 0
    printed = capsys.readouterr().out
    for name in ("fets-1/FLAIR/ED", "fets-1/FLAIR/ET", "fets-1/T1CE/ET"):
        assert name in printed


def test_training_again_keeps_what_is_finished(pool, scans, tmp_path, capsys):
    weights = pool / "fets-1" / "T1CE" / "ET" / "models" / "model.pt"
    before = weights.stat().st_mtime_ns
    assert run("train", str(pool.parent / "train.yaml")) == 0
    assert weights.stat().st_mtime_ns == before


def test_rank_writes_the_same_ranking_bit_for_bit(pool, scans, tmp_path, capsys):
    for output in ("first", "second"):
        settings = rank_settings(scans, pool, tmp_path / output)
        assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
    assert "fets-1/FLAIR/ET" in capsys.readouterr().out
    first, second = (tmp_path / name / "ranking.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    frame = pd.read_csv(first, comment="#")
    assert sorted(frame["metric"].unique()) == ["h_score", "leep", "otce_sim"]
    assert len(frame) == 9
    assert json.loads((tmp_path / "first" / "ranking.json").read_text())["target"] == "fets-2/FLAIR/ET"
    page = (tmp_path / "first" / "ranking.html").read_text()
    assert "fets-1/T1CE/ET" in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_the_evidence_of_a_study_is_told_everywhere(pool, scans, tmp_path, capsys):
    finding = {
        "metric": "h_score", "mode": "head", "filters": None, "n_targets": 16,
        "n_people": 20, "n_groups": 16,
        "gain": 0.061, "gain_low": 0.032, "gain_high": 0.094, "share_above_mean": 0.9, "regret": 0.01,
    }  # fmt: skip
    study = {
        "study": "big-study", "began": "2026-11-23", "domains": ["fets-2"], "n_sources": 16, "n_targets": 16,
        "n_seeds": 2, "sampler": {}, "findings": [finding], "versions": {},
    }  # fmt: skip
    evidence = tmp_path / "evidence.json"
    evidence.write_text(json.dumps(study))
    settings = rank_settings(scans, pool, tmp_path / "out", evidence=str(evidence))
    assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
    said = "the first pick by h_score gave 0.061 [0.032, 0.094] more Dice than a random pick."
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (tmp_path / "out" / "ranking.html").read_text()
    told = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert said in told["stakes"]
    assert told["evidence"][0]["study"] == "big-study"


@pytest.mark.parametrize(
    ("settings", "options", "threads"),
    [({}, (), 1), ({"threads": 2}, (), 2), ({"threads": 2}, ("--threads", "3"), 3)],  # 1: OMP_NUM_THREADS in all tests
)
def test_threads_are_those_of_the_option_or_of_the_job(pool, scans, tmp_path, monkeypatch, settings, options, threads):
    monkeypatch.setattr("medtrans.threads.usable_cores", lambda: 3)
    before = torch.get_num_threads()
    job = rank_settings(scans, pool, tmp_path / "out", **settings)
    assert run("rank", write(tmp_path / "rank.yaml", job), *options) == 0
    told = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert told["provenance"]["settings"]["threads"] == threads
    job = train_settings(scans, tmp_path / "new", **settings)
    assert run("train", write(tmp_path / "train.yaml", job), *options) == 0
    told = json.loads(next((tmp_path / "new").rglob("metadata.json")).read_text())
    assert told["medtrans"]["training"]["threads"] == [threads]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_command_sleep_while_they_wait_unless_the_user_says_otherwise(monkeypatch, before, after):
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": before} if before else {})
    assert run("--version") == 0
    assert os.environ["OMP_WAIT_POLICY"] == after


def test_excluded_sources_are_left_out(pool, scans, tmp_path):
    settings = rank_settings(scans, pool, tmp_path / "out", exclude=["fets-1/FLAIR/ET"])
    assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
    assert "fets-1/FLAIR/ET" not in set(pd.read_csv(tmp_path / "out" / "ranking.csv", comment="#")["source"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrcs": ["h_score"]}, "unknown key 'metrcs'; did you mean 'metrics'?"),
        ({"sampler": {"band": 4.0}}, "unknown key 'sampler.band'; did you mean 'band_mm'?"),
        ({"metrics": ["h_scor"]}, "did you mean 'h_score'?"),
        ({"target": "fets-2/FLAIR"}, "domain/modality/structure"),
        ({"target": "fets-2/FLAIRE/ET"}, "did you mean 'FLAIR'?"),
        ({"target": "fets-9/FLAIR/ET"}, "9"),
        ({"pool": "no-such-pool"}, "no-such-pool"),
        ({"evidence": "no-such-study.json"}, "no-such-study.json: cannot be read"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_nothing_is_written(changes, said, pool, scans, tmp_path, capsys):
    settings = rank_settings(scans, pool, tmp_path / "out") | changes
    assert said in complaint(capsys, "rank", write(tmp_path / "rank.yaml", settings))
    assert not (tmp_path / "out").exists()


def test_an_empty_pool_is_one_clear_line(scans, tmp_path, capsys):
    (tmp_path / "pool").mkdir()
    settings = rank_settings(scans, tmp_path / "pool", tmp_path / "out")
    assert str(tmp_path / "pool") in complaint(capsys, "rank", write(tmp_path / "rank.yaml", settings))


def test_a_missing_config_is_one_clear_line(tmp_path, capsys):
    assert "cannot be read" in complaint(capsys, "rank", str(tmp_path / "none.yaml"))


def test_a_broken_bundle_is_named_and_the_others_are_ranked(pool, scans, tmp_path, capsys):
    broken = pool / "broken" / "configs"
    broken.mkdir(parents=True)
    (broken / "metadata.json").write_text("{")
    try:
        settings = rank_settings(scans, pool, tmp_path / "out")
        assert run("rank", write(tmp_path / "rank.yaml", settings)) == 0
        assert "broken" in capsys.readouterr().err
    finally:
        (broken / "metadata.json").unlink()
        broken.rmdir()
        broken.parent.rmdir()


def test_metrics_are_listed(capsys):
    assert run("metrics") == 0
    assert "otce_sim" in capsys.readouterr().out


def test_help_does_not_import_torch():
    code = "import sys, medtrans.cli; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603

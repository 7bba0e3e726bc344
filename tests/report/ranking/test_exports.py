from __future__ import annotations

import json

import pandas as pd
import pytest

from medtrans.errors import MedtransError
from medtrans.report import write_csv, write_html, write_json


def test_csv_reads_back_as_the_frame(ranking, tmp_path):
    write_csv(ranking, tmp_path / "deep/ranking.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "deep/ranking.csv"), ranking.to_frame(), check_exact=True)


def test_json_holds_every_value_and_no_picture(ranking, tmp_path):
    write_json(ranking, tmp_path / "ranking.json")
    data = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))
    assert data["target"] == "here/FLAIR/lesion"
    assert [(score["source"], score["values"]) for score in data["scores"]] == [
        (score.source, list(score.values)) for score in ranking.scores
    ]
    assert data["dropped"] == [{"source": "drawing", "reason": "It is <b>not</b> a scan."}]
    assert data["provenance"]["seed"] == 3
    assert data["provenance"]["seconds"] == {"features": 1.5}
    assert data["answer"].startswith("good ranks first for here/FLAIR/lesion by h_score")
    assert data["stakes"] == "No study at hand says how much a choice by h_score matters."
    assert data["evidence"] == []
    assert "picture" not in data


@pytest.mark.parametrize("write", [write_csv, write_json, write_html])
def test_a_file_is_replaced_whole_and_nothing_else_is_left(ranking, tmp_path, write):
    path = tmp_path / "ranking"
    path.write_text("old")
    write(ranking, path)
    assert path.read_text(encoding="utf-8") != "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(ranking, tmp_path, monkeypatch):
    path = tmp_path / "ranking.json"
    path.write_text("old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(MedtransError, match=r"ranking\.json: cannot be written \(No space left on device\)"):
        write_json(ranking, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_one_clear_line(ranking, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MedtransError, match="cannot be written"):
        write_csv(ranking, tmp_path / "file/ranking.csv")

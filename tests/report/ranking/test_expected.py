"""What to expect, on every surface of a ranking."""

from __future__ import annotations

import dataclasses
import io
import json

import pandas as pd
import pytest
from rich.console import Console

from medtrans.report import ranking_html, ranking_json, ranking_table, write_csv
from medtrans.selection.expectation import Estimate
from tests.selection.expectations import expectation, mode_fit


@pytest.fixture
def expecting(ranking):
    """One source with both modes, one with the head alone, one with none."""
    told = {
        "good": (Estimate("head", 0.714, 0.63, 0.78), Estimate("full", 0.8, 0.7, 0.9)),
        "bad": (Estimate("head", 0.1, 0.0, 0.4),),
    }
    return dataclasses.replace(
        ranking, expectation=expectation(mode_fit(), mode_fit("full"), studies=["<b>ours</b>"]), expected=told
    )


def test_the_terminal(expecting):
    console = Console(file=io.StringIO(), width=200)
    console.print(ranking_table(expecting))
    text = console.file.getvalue()
    rows = {line.strip("│").split("│")[0].strip(): line for line in text.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in rows["good"].strip("│").split("│")][-2:] == [
        "0.71 [0.63, 0.78]",
        "0.80 [0.70, 0.90]",
    ]
    assert [cell.strip() for cell in rows["bad"].strip("│").split("│")][-2:] == ["0.10 [0.00, 0.40]", "-"]
    assert "estimates from <b>ours</b> (28 targets, judged on 6 people)" in " ".join(text.split())


def test_the_page(expecting, ranking):
    page = ranking_html(expecting)
    assert '0.71 <span class="spread">[0.63, 0.78]</span>' in page
    assert ">Expected Dice<" in page
    assert ">Head retrained<" in page
    assert "&lt;b&gt;ours&lt;/b&gt;" in page
    assert "<b>ours</b>" not in page
    assert "xpected Dice" not in ranking_html(ranking)


def test_the_exports(expecting, ranking, tmp_path):
    data = json.loads(ranking_json(expecting))
    assert data["expected"]["good"][0] == {"mode": "head", "value": 0.714, "low": 0.63, "high": 0.78}
    assert data["expectation"]["n_people"] == 6
    assert json.loads(ranking_json(ranking))["expectation"] is None
    write_csv(expecting, tmp_path / "ranking.csv")
    read = pd.read_csv(tmp_path / "ranking.csv")
    good = read[(read.source == "good") & (read.metric == "h_score")].iloc[0]
    assert [good[f"expected_head{end}"] for end in ("", "_low", "_high")] == [0.714, 0.63, 0.78]
    assert read.loc[read.source == "bad", "expected_full"].isna().all()
    assert "expected_head" not in ranking.to_frame()

from __future__ import annotations

import io

from rich.console import Console

from medtrans.report import ranking_table


def test_table_shows_names_as_they_are_with_scores_and_reasons(ranking):
    console = Console(file=io.StringIO(), width=160)
    console.print(ranking_table(ranking))
    text = console.file.getvalue()
    lines = text.splitlines()
    assert "Sources for here/FLAIR/lesion" in lines[0]
    assert "<script>alert(1)</script>[bold]&\"'" in text  # not read as markup
    (good,) = [line for line in lines if line.startswith("│ good ")]
    assert [cell.split() for cell in good.strip("│").split("│")] == [
        ["good"],
        ["1", "0.8500", "±", "0.0707", "100%"],
        ["2", "-3.500", "±", "0.707", "0%"],
    ]
    assert "dropped drawing: It is <b>not</b> a scan." in text
    assert "[bold]&\"': no signature" in " ".join(text.split())
    assert "No study at hand says how much a choice by h_score matters." in " ".join(text.split())
    assert "note: Mind the <gap>." in text


def test_a_narrow_terminal_leaves_room_for_the_names(ranking):
    console = Console(file=io.StringIO(), width=40)
    console.print(ranking_table(ranking))
    assert "│ good " in console.file.getvalue()
    assert "…" not in console.file.getvalue()

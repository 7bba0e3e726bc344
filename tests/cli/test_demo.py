"""The demo, as a user runs it."""

from __future__ import annotations

import pytest

from tests.cli.jobs import run


@pytest.mark.slow
def test_the_demo_ranks_and_checks_its_claim(tmp_path, capsys):
    assert run("demo", "--output", str(tmp_path)) == 0
    printed = capsys.readouterr().out
    for line in (
        "1. Simulate",
        "2. Train",
        "3. Rank",
        "4. Check the claim",
        "│ first │",
        "│ last  │",
        "not evidence",
        "Done in",
    ):
        assert line in printed
    for suffix in ("csv", "json", "html"):
        assert (tmp_path / "ranking" / f"ranking.{suffix}").is_file()
    assert run("demo", "--output", str(tmp_path)) == 0  # again: scans and sources are kept

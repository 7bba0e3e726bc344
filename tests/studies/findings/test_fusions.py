from __future__ import annotations

from typing import Any

import pytest

from medtrans.config import StudyJob
from medtrans.studies.engine.pieces import Piece
from medtrans.studies.engine.plan import candidates
from medtrans.studies.findings import fusions
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results
from tests.studies.conftest import SOURCES, TARGETS


def test_fusions_are_the_picked_sets_each_once(tiny_job: StudyJob, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, d = SOURCES
    picked = {
        ("b/T1/GM", "head"): {"h_score": (c, b, a), "truth": (b, c), "random": (a, b, c)},
        ("b/T1/WM", "full"): {"h_score": (d,), "truth": (), "random": (d, a)},
    }
    monkeypatch.setattr(fusions, "picks", lambda results, target, mode: picked.get((target, mode), {}))
    results: Any = object()  # only picks looks into it
    assert plan_fusions(tiny_job, results) == [
        Piece("fuse", sources, target, mode, seed)
        for target, mode, sources in [
            ("b/T1/GM", "head", (a, b)),  # random's two
            ("b/T1/GM", "head", (b, c)),  # h_score's two, and truth's
            ("b/T1/GM", "head", (a, b, c)),  # h_score's three, and random's
            ("b/T1/WM", "full", (a, d)),  # one source alone is no fusion
        ]
        for seed in (0, 1)
    ]


def test_fusions_of_a_finished_study(tiny_job: StudyJob, filled_store: Any) -> None:
    """By h_score and by truth the sources rank d, c, b, a; where d is the target's own, c, b, a."""
    a, b, c, d = SOURCES
    fusions = plan_fusions(tiny_job, Results.read(filled_store))
    assert len(set(fusions)) == len(fusions)
    for target, best in zip(TARGETS, [(c, b, a), (d, c, b), (d, c, b)], strict=True):
        by_target = [piece for piece in fusions if piece.target == target]
        assert {tuple(sorted(best[:2])), tuple(sorted(best))} <= {piece.sources for piece in by_target}
        sets = {piece.sources for piece in by_target}
        assert len(sets) <= 4  # two and three sources, by rank and at random
        assert len(by_target) == len(sets) * 2 * 2  # modes and seeds
        assert all(set(sources) <= set(candidates(tiny_job, target)) for sources in sets)
        assert all(list(sources) == sorted(sources) for sources in sets)

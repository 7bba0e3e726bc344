"""A tiny study, and a store filled with numbers of simple formulas; no image is read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from medtrans.config import StudyJob
from medtrans.studies.engine.pieces import Outcome, Piece
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import plan_fusions
from medtrans.studies.findings.results import Results

SOURCES = ("a/T1/GM", "a/T1/WM", "a/T2/GM", "b/T1/GM")
TARGETS = ("b/T1/GM", "b/T1/WM", "b/T2/WM")
METRICS = ("h_score", "otce_sim")
REPETITIONS = 2

JobMaker = Callable[..., StudyJob]


def tiny_settings(output: Path) -> dict[str, Any]:
    """4 sources, 3 targets (one of a source's own name), 2 seeds, head, full and scratch, 2 metrics, 1 sampler."""
    data = {"format": "folder", "root": "nowhere"}
    return {
        "output": str(output),
        "sources": [{"tasks": ["a/T1/{GM,WM}", "a/T2/GM"], "data": data}, {"tasks": ["b/T1/GM"], "data": data}],
        "targets": [{"tasks": ["b/T1/{GM,WM}", "b/T2/WM"], "data": data}],
        "metrics": METRICS,
        "samplers": {"boundary": {"n_pixels": 100, "repetitions": REPETITIONS}},
        "filters": {"default": {}},
        "seeds": [0, 1],
        "many_to_one": {"largest": 3, "metrics": ["h_score"]},
    }


@pytest.fixture
def make_job(tmp_path: Path) -> JobMaker:
    """The tiny study with some settings changed."""

    def make(**changes: Any) -> StudyJob:
        return StudyJob.model_validate(tiny_settings(tmp_path / "study") | changes)

    return make


@pytest.fixture
def tiny_job(make_job: JobMaker) -> StudyJob:
    """The tiny study."""
    return make_job()


@pytest.fixture
def filled_store(tiny_job: StudyJob) -> Path:
    """Path of the tiny study's finished store, fusions included; every piece found what `outcome_of` says."""
    with Store.open(tiny_job.store_path, tiny_job) as store:
        for piece in chain(*plan(tiny_job)):
            store.record(piece, outcome_of(piece))
        for piece in plan_fusions(tiny_job, Results.read(store.path)):
            store.record(piece, outcome_of(piece))
    return tiny_job.store_path


def outcome_of(piece: Piece) -> Outcome:
    """What the pieces of the tiny study find, by formulas of the positions s and t of source and target (from 0)."""
    find = {"train": _train, "filter": _filter, "score": _score, "transfer": _transfer, "fuse": _fuse}[piece.kind]
    return Outcome(find(piece), seconds=1.0, parts={"data": 0.25, "training": 0.75})


def quality(source: str, target: str) -> float:
    """Dice of a transfer (head, seed 0): 0.5 + 0.1 s + 0.01 t, so the best source comes last."""
    return 0.5 + 0.1 * SOURCES.index(source) + 0.01 * TARGETS.index(target)


def by_measure(dice: float) -> tuple[float, float, float]:
    """Dice, mIoU and pixel accuracy, which rank differently: mIoU the other way round, pixel accuracy ties all."""
    return dice, 1 - dice, 0.9


def _train(piece: Piece) -> dict[str, list[tuple[Any, ...]]]:
    return {"sources": [(piece.sources[0], *by_measure(0.8 + 0.01 * SOURCES.index(piece.sources[0])))]}


def _filter(piece: Piece) -> dict[str, list[tuple[Any, ...]]]:
    """The first source is dropped for every target."""
    return {
        "candidates": [
            (piece.target, "default", source, s > 0, "" if s else "T1 is not like it.")
            for s, source in enumerate(SOURCES)
            if source != piece.target
        ]
    }


def _score(piece: Piece) -> dict[str, list[tuple[Any, ...]]]:
    """h_score: s + 0.5 r in repetition r, as the truth ranks; otce_sim: -s, the other way; none for a/T2/GM."""
    (source,) = piece.sources
    s = SOURCES.index(source)
    names = piece.target, source, "boundary"
    scores: list[tuple[Any, ...]] = [(*names, "h_score", r, s + 0.5 * r) for r in range(REPETITIONS)]
    if source == "a/T2/GM":
        return {"scores": scores, "missing": [(*names, "otce_sim", "the signature holds no features")]}
    return {"scores": [*scores, *((*names, "otce_sim", r, -float(s)) for r in range(REPETITIONS))]}


def _transfer(piece: Piece) -> dict[str, list[tuple[Any, ...]]]:
    """`quality`, 0.02 more with seed 1, 0.05 more in mode full; scratch: 0.4, 0.02 more with seed 1."""
    accuracy = quality(piece.sources[0], piece.target) if piece.sources else 0.4
    accuracy += 0.02 * (piece.seed or 0) + (0.05 if piece.mode == "full" else 0.0)
    return {"transfers": [(piece.target, "".join(piece.sources), piece.mode, piece.seed, *by_measure(accuracy))]}


def _fuse(piece: Piece) -> dict[str, list[tuple[Any, ...]]]:
    """0.01 more per further source than the best of them alone."""
    best = max(quality(source, piece.target) for source in piece.sources)
    accuracy = best + 0.01 * (len(piece.sources) - 1) + 0.02 * (piece.seed or 0)
    accuracy += 0.05 if piece.mode == "full" else 0.0
    return {"fusions": [(piece.target, " + ".join(piece.sources), piece.mode, piece.seed, *by_measure(accuracy))]}

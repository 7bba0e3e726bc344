"""Jobs for tiny scans, and a way to run them as a user does."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from medtrans.cli import main


def train_settings(scans: Path, pool: Path, **changes) -> dict:
    return {
        "tasks": ["fets-1/FLAIR/ET"],
        "pool": str(pool),
        "data": {"format": "fets", "root": str(scans)},
        "network": {"width": 4},
        "training": {"steps": 4, "steps_per_epoch": 2, "batch_size": 2},
        "signature": {"n_pixels": 200},
        **changes,
    }


def rank_settings(scans: Path, pool: Path, output: Path, **changes) -> dict:
    return {
        "target": "fets-2/FLAIR/ET",
        "pool": str(pool),
        "data": {"format": "fets", "root": str(scans), "slices": 4},
        "metrics": ["h_score", "otce_sim", "leep"],
        "sampler": {"n_pixels": 60, "repetitions": 3, "band_mm": 12.0},
        "filters": None,
        "output": str(output),
        **changes,
    }


def study_settings(scans: Path, output: Path, **changes) -> dict:
    """Two sources of one site, two targets of the other, one seed; all kinds of pieces, in threads."""
    data = {"format": "fets", "root": str(scans)}
    training = {"steps": 2, "steps_per_epoch": 1, "batch_size": 2}
    return {
        "output": str(output),
        "sources": [{"tasks": ["fets-1/FLAIR/{ED,ET}"], "data": data}],
        "targets": [{"tasks": ["fets-2/T1CE/{ED,ET}"], "data": data | {"slices": 3}}],
        "network": {"width": 4},
        "training": training,
        "signature": {"n_pixels": 200},
        "metrics": ["h_score", "leep"],
        "samplers": {"boundary": {"n_pixels": 60, "repetitions": 2, "band_mm": 12.0}},
        "transfer": {"head": training, "full": training, "scratch": training},
        "seeds": [0],
        "many_to_one": {"largest": 2},
        "executor": {"kind": "threads", "workers": 2},
        "device": "cpu",
        **changes,
    }


def write(path: Path, settings: dict) -> str:
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def run(*arguments: str) -> int:
    """Exit status of ``medtrans ARGUMENTS``, in this process."""
    before, sys.argv = sys.argv, ["medtrans", *arguments]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


def complaint(capsys, *arguments: str) -> str:
    """The one line that a failing command prints."""
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("medtrans: ")
    return line

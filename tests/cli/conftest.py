"""Tiny simulated scans and a small pool trained on them, once for all tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtrans.simulation import simulate_fets
from tests.cli.jobs import run, train_settings, write


@pytest.fixture(scope="package")
def scans(tmp_path_factory) -> Path:
    return simulate_fets(
        tmp_path_factory.mktemp("scans") / "fets", institutions=(1, 2), subjects_per_institution=2, spacing_mm=6.0
    )


@pytest.fixture(scope="package")
def pool(tmp_path_factory, scans) -> Path:
    folder = tmp_path_factory.mktemp("job")
    settings = train_settings(scans, folder / "pool", tasks=["fets-1/FLAIR/{ED,ET}", "fets-1/T1CE/ET"])
    assert run("train", write(folder / "train.yaml", settings)) == 0
    return folder / "pool"

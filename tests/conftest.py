"""Fixtures that every room's tests use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread, here and in the processes that tests start: bits depend on how many there are. Before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of reference numbers and real scans beside the checkout; tests skip where it is absent."""
    root = Path(__file__).resolve().parents[2] / "shared"
    if not root.is_dir():
        pytest.skip(f"{root.name}/ with golden numbers and real scans is not beside this checkout")
    return root

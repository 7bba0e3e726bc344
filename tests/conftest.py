"""Fixtures that every room's tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    """Results depend on the number of torch's threads in their last digits, and threads of a study limit it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of reference numbers and real scans beside the checkout; tests skip where it is absent."""
    root = Path(__file__).resolve().parents[2] / "shared"
    if not root.is_dir():
        pytest.skip(f"{root.name}/ with golden numbers and real scans is not beside this checkout")
    return root

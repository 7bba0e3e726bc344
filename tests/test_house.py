"""The house itself: what can be reached from its door, and that no part of it stands in another's way."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import medtrans


def test_the_public_names_are_listed_though_they_load_late() -> None:
    code = "import sys, medtrans; print(*dir(medtrans), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    assert said.pop() == "False"
    assert {"load_task", "rank_sources", "Pool", "train", "finetune", "study", "metrics", "__version__"} <= set(said)
    assert set(said) == {*medtrans.__all__, "__version__"}
    assert all(getattr(medtrans, name) is not None for name in said)
    assert isinstance(medtrans.metrics, ModuleType)


def test_the_version_is_that_of_the_package() -> None:
    assert medtrans.__version__ == version("medtrans")


def test_no_module_hides_behind_another_thing_of_its_name() -> None:
    """``import medtrans.metrics.otce as otce`` would give a function."""
    hidden = []
    for found in pkgutil.walk_packages(medtrans.__path__, "medtrans."):
        module = importlib.import_module(found.name)
        package, _, leaf = found.name.rpartition(".")
        if getattr(importlib.import_module(package), leaf) is not module:
            hidden.append(found.name)
    assert hidden == []

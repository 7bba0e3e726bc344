"""Which trained segmentation model should a new task be transferred from?

``load_task`` reads the new task's labelled cases, ``Pool`` the trained sources, and ``rank_sources`` says which of them
to transfer from.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from medtrans.errors import MedtransError, MedtransWarning
from medtrans.tasks import Case, Task, TaskName

if TYPE_CHECKING:
    from medtrans.data import load_task
    from medtrans.selection import rank_sources
    from medtrans.sources import Pool

# Imported on first use: torch takes a second that `medtrans --help` does not have.
_LAZY = {"load_task": "medtrans.data", "rank_sources": "medtrans.selection", "Pool": "medtrans.sources"}

__all__ = ["Case", "MedtransError", "MedtransWarning", "Pool", "Task", "TaskName", "load_task", "rank_sources"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("medtrans")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'medtrans' has no attribute '{name}'")

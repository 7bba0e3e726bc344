"""Which trained segmentation model should a new task be transferred from?

    import medtrans as mt

    target = mt.load_task("open-ms/FLAIR/lesion", root="...", cases=["patient07"], slices=4)
    print(mt.rank_sources(target, mt.Pool("runs/open-ms/pool")))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medtrans.errors import MedtransError, MedtransWarning
from medtrans.tasks import Case, Task, TaskName

if TYPE_CHECKING:
    from medtrans.data import load_task
    from medtrans.selection import rank_sources
    from medtrans.sources import Pool

__version__ = "0.1.0"

# Imported on first use: torch takes a second that `medtrans --help` does not have.
_LAZY = {"load_task": "medtrans.data", "rank_sources": "medtrans.selection", "Pool": "medtrans.sources"}

__all__ = ["Case", "MedtransError", "MedtransWarning", "Pool", "Task", "TaskName", "load_task", "rank_sources"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'medtrans' has no attribute '{name}'")

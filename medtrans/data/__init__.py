"""From files to cases: layouts of known data sets, readers, preprocessing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medtrans.data.layouts import FORMATS, open_dataset
    from medtrans.data.load import case_subjects, load_task, load_task_from

# Imported on first use: MONAI takes seconds that statistics and file indexes do not have.
_LAZY = {
    "FORMATS": "medtrans.data.layouts",
    "open_dataset": "medtrans.data.layouts",
    "case_subjects": "medtrans.data.load",
    "load_task": "medtrans.data.load",
    "load_task_from": "medtrans.data.load",
}

__all__ = ["FORMATS", "case_subjects", "load_task", "load_task_from", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'medtrans.data' has no attribute '{name}'")

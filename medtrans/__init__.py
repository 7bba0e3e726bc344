"""Which trained segmentation model should a new task be transferred from?

``load_task`` reads the new task's labelled cases, ``Pool`` the trained sources, and ``rank_sources`` says which of them
to transfer from. ``train`` adds a source to a pool, ``finetune`` transfers one, and ``study`` compares what rankings
say with what transfer really gives. ``metrics`` are functions of arrays.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from medtrans.errors import MedtransError, MedtransWarning
from medtrans.tasks import Case, Task, TaskName

if TYPE_CHECKING:
    from medtrans import metrics
    from medtrans.data import load_task
    from medtrans.learning import fine_tune as finetune
    from medtrans.learning import train_source as train
    from medtrans.selection import Ranking, rank_sources
    from medtrans.sources import Pool, Source
    from medtrans.studies.engine.run import run_study as study

_LAZY = {  # imported on first use: torch takes a second that `medtrans --help` does not have
    "Pool": "medtrans.sources:Pool",
    "Ranking": "medtrans.selection:Ranking",
    "Source": "medtrans.sources:Source",
    "finetune": "medtrans.learning:fine_tune",
    "load_task": "medtrans.data:load_task",
    "metrics": "medtrans.metrics:",
    "rank_sources": "medtrans.selection:rank_sources",
    "study": "medtrans.studies.engine.run:run_study",
    "train": "medtrans.learning:train_source",
}

__all__ = [
    "Case",
    "MedtransError",
    "MedtransWarning",
    "Pool",
    "Ranking",
    "Source",
    "Task",
    "TaskName",
    "finetune",
    "load_task",
    "metrics",
    "rank_sources",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("medtrans")
    if name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        return getattr(import_module(module), attribute) if attribute else import_module(module)
    raise AttributeError(f"module 'medtrans' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

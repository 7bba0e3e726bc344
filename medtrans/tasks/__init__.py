"""The two words that everything else is said with: a task, and the cases that show it."""

from __future__ import annotations

from medtrans.tasks.cases import BACKGROUND, IGNORE_LABEL, Case, Kind, Task, is_structure
from medtrans.tasks.names import (
    ARCHITECTURE,
    DRAW,
    RGB,
    TaskName,
    canonical_modality,
    metric_label,
    n_tasks,
    spelled,
    without_separators,
)

__all__ = [
    "ARCHITECTURE",
    "BACKGROUND",
    "DRAW",
    "IGNORE_LABEL",
    "RGB",
    "Case",
    "Kind",
    "Task",
    "TaskName",
    "canonical_modality",
    "is_structure",
    "metric_label",
    "n_tasks",
    "spelled",
    "without_separators",
]

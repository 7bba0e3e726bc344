"""Whether a source's network takes a task's images."""

from __future__ import annotations

from medtrans.errors import TrainingError
from medtrans.sources.bundle import Source
from medtrans.tasks import Task


def misfit(source: Source, task: Task) -> str:
    """Why a source's network does not take a task's images, half a sentence; empty where it does."""
    if source.spatial_dims != task.ndim:
        return f"the source reads {source.spatial_dims}D images, the target's are {task.ndim}D"
    if source.in_channels != task.n_channels:
        return f"the source reads {source.in_channels} channels, the target has {task.n_channels}"
    return ""


def check_fit(source: Source, task: Task) -> None:
    """Raise TrainingError where a source's network does not take a task's images."""
    if misfit(source, task):
        raise TrainingError(
            f"source '{source.name}' takes {source.spatial_dims}D images of {source.in_channels} channels, but task "
            f"'{task.name}' has {task.ndim}D images of {task.n_channels}; choose another source, or load the task "
            "accordingly"
        )

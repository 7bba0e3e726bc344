"""The state of an unfinished training on disk: written whole or not at all, and read for the same training only."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medtrans.config import differences
from medtrans.errors import TrainingError, one_line


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file and what the training it belongs to depends on (settings, data), as JSON values."""

    path: Path
    depends_on: Mapping[str, Any]

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the file by this state; a kill at any moment leaves the old file or the new one.

        Raises:
            TrainingError: the file cannot be written.
        """
        partial = self.path.with_suffix(".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # torch's own writer says "unexpected pos" when the disk is full; a file of Python's says what happened.
            buffer = io.BytesIO()
            torch.save({**state, "depends_on": json.dumps(self.depends_on)}, buffer)
            partial.write_bytes(buffer.getbuffer())
            partial.replace(self.path)
        except (OSError, RuntimeError) as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise TrainingError(
                f"{self.path}: the checkpoint cannot be written ({_one_line(error)}); free or choose another disk"
            ) from error

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """The last state, or None where there is no file.

        Raises:
            TrainingError: the file is damaged, or belongs to a training with other settings or data.
        """
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
            theirs = json.loads(state.pop("depends_on"))
        except Exception as error:  # torch raises whatever the damaged bytes lead to
            raise TrainingError(
                f"{self.path}: the checkpoint is damaged ({_one_line(error)}); delete it to train from the start"
            ) from error
        if changes := differences(theirs, json.loads(json.dumps(self.depends_on))):
            raise TrainingError(
                f"{self.path}: the checkpoint is of a training with other settings ({changes}); "
                "delete it to train from the start, or restore the settings to go on"
            )
        return state

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, pickle.UnpicklingError):  # torch's advice would be to run what is in the file
        return "truncated, or not a checkpoint"
    return one_line(error, 120)

"""Class probabilities of fine-tuned networks, kept on disk so that fusions need not fine-tune again."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from medtrans.errors import StudyError
from medtrans.tasks import Case

Probabilities = NDArray[np.float16]
"""Of one case, shape ``(K, *spatial)``, in [0, 1]."""


def probabilities(outputs: torch.Tensor) -> Probabilities:
    """Softmax over the first axis of a case's outputs ``(K, *spatial)``, rounded to what is kept (steps of 0.0005)."""
    rounded: Probabilities = torch.softmax(outputs.float(), dim=0).half().cpu().numpy()
    return rounded


def write_predictions(file: Path, of_cases: Sequence[Probabilities]) -> None:
    """Write the probabilities of all cases, in order: the whole file or none.

    Raises:
        StudyError: the file cannot be written.
    """
    partial = file.with_name(f".{uuid4().hex[:8]}.{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, *of_cases)
        partial.replace(file)
    except OSError as error:
        raise StudyError(
            f"{file}: cannot be written ({error.strerror or error}); free the disk or choose another output"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_predictions(file: Path, cases: Sequence[Case]) -> list[Probabilities] | None:
    """What ``write_predictions`` wrote for these cases; None where there is no such file, or it holds anything else."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = [arrays[f"arr_{i}"] for i in range(len(cases))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = (array.shape[1:] == case.label.shape for array, case in zip(found, cases, strict=True))
    return found if all(fits) else None

"""Class probabilities of fine-tuned networks, kept on disk so that fusions need not fine-tune again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medtrans.studies.engine.arrays import read_arrays, write_arrays
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
    write_arrays(file, {f"arr_{i}": of_case for i, of_case in enumerate(of_cases)})


def read_predictions(file: Path, cases: Sequence[Case]) -> list[Probabilities] | None:
    """What ``write_predictions`` wrote for these cases; None where there is no such file, or it holds anything else."""
    arrays = read_arrays(file) or {}
    found = [arrays[name] for name in (f"arr_{i}" for i in range(len(cases))) if name in arrays]
    fits = len(found) == len(cases) and all(
        array.shape[1:] == case.label.shape for array, case in zip(found, cases, strict=True)
    )
    return found if fits else None

"""Retrained heads, kept on disk: the transfer in mode ``full`` that starts from one need not train it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from medtrans.learning.transfer.fine_tune import Head
from medtrans.studies.engine.arrays import not_writable, read_arrays, write_arrays

_DEPENDS_ON = "depends_on"


def kept_head(file: Path, depends_on: Mapping[str, Any], train: Callable[[], Head]) -> Head:
    """The head in a file. Where there is none that depended on the same JSON values, it is trained, and written there.

    Whoever comes while it is being trained, in another thread, process or machine, waits for it.

    Raises:
        StudyError: the file cannot be written.
    """
    told = json.dumps(depends_on, sort_keys=True)
    with _locked(file):
        kept = read_arrays(file)
        if kept is not None and str(kept.pop(_DEPENDS_ON, "")) == told:
            return {name: torch.from_numpy(array) for name, array in kept.items()}
        head = train()
        write_arrays(file, {name: value.numpy() for name, value in head.items()} | {_DEPENDS_ON: np.array(told)})
        return head


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise not_writable(file, error) from error
    try:
        yield
    finally:
        lock.release()

"""How right what a transfer predicted is: on everyone together, and on each person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.learning import Accuracy, accuracy_of_tables, subject_tables
from medtrans.tasks import Case, Task


@dataclass(frozen=True)
class Judged:
    """Accuracy on the test cases: of all together, and of each subject who shows the structure."""

    accuracy: Accuracy
    by_subject: Mapping[str, Accuracy]


def judged_on(test: Sequence[Case], predicted: Iterable[NDArray[np.uint8]], task: Task) -> Judged:
    """Hold predicted label maps, one for each test case in order, against the labels; raises as accuracy_of_labels."""
    tables, first = subject_tables(test, predicted, task.n_classes), int(task.has_background)
    shown = {who: table for who, table in tables.items() if table[first:].any()}
    return Judged(
        accuracy_of_tables(tables, has_background=task.has_background),
        {who: accuracy_of_tables({who: it}, has_background=task.has_background) for who, it in shown.items()},
    )

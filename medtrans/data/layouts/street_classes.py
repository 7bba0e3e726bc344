"""The 19 training classes of Cityscapes, which BDD100K and GTA5 share, and the two ways in which files write them.

The table is that of ``cityscapesscripts/helpers/labels.py``: a *labelId* (0 to 33) is one of all labels, a *trainId*
(0 to 18) one of the classes that networks are trained on. All other labels are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, Structure, natural_order
from medtrans.tasks import IGNORE_LABEL

EVERY_CLASS = "19-classes"
"""The structure that stands for all training classes."""

LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""labelId of each training class, in the order of the trainIds 0 .. 18."""

FROM_TRAIN_IDS: Mapping[int, int] = {number: number for number in range(len(LABEL_IDS))} | {255: IGNORE_LABEL}
"""Coding of files that hold trainIds."""

FROM_LABEL_IDS: Mapping[int, int] = dict.fromkeys((*range(34), 255), IGNORE_LABEL) | {
    label_id: train_id for train_id, label_id in enumerate(LABEL_IDS.values())
}
"""Coding of files that hold labelIds; a licence plate, -1, reads 255 in 8 bits."""

_LAST_TRAIN_ID = len(LABEL_IDS) - 1


def street_dataset(
    root: Path,
    cases: Sequence[CaseFiles],
    coding: Mapping[int, int],
    what_to_do: str,
    *,
    label_map: str = LABEL,
    notes: tuple[str, ...] = (),
    skips_misfits: bool = False,
) -> Dataset:
    """Photographs with the training classes as structures; ``what_to_do`` where label maps hold the other ids."""
    trained = coding is FROM_TRAIN_IDS
    return Dataset(
        root,
        tuple(sorted(cases, key=lambda case: natural_order(case.id))),
        {name: Structure((train_id,), label_map) for train_id, name in enumerate(LABEL_IDS)},
        {label_map: (coding,)},
        notes,
        every_class=EVERY_CLASS,
        suspect=partial(_suspect_label_ids if trained else _suspect_train_ids, what_to_do=what_to_do),
        skips_misfits=skips_misfits,
    )


def _suspect_label_ids(counts: NDArray[np.int64], what_to_do: str) -> str:
    """Whether trainIds look like labelIds: values beyond 19 (some write 19 for ignored), or 7, road, and none below.

    No street is without the trainIds 0 to 6 (road, sidewalk, building, wall, fence, pole, traffic light) but with a
    traffic sign, 7.
    """
    beyond = np.flatnonzero(counts[_LAST_TRAIN_ID + 2 : 34]) + _LAST_TRAIN_ID + 2
    if beyond.size:
        reason = f"value {beyond[-1]} occurs"
    elif counts[7] and not counts[:7].any():
        reason = "value 7 occurs and none of 0 to 6"
    else:
        return ""
    return f"the labels look like labelIds ({reason}), but trainIds are expected here; {what_to_do}"


def _suspect_train_ids(counts: NDArray[np.int64], what_to_do: str) -> str:
    """Whether labelIds look like trainIds: none beyond 18, and as labelIds most pixels would be ignored."""
    ignored = 1 - counts[list(LABEL_IDS.values())].sum() / counts.sum()
    if counts[_LAST_TRAIN_ID + 1 : 34].any() or not counts[7 : _LAST_TRAIN_ID + 1].any() or ignored <= 0.5:
        return ""
    return (
        f"the labels look like trainIds (no value from 19 to 33 occurs, and {ignored:.0%} of the pixels would be "
        f"ignored), but labelIds are expected here; {what_to_do}"
    )

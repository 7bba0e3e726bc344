"""Images as a whole: all of their pixels, or so many that they stand for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import SamplingError
from medtrans.tasks import IGNORE_LABEL, Case

WHOLE_PIXELS = 2**18
"""Pixels kept of all images together: with 16 features 16 MiB."""


@dataclass(frozen=True, eq=False)
class WholeImages:
    """U pixels of some images that stand for all of them.

    Attributes:
        case_index: int64 (U,), index into the cases.
        position: int64 (U, ndim), the pixel in its case's label map.
        label: uint8 (U,), its class.
        weight: float64 (U,), how many pixels each stands for: of its image, 1 where all are there, times the images
            that this one stands for.
        subject: int64 (U,), index of the pixel's subject, in order of first appearance.
    """

    case_index: NDArray[np.int64]
    position: NDArray[np.int64]
    label: NDArray[np.uint8]
    weight: NDArray[np.float64]
    subject: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)


def whole_images(cases: Sequence[Case], *, rng: np.random.Generator, n_pixels: int = WHOLE_PIXELS) -> WholeImages:
    """All pixels that have a label (none is ``IGNORE_LABEL``); where there are more than ``n_pixels``, some of them.

    Then every class of every image gives as many as the others, or all it has, drawn without replacement; a pixel of a
    class of n pixels, m of which are drawn, weighs n / m. So a small structure is still there whole. What is lost: of a
    large class, mostly the background, counts (such as false positives) are estimates, with a standard error of
    n sqrt(p (1 - p) / m) for a share p.

    Raises:
        SamplingError: no pixel has a label, or fewer are asked for than there are classes in the images.
    """
    strata = [
        (i, np.flatnonzero(case.label.ravel() == value))
        for i, case in enumerate(cases)
        for value in np.unique(case.label[case.label != IGNORE_LABEL])
    ]
    if not strata:
        raise SamplingError("no pixel of the labelled images has a label; every one is ignored")
    counts = _shares(np.array([len(pixels) for _, pixels in strata]), n_pixels)
    drawn = [
        (
            i,
            pixels if count == len(pixels) else np.sort(rng.choice(pixels, count, replace=False)),
            len(pixels) / count * cases[i].stands_for,
        )
        for (i, pixels), count in zip(strata, counts, strict=True)
    ]
    subjects = list(dict.fromkeys(case.subject for case in cases))
    index = np.concatenate([np.full(len(pixels), i) for i, pixels, _ in drawn])
    return WholeImages(
        case_index=index,
        position=np.concatenate(
            [np.column_stack(np.unravel_index(pixels, cases[i].label.shape)) for i, pixels, _ in drawn]
        ).astype(np.int64),
        label=np.concatenate([cases[i].label.ravel()[pixels] for i, pixels, _ in drawn]),
        weight=np.concatenate([np.full(len(pixels), weight) for _, pixels, weight in drawn]),
        subject=np.array([subjects.index(case.subject) for case in cases])[index],
    )


def _shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """How many each stratum gives: all of it, or as many as the other large ones; together at most ``total``."""
    if sizes.sum() <= total:
        return sizes
    if total < len(sizes):
        raise SamplingError(f"n_pixels is {total}, but the images have {len(sizes)} classes to show; ask for more")
    shares, left = np.zeros_like(sizes), total
    order = np.argsort(sizes, kind="stable")
    for place, stratum in enumerate(order):
        shares[stratum] = min(sizes[stratum], left // (len(sizes) - place))
        left -= shares[stratum]
    return shares

"""A task and the cases that show it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import DataError, did_you_mean
from medtrans.tasks.names import TaskName

IGNORE_LABEL = 255
"""Label of pixels that are neither sampled, trained on nor scored."""

BACKGROUND = "background"
"""Name of class 0 where it is all that no structure shows."""


Kind = Literal["scan", "photograph", "image"]
"""What an image is: a volume or a slice of one, in millimetres; a photograph of a scene; any other, in pixels."""


@dataclass(frozen=True, eq=False)
class Case:
    """One labelled image: a volume, one slice of a volume, or a photograph. Whoever loads it says which.

    Attributes:
        id: unique within a task, for example ``patient07`` or ``patient07/z081``.
        image: float32, shape ``(channels, *spatial)``, finite, preprocessed. In a scan the background is exactly 0; in
            a photograph no pixel is 0 in all channels.
        label: uint8, shape ``(*spatial)``: class indices 0..K-1, or ``IGNORE_LABEL``.
        spacing_mm: millimetres between neighbouring pixels along each spatial axis (1 where the unit is the pixel).
        subject: who was imaged; the slices of one volume share it. Defaults to ``id``.
        height: for a slice, its relative height inside the body's box, 0 (lowest) to 1; None where it is not known.
        kind: ``scan``, unless whoever loads it says ``photograph`` or ``image``.
        stands_for: how many images like it there are where it is from: slices of its volume, for a slice chosen from
            these; 1 where it stands for itself alone.
        body_mask: bool, shape ``(*spatial)``: what is no background. None: where the image is not 0 in all channels.
    """

    id: str
    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    spacing_mm: tuple[float, ...]
    subject: str = ""
    height: float | None = None
    kind: Kind = "scan"
    stands_for: float = 1.0
    body_mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not self.subject:
            object.__setattr__(self, "subject", self.id)
        if self.image.shape[1:] != self.label.shape:
            raise DataError(
                f"case '{self.id}': image is {_size(self.image.shape[1:])} but label is {_size(self.label.shape)}; "
                "were they resampled apart?"
            )
        if self.body_mask is not None and self.body_mask.shape != self.label.shape:
            raise DataError(
                f"case '{self.id}': body mask is {_size(self.body_mask.shape)} but label is {_size(self.label.shape)}; "
                "give both on one grid"
            )
        if len(self.spacing_mm) != self.label.ndim:
            raise DataError(
                f"case '{self.id}': {len(self.spacing_mm)} spacings for {self.label.ndim} axes; give one per axis"
            )
        if str(self.kind) not in get_args(Kind):
            known = did_you_mean(str(self.kind), get_args(Kind))
            raise DataError(f"case '{self.id}': unknown kind '{self.kind}'; {known}")
        if not np.isfinite(self.image).all():
            raise DataError(f"case '{self.id}': image holds NaN or infinite values; repair the file or leave it out")

    @cached_property
    def body(self) -> NDArray[np.bool_]:
        """Where it shows anything but background: its body mask, or else where the image is not 0 in all channels."""
        return np.asarray(self.image.any(axis=0)) if self.body_mask is None else self.body_mask

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return self.label.ndim

    @property
    def is_photograph(self) -> bool:
        """Whether it is a photograph."""
        return self.kind == "photograph"

    @property
    def unit(self) -> str:
        """What ``spacing_mm``, and so every distance, is in."""
        return "mm" if self.kind == "scan" else "pixels"


@dataclass(frozen=True, eq=False)
class Task:
    """A named task with its cases.

    Attributes:
        name: domain, modality and structure.
        cases: at least one, all with the same number of spatial axes and channels.
        class_names: names of the classes 0..K-1; class 0 is the background where it is called so.
        notes: what a reader should know (slices left out, labels derived ...), one sentence each.
    """

    name: TaskName
    cases: tuple[Case, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.cases:
            raise DataError(f"task '{self.name}': no cases; check the root folder and the list of cases")
        shapes = {(case.ndim, case.image.shape[0]) for case in self.cases}
        if len(shapes) > 1:
            raise DataError(f"task '{self.name}': cases differ in (spatial axes, channels): {sorted(shapes)}")
        kinds = {case.kind for case in self.cases}
        if len(kinds) > 1:
            raise DataError(f"task '{self.name}': cases are of several kinds: {', '.join(sorted(kinds))}; part them")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Subjects in order of first appearance."""
        return tuple(dict.fromkeys(case.subject for case in self.cases))

    @property
    def kind(self) -> Kind:
        """What its images are."""
        return self.cases[0].kind

    @property
    def n_classes(self) -> int:
        """Number of classes K, background included."""
        return len(self.class_names)

    @property
    def has_background(self) -> bool:
        """Whether class 0 is all that no structure shows; not so where every pixel belongs to a class of its own."""
        return self.class_names[0] == BACKGROUND

    @property
    def n_channels(self) -> int:
        """Channels of each image."""
        return int(self.cases[0].image.shape[0])

    @property
    def ndim(self) -> int:
        """Number of spatial axes of each case, 2 or 3."""
        return self.cases[0].ndim


def is_structure(label: NDArray[np.uint8], *, has_background: bool) -> NDArray[np.bool_]:
    """Where a label map shows any class but the background, class 0, if there is one; and is not ignored."""
    mask: NDArray[np.bool_] = label != IGNORE_LABEL
    return mask & (label != 0) if has_background else mask


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

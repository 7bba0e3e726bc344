"""What gradient descent learns from: images with their label maps, or the feature maps of images with these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medtrans.tasks import Kind


class Example(Protocol):
    """An image with its label map; a ``Case`` is one."""

    @property
    def image(self) -> NDArray[np.float32]:
        """Shape ``(channels, *cells)``."""

    @property
    def label(self) -> NDArray[np.uint8]:
        """Shape ``(*spatial)``; class indices, or ``IGNORE_LABEL``."""

    @property
    def kind(self) -> Kind:
        """What the image is."""


class Examples(Protocol):
    """Some of them; a ``Task`` is one."""

    @property
    def cases(self) -> Sequence[Example]:
        """At least one."""

    @property
    def has_background(self) -> bool:
        """Whether class 0 is all that no structure shows."""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The features of an image; coarser than the label map, which has the size that the map covers, or equal to it."""

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    kind: Kind


@dataclass(frozen=True)
class FeatureMaps:
    """The feature maps of a task's images."""

    cases: tuple[FeatureMap, ...]
    has_background: bool

"""What the network sees at each step: the batch of step t depends on (seed, t) alone, whatever went before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError
from medtrans.features.windows import WINDOW_3D, padded_shape, padded_to
from medtrans.learning.examples import Example, Examples
from medtrans.tasks import IGNORE_LABEL, is_structure

Box = tuple[slice, ...]


class Batch(NamedTuple):
    """Images float32, shape ``(B, channels, *spatial)``, and labels int64, shape ``(B, *spatial)``.

    Of cases whose image is a feature map coarser than their label map, images have that resolution.
    """

    images: torch.Tensor
    labels: torch.Tensor


class Batches:
    """The batches of one training: ``batches.at(step)``.

    Every second element, the first among them, is a case that shows the structure (see `is_structure`); the others are
    any case. Within each of the two halves no case comes twice before all came once. With patches, the first kind
    of element also holds a pixel of the structure; the others lie anywhere. 2D images are taken whole where
    ``patch_size`` is None.

    Images smaller than the largest of the batch, or than a multiple of ``divisor``, are padded at the end of each axis
    with zeros. Around a brain that is more air, so its label is 0: were it ignored, a network could take the rim of
    a larger image for whatever it likes, and does. Around a photograph there is nothing: ``IGNORE_LABEL``.

    Raises:
        TrainingError: no case shows the structure.
    """

    def __init__(self, task: Examples, training: TrainingSettings, *, divisor: int) -> None:
        self.cases = task.cases
        self.has_background = task.has_background
        self.training = training
        self.divisor = divisor
        self.with_structure = [i for i in range(len(self.cases)) if self._structure(i).any()]
        if not self.with_structure:
            raise TrainingError(
                f"none of the {len(self.cases)} cases shows the structure to learn; "
                "add a labelled case or another slice that does"
            )

    def at(self, step: int) -> Batch:
        """The batch of this step, on the CPU."""
        rng = np.random.default_rng((self.training.seed, step))
        pairs = [self._cut(i, rng, structure) for i, structure in self._draw(rng)]
        cells = self._padded_shape([image.shape[1:] for image, _ in pairs])
        shape = self._padded_shape([label.shape for _, label in pairs])
        coarse = any(image.shape[1:] != label.shape for image, label in pairs)
        images = np.stack([padded_to(image, cells, None if coarse else 0) for image, _ in pairs])
        outside = 0 if self.cases[0].kind == "scan" else IGNORE_LABEL
        labels = np.stack([padded_to(label, shape, outside) for _, label in pairs])
        if self.training.augment:
            images, labels = augment(images, labels, left_right_axis(self.cases[0]), rng)
        return Batch(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))

    def _draw(self, rng: np.random.Generator) -> list[tuple[int, bool]]:
        """Indices of cases, and whether the structure is wanted in the patch."""
        size = self.training.batch_size
        n_with_structure = (size + 1) // 2
        with_structure = _shuffled(self.with_structure, n_with_structure, rng)
        anything = _shuffled(range(len(self.cases)), size - n_with_structure, rng)
        return [(i, True) for i in with_structure] + [(i, False) for i in anything]

    def _cut(
        self, index: int, rng: np.random.Generator, structure: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        case = self.cases[index]
        if self._patch_shape is None:
            return case.image, case.label
        position = self._some_pixel_of_structure(index, rng) if structure else None
        box = random_box(case.label.shape, self._patch_shape, rng, around=position)
        return case.image[(slice(None), *box)], case.label[box]

    def _some_pixel_of_structure(self, index: int, rng: np.random.Generator) -> tuple[int, ...]:
        pixels = self._structure_pixels[index]
        return tuple(int(i) for i in np.unravel_index(rng.choice(pixels), self.cases[index].label.shape))

    @cached_property
    def _structure_pixels(self) -> dict[int, NDArray[np.int64]]:
        """Flat indices of the structure's pixels, by case; needed for patches only."""
        return {i: np.flatnonzero(self._structure(i)) for i in self.with_structure}

    def _structure(self, index: int) -> NDArray[np.bool_]:
        return is_structure(self.cases[index].label, has_background=self.has_background)

    @cached_property
    def _patch_shape(self) -> tuple[int, ...] | None:
        ndim, size = self.cases[0].label.ndim, self.training.patch_size
        if size is None:
            return (WINDOW_3D,) * ndim if ndim == 3 else None
        shape = (size,) * ndim if isinstance(size, int) else tuple(size)
        if len(shape) != ndim:
            raise TrainingError(
                f"patch_size {shape}: {len(shape)} sizes for {ndim} axes; give one size, or one per axis"
            )
        return shape

    def _padded_shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        return padded_shape([max(sizes) for sizes in zip(*shapes, strict=True)], self.divisor)


def random_box(
    shape: tuple[int, ...], patch: tuple[int, ...], rng: np.random.Generator, *, around: tuple[int, ...] | None
) -> Box:
    """A patch inside an image, uniform among those that hold the pixel ``around``; a shorter axis is taken whole."""
    box = []
    for axis, (size, wanted) in enumerate(zip(shape, patch, strict=True)):
        last = max(size - wanted, 0)
        first = 0
        if around is not None:
            first, last = max(around[axis] - wanted + 1, 0), min(around[axis], last)
        start = int(rng.integers(first, last + 1))
        box.append(slice(start, min(start + wanted, size)))
    return tuple(box)


def augment(
    images: NDArray[np.float32], labels: NDArray[np.uint8], flip_axis: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Change each element by chance: left and right exchanged in half of them; intensities scaled, shifted, with noise.

    Intensities are z-scores: the scale is uniform in 0.9 to 1.1, the shift in -0.1 to 0.1, the standard deviation of
    the noise in 0 to 0.1. Pixels that are exactly 0 are background and stay so. ``flip_axis`` counts spatial axes.
    """
    mirrored = rng.random(len(images)) < 0.5
    images[mirrored] = np.flip(images[mirrored], axis=flip_axis + 2)
    labels[mirrored] = np.flip(labels[mirrored], axis=flip_axis + 1)
    per_element = (len(images),) + (1,) * (images.ndim - 1)
    scale, shift, noise = (
        rng.uniform(low, high, per_element).astype(np.float32) for low, high in ((0.9, 1.1), (-0.1, 0.1), (0.0, 0.1))
    )
    changed = images * scale + shift + noise * rng.standard_normal(images.shape, dtype=np.float32)
    return np.where(images != 0, changed, np.float32(0)), labels


def left_right_axis(case: Example) -> int:
    """The spatial axis from left to right: the first of volumes and their slices, the last (columns) of photographs."""
    return 0 if case.kind == "scan" else 1


def _shuffled(items: Sequence[int], n: int, rng: np.random.Generator) -> list[int]:
    """So many of the items in random order, each as often as any other, give or take one."""
    rounds = -(-n // len(items))
    return [items[i] for _ in range(rounds) for i in rng.permutation(len(items))][:n]

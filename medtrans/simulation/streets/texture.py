"""Noise that textures are made of."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from medtrans.simulation.streets.camera import Floats

SIDE = 256  # samples along each side of the tile


@cache
def tile() -> Floats:
    """Fractal noise, float32 (SIDE, SIDE) with mean 0 and standard deviation 1 that repeats without a seam.

    Its power falls as frequency^-2.4, between white noise and clouds. It is the same in every image; where a surface
    reads it differs.
    """
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(np.random.default_rng(0).standard_normal((SIDE, SIDE)))
    field = np.fft.irfft2(white * frequency**-1.2, s=(SIDE, SIDE))
    return np.asarray(field / field.std(), dtype=np.float32)


def noise(a: Floats, b: Floats, sample_m: float) -> Floats:
    """The tile at positions (a, b) in metres, its samples ``sample_m`` apart; nearest sample, arrays broadcast."""
    i, j = (np.floor(axis * np.float32(1 / sample_m)).astype(np.int32) & (SIDE - 1) for axis in (a, b))
    return np.asarray(tile()[i, j])


def hashed(*keys: NDArray[np.int32]) -> Floats:
    """A number in [0, 1) for each tuple of integers, the same for the same tuple and without pattern to the eye."""
    mixed = np.zeros(np.broadcast_shapes(*(key.shape for key in keys)), dtype=np.uint32)
    for key in keys:
        mixed = (mixed ^ key.astype(np.uint32)) * np.uint32(2654435761)
        mixed ^= mixed >> np.uint32(15)
    return np.asarray((mixed & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65536))

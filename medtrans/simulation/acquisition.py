"""From tissue fractions to an image: mixing, coil, resolution, noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medtrans.simulation.anatomy import Floats, Grid, smooth_field
from medtrans.simulation.contrast import Sequence, Tissue
from medtrans.simulation.sites import Site

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def mixed_signal(fractions: Mapping[str, Floats], tissues: Mapping[str, Tissue], sequence: Sequence) -> Floats:
    """Partial volume: S = sum_t f_t S_t, with the sign of each tissue's signal; float32."""
    parts = [np.float32(sequence.signal(tissues[name])) * fraction for name, fraction in fractions.items()]
    return np.asarray(sum(parts), dtype=np.float32)


def tissue_texture(grid: Grid, rng: np.random.Generator) -> Floats:
    """How water varies within one tissue of one head: 1 + 0.12 u, u a smooth field in [-1, 1] that varies over 8 mm.

    It belongs to the subject, so every contrast shows it. Its standard deviation is about 2 %.
    """
    return np.asarray(1 + np.float32(0.12) * smooth_field(grid, 8.0, rng), dtype=np.float32)


def bias_field(grid: Grid, strength: float, rng: np.random.Generator) -> Floats:
    """Receive sensitivity of the coil: exp(strength u), u a smooth field in [-1, 1] that varies over 80 mm."""
    return np.asarray(np.exp(np.float32(strength) * smooth_field(grid, 80.0, rng)), dtype=np.float32)


def blurred(signal: Floats, brain: NDArray[np.bool_], grid: Grid, resolution_mm: tuple[float, float, float]) -> Floats:
    """The signal at the scanner's resolution, a Gaussian of that full width at half maximum.

    The blur that the grid already has is taken off, and the average is over the brain only, so that the empty
    background does not darken the brain's edge.
    """
    extra = [max(0.0, width**2 - grid.spacing_mm**2) ** 0.5 for width in resolution_mm]
    sigma = [width / FWHM_PER_SIGMA / grid.spacing_mm for width in extra]
    if not any(sigma):
        return signal
    inside = brain.astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(inside, sigma, truncate=3), np.float32(1e-3))
    return np.asarray(ndimage.gaussian_filter(signal * inside, sigma, truncate=3) / weight, dtype=np.float32)


def rician(signal: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    """Magnitude of a complex image with noise in both channels.

    M = sqrt((S + n1)^2 + n2^2), n1 and n2 normal with standard deviation ``sigma``: never negative, with mean
    sigma sqrt(pi / 2) where there is no signal, and close to normal around S where S is much larger than sigma.
    Source: Gudbjartsson and Patz, Magnetic Resonance in Medicine 34:910, 1995.
    """
    noise = np.float32(sigma) * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    return np.asarray(np.hypot(signal + noise[0], noise[1]), dtype=np.float32)


def acquire(
    fractions: Mapping[str, Floats],
    brain: NDArray[np.bool_],
    tissues: Mapping[str, Tissue],
    sequence: Sequence,
    *,
    site: Site,
    grid: Grid,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """One image as the scanner stores it, skull stripped: int16, at least 1 inside the brain and exactly 0 outside.

    The noise is ``site.noise`` of the image's mean signal in the brain; the intensity scale is arbitrary, as in MRI.
    """
    signal = mixed_signal(fractions, tissues, sequence) * bias_field(grid, site.bias, rng)
    signal = blurred(signal, brain, grid, site.resolution_mm)
    mean = float(np.abs(signal[brain]).mean(dtype=np.float64))
    magnitude = rician(signal, site.noise * mean, rng)
    scale = site.gain * rng.uniform(0.8, 1.25) / mean
    stored = np.clip(np.rint(scale * magnitude), 1, np.iinfo(np.int16).max)
    return np.where(brain, stored, 0).astype(np.int16)

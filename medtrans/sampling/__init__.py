"""Which pixels to look at: near the edges of a segmentation, or anywhere; and a share of them outside the body.

Transferability is decided where classes meet, so the boundary sampler draws from a band around the edges whose width
is given in millimetres, or in pixels of a photograph. Every subject gives the same number of pixels; on request, every
class of every subject does.
"""

from medtrans.sampling.candidates import (
    Candidates,
    Weighting,
    boundary_candidates,
    outside_candidates,
    uniform_candidates,
)
from medtrans.sampling.edges import edge_distance_mm
from medtrans.sampling.pixels import Kind, PixelSample, sample_pixels
from medtrans.sampling.whole import WHOLE_PIXELS, WholeImages, whole_images

__all__ = [
    "WHOLE_PIXELS",
    "Candidates",
    "Kind",
    "PixelSample",
    "Weighting",
    "WholeImages",
    "boundary_candidates",
    "edge_distance_mm",
    "outside_candidates",
    "sample_pixels",
    "uniform_candidates",
    "whole_images",
]

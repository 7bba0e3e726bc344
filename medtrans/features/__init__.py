"""What a network says about images: at sampled pixels, window by window."""

from __future__ import annotations

from medtrans.features.pixels import PixelFeatures, extract_features
from medtrans.features.windows import WINDOW_3D, Pixels

__all__ = ["WINDOW_3D", "PixelFeatures", "Pixels", "extract_features"]

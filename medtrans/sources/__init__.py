"""Trained models on disk: bundles, what they tell about their training data, and pools of them."""

from __future__ import annotations

from medtrans.sources.bundle import Activation, Source, read_bundle, write_bundle
from medtrans.sources.pool import Pool
from medtrans.sources.signature import Signature

__all__ = ["Activation", "Pool", "Signature", "Source", "read_bundle", "write_bundle"]

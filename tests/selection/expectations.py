"""Fits of the expected accuracy with round numbers."""

from __future__ import annotations

from datetime import date
from typing import Any

from medtrans.config import SCORING, SamplerSettings
from medtrans.selection.expectation import Expectation


def mode_fit(mode: str = "head", **changes: Any) -> dict[str, Any]:
    """Logit of the accuracy = 0.5 + that of the probe Dice, give or take 1."""
    feature = {"name": "probe_dice", "logit": True, "coefficient": 1.0}
    return {
        "mode": mode, "features": [feature], "intercept": 0.5, "margin": 1.0, "left_out": "structures",
        "coverage": 0.91, "spearman": 0.6, "regret": 0.02, "error": 0.08, "level_error": 0.05,
        "n_clusters": 7, "n_targets": 28, "n_pairs": 532,
    } | changes  # fmt: skip


def expectation(*fits: dict[str, Any], **changes: Any) -> Expectation:
    values = {
        "scoring": SCORING, "studies": ["nichart"], "made": date(2026, 11, 26), "domains": ["site-a"],
        "sampler": SamplerSettings(), "n_people": 6, "n_sources": 20, "fits": fits or (mode_fit(),),
    }  # fmt: skip
    return Expectation.model_validate(values | changes)

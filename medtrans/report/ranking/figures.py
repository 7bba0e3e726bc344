"""Figures of the HTML page, as numbers and small PNGs that the template draws; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colors, image
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from medtrans.selection import Ranking, SampledSlice, SourceScore
from medtrans.tasks import IGNORE_LABEL

CLASS_COLOURS = (
    *("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442", "#0072b2"),
    *("#8c2d04", "#6a3d9a", "#b2df8a", "#fb9a99", "#00e5c8", "#a6761d", "#e31a1c", "#3b528b", "#ffff99", "#c51b7d"),
    *("#00441b", "#fdbf6f"),
)
"""Colours of the classes 0, 1 .., then again from the first.

The first seven are Okabe and Ito's, which colour-blind readers tell apart; with the others, the 19 classes of street
scenes differ.
"""


@dataclass(frozen=True)
class ScoreRow:
    """One source in a score plot; lengths are percent of the plot's width."""

    score: SourceScore
    mean: float
    low: float
    high: float
    dots: tuple[float, ...]


@dataclass(frozen=True)
class ScorePlot:
    """All sources by one metric on one axis: ticks (position in percent, text) and rows, best first."""

    metric: str
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[ScoreRow, ...]


def score_plot(ranking: Ranking, metric: str) -> ScorePlot:
    """Mean, mean ± spread and every repetition's value of each source, scaled to the metric's own range."""
    scores = ranking.by(metric)
    values = np.array([(*score.values, score.mean - score.spread, score.mean + score.spread) for score in scores])
    locator = MaxNLocator(nbins=4, min_n_ticks=3)
    ticks = np.asarray(locator.tick_values(values.min(), values.max()))
    low, high = float(ticks[0]), float(ticks[-1])

    def percent(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = (
        ScoreRow(
            score,
            percent(score.mean),
            percent(score.mean - score.spread),
            percent(score.mean + score.spread),
            tuple(percent(value) for value in score.values),
        )
        for score in scores
    )
    return ScorePlot(metric, tuple((percent(tick), f"{tick:.6g}") for tick in ticks.tolist()), tuple(rows))


@dataclass(frozen=True)
class SlicePictures:
    """The sampled slice as two PNGs in base64.

    Attributes:
        labelled: the slice with its labels tinted.
        sampled: the slice with the sampled pixels in the colours of their classes.
        aspect: height over width, in millimetres.
    """

    labelled: str
    sampled: str
    aspect: float


def slice_pictures(picture: SampledSlice) -> SlicePictures:
    """Draw a slice pixel for pixel; the page enlarges it."""
    grey = _grey(picture.image)
    palette = np.array([colors.to_rgb(CLASS_COLOURS[label % len(CLASS_COLOURS)]) for label in range(IGNORE_LABEL + 1)])
    tint = palette[picture.label]
    background = (picture.label == 0) & picture.has_background
    structure = ~(background | (picture.label == IGNORE_LABEL))[..., None]
    labelled = np.where(structure, 0.45 * grey + 0.55 * tint, grey)
    sampled = grey.copy()
    rows, columns = picture.position.T
    sampled[rows, columns] = tint[rows, columns]
    height, width = picture.label.shape
    aspect = height * picture.spacing_mm[0] / (width * picture.spacing_mm[1])
    return SlicePictures(_png(labelled), _png(sampled), aspect)


def sampled_counts(picture: SampledSlice, class_names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Colour, name and number of sampled pixels of each class on the slice."""
    rows, columns = picture.position.T
    counts = np.bincount(picture.label[rows, columns], minlength=len(class_names))
    return [
        (CLASS_COLOURS[i % len(CLASS_COLOURS)], name, int(counts[i])) for i, name in enumerate(class_names) if counts[i]
    ]


def _grey(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intensities as RGB in [0, 1], from the lowest to the 99.5th percentile; what is exactly 0 lies outside: black."""
    low, high = float(values.min()), float(np.percentile(values, 99.5))
    scaled = np.where(values == 0, 0, np.clip((values - low) / max(high - low, 1e-6), 0, 1))
    return np.repeat(scaled[..., None].astype(np.float64), 3, axis=-1)


def _png(pixels: NDArray[np.float64]) -> str:
    file = io.BytesIO()
    image.imsave(file, pixels, format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")

"""What a ranking tells: scores, spread, what was dropped or is missing and why, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError, did_you_mean
from medtrans.selection.evidence import Evidence
from medtrans.selection.expectation import Estimate, Expectation
from medtrans.selection.filters import Dropped
from medtrans.tasks import TaskName

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SourceScore:
    """One source by one metric, over K repeated samples of pixels. Higher is better.

    Attributes:
        source: the source's name.
        metric: the metric's name.
        values: one value per repetition.
        mean: their mean, which the rank follows.
        spread: their standard deviation (ddof = 1); 0 for a single repetition.
        first_share: the part of the repetitions in which this source came first, in [0, 1]; sources that tie for the
            first place share it equally.
        rank: 1 is the best; sources of equal mean share the smaller rank.
        tied: whether another source shares the rank.
    """

    source: str
    metric: str
    values: tuple[float, ...]
    mean: float
    spread: float
    first_share: float
    rank: int
    tied: bool

    @property
    def place(self) -> str:
        """The rank as people write it: ``1``, or ``1=`` for a tie."""
        return f"{self.rank}=" if self.tied else str(self.rank)


@dataclass(frozen=True)
class Missing:
    """A score that cannot be had, and why."""

    source: str
    metric: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """What is needed to make the same ranking again. The seconds spent are told, but not compared."""

    seed: int
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: Mapping[str, float] = field(compare=False)


@dataclass(frozen=True, eq=False)
class SampledSlice:
    """A photograph or one slice of the target with the pixels sampled on it, turned as it is looked at: rows go down.

    Attributes:
        case: id of the case.
        image: float32, shape (height, width): the first channel.
        label: uint8, same shape.
        position: int64, shape (n, 2): the pixels of the first repetition that lie on this slice.
        spacing_mm: millimetres between pixels along both axes (1 for photographs).
        has_background: whether class 0 is background.
    """

    case: str
    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    position: NDArray[np.int64]
    spacing_mm: tuple[float, float]
    has_background: bool = True


@dataclass(frozen=True)
class Ranking:
    """The sources in order, by each metric, with the evidence.

    Attributes:
        target: the task that sources were ranked for.
        class_names: the target's classes.
        metrics: the metrics asked for, in that order; the first one answers where none is named.
        n_pixels: pixels in each repetition.
        scores: by metric, then by rank, then by name.
        dropped: sources that a filter dropped.
        missing: scores that could not be had.
        notes: what a reader should know, one sentence each.
        provenance: seed, settings, versions, seconds.
        picture: one slice of the target with its sampled pixels; it travels with the ranking but is not compared.
        evidence: what studies found about such rankings.
        expectation: the fit that the expected accuracy comes from; None: there is none.
        expected: by source, the expected accuracy after transfer, mode by mode.
    """

    target: TaskName
    class_names: tuple[str, ...]
    metrics: tuple[str, ...]
    n_pixels: int
    scores: tuple[SourceScore, ...]
    dropped: tuple[Dropped, ...]
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]
    provenance: Provenance
    picture: SampledSlice | None = field(default=None, compare=False, repr=False)
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)
    expectation: Expectation | None = field(default=None, repr=False)
    expected: Mapping[str, tuple[Estimate, ...]] = field(default_factory=dict)

    @property
    def expected_modes(self) -> tuple[str, ...]:
        """The modes of transfer in which some source has an expected accuracy."""
        return tuple(dict.fromkeys(it.mode for estimates in self.expected.values() for it in estimates))

    def expected_of(self, source: str, mode: str) -> Estimate | None:
        """The expected accuracy of a source after transfer in a mode; None where it cannot be told."""
        return next((it for it in self.expected.get(source, ()) if it.mode == mode), None)

    @property
    def repetitions(self) -> int:
        """Repeated samples of pixels, K."""
        return len(self.scores[0].values)

    @property
    def samples_differ(self) -> bool:
        """Whether repetition told anything: False for K = 1, and where the band holds no more than N pixels."""
        return any(score.spread > 0 for score in self.scores)

    @property
    def scored_metrics(self) -> tuple[str, ...]:
        """The metrics that have at least one score, in the order asked for."""
        found = {score.metric for score in self.scores}
        return tuple(name for name in self.metrics if name in found)

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that was not dropped: by the first metric's rank, then those it has no score for."""
        names = [score.source for metric in self.scored_metrics for score in self.by(metric)]
        return tuple(dict.fromkeys(names + [missing.source for missing in self.missing]))

    def by(self, metric: str | None = None) -> tuple[SourceScore, ...]:
        """The scores of one metric in order; of the first metric that has any, if none is named.

        Raises:
            MetricError: no source has a score by this metric.
        """
        metric = self.scored_metrics[0] if metric is None else metric
        found = tuple(score for score in self.scores if score.metric == metric)
        if not found:
            raise MetricError(
                f"no score by metric '{metric}' in this ranking; {did_you_mean(metric, self.scored_metrics)}"
            )
        return found

    def order(self, metric: str | None = None) -> list[str]:
        """Names of the sources, best first; ties in alphabetical order."""
        return [score.source for score in self.by(metric)]

    def best(self, metric: str | None = None) -> str:
        """Name of the best source; of several that tie, the first in alphabetical order."""
        return self.order(metric)[0]

    def to_frame(self) -> pd.DataFrame:
        """One row per source and metric: source, metric, rank, tied, mean, spread, first_share.

        Then for each of `expected_modes` the columns expected_head, expected_head_low, expected_head_high, or _full.
        """
        import pandas as pd

        columns = ["source", "metric", "rank", "tied", "mean", "spread", "first_share"]
        frame = pd.DataFrame([[getattr(score, name) for name in columns] for score in self.scores], columns=columns)
        for mode in self.expected_modes:
            found = [self.expected_of(source, mode) for source in frame["source"]]
            for end, name in (("", "value"), ("_low", "low"), ("_high", "high")):
                frame[f"expected_{mode}{end}"] = [np.nan if it is None else getattr(it, name) for it in found]
        return frame

    def __str__(self) -> str:
        """A plain text table, the answer, how much it matters, what was dropped, what is missing and the notes."""
        from medtrans.selection.text import plain_text

        return plain_text(self)


def scores_of_metric(metric: str, values: Mapping[str, Sequence[float]]) -> tuple[SourceScore, ...]:
    """Rank sources by the mean of their values, one value per source and repetition; best first, ties by name."""
    if not values:
        return ()
    names = sorted(values)
    table = np.array([values[name] for name in names], dtype=np.float64)  # (sources, repetitions)
    means = [mean(row) for row in table.tolist()]  # exact, so that equal values have no spread, and ties are ties
    spreads = [stdev(row) if len(row) > 1 else 0.0 for row in table.tolist()]
    first = table == table.max(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    ranks = [1 + sum(other > own for other in means) for own in means]
    scores = [
        SourceScore(
            source=name,
            metric=metric,
            values=tuple(table[i].tolist()),
            mean=means[i],
            spread=spreads[i],
            first_share=float(shares[i]),
            rank=ranks[i],
            tied=ranks.count(ranks[i]) > 1,
        )
        for i, name in enumerate(names)
    ]
    return tuple(sorted(scores, key=lambda score: score.rank))  # stable: ties stay in alphabetical order

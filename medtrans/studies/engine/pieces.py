"""The smallest things a study does: each is done once, is kept whole or not at all, and may be done again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medtrans.config import StudyJob

Kind = Literal["train", "filter", "score", "transfer", "fuse"]

SCRATCH = "scratch"
"""The mode of a transfer without a source: a network trained on the target's labelled cases alone."""

UNTRAINED = "untrained"
"""The mode of another one: the head trained on a network with random weights, which shows what features are worth."""

NO_FILTER = "none"
"""What the ranking of all candidates is called beside those that a filter leaves."""

MODES = ("head", "full")
"""Ways to transfer a source: retrain the head on frozen features, or fine-tune all."""

FUSED = " + "
"""Between the sorted names of the sources of a fusion."""


@dataclass(frozen=True)
class Piece:
    """One training, one filtering, one scoring, one transfer or one fusion.

    Attributes:
        kind: ``train`` a source; ``filter`` all sources for a target; ``score`` a source on a target, by every sampler
            and metric; ``transfer`` a source to a target; ``fuse`` several sources for a target.
        sources: names; one for train, score and transfer, none for filter and modes without a source, two or more for
            fuse (sorted).
        target: name; empty for train.
        mode: ``head``, ``full``, ``scratch`` or ``untrained`` of a transfer; ``head`` or ``full`` of a fusion; else
            empty.
        seed: of a transfer or a fusion; else None.
    """

    kind: Kind
    sources: tuple[str, ...] = ()
    target: str = ""
    mode: str = ""
    seed: int | None = None

    @property
    def key(self) -> str:
        """What the piece is called in the store and in messages; unique within a study.

        >>> Piece("transfer", ("a/T1/GM",), "b/T2/WM", "head", 1).key
        'transfer a/T1/GM to b/T2/WM, head, seed 1'
        >>> Piece("transfer", (), "b/T2/WM", "scratch", 0).key
        'transfer nothing to b/T2/WM, scratch, seed 0'
        """
        if self.kind == "train":
            return f"train {self.sources[0]}"
        if self.kind == "filter":
            return f"filter sources for {self.target}"
        where = "on" if self.kind == "score" else "to"
        text = f"{self.kind} {FUSED.join(self.sources) or 'nothing'} {where} {self.target}"
        return text if self.kind == "score" else f"{text}, {self.mode}, seed {self.seed}"


def transfer_modes(job: StudyJob) -> tuple[str, ...]:
    """The ways in which sources are transferred."""
    return tuple(mode for mode in MODES if getattr(job.transfer, mode) is not None)


@dataclass(frozen=True)
class Outcome:
    """What a piece found.

    Attributes:
        rows: by table of the store (see ``store.TABLES``): rows in the order of the table's columns.
        seconds: spent on it, by the worker.
        parts: seconds by part of the work (data, features, a metric's name, training ...); for the report.
    """

    rows: Mapping[str, Sequence[tuple[Any, ...]]]
    seconds: float
    parts: Mapping[str, float]

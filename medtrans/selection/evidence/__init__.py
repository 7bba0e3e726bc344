"""What studies found about rankings, so that a ranking can say how much the choice matters.

The JSON files beside this module are the evidence that ships with medtrans, each written by a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from medtrans.agreement import why_no_interval
from medtrans.config import AccuracyMeasure, FilterSettings, SamplerSettings, Settings
from medtrans.selection.evidence.files import read_model

_REMEDY = "take the evidence.json that `medtrans study report` writes"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Share = Annotated[float, Field(ge=0, le=1)]
Gain = Annotated[float, Field(ge=-1, le=1)]

STATIC = "static order"
"""What a baseline is called: how good each source was on the study's other targets."""


class Finding(Settings):
    """What the first pick of one metric gave on the targets of a study, in the study's measure of accuracy.

    Attributes:
        metric: its name.
        mode: how sources were transferred.
        filters: that dropped sources before the pick; None: no filter.
        n_targets: tasks on which the metric could be judged; several draws of labelled people are one.
        n_people: on whom these were judged; None: not recorded.
        n_groups: of these targets that share no one, which is what an interval rests on; None: not recorded.
        gain: accuracy of the first pick minus the mean over all sources, mean over targets.
        gain_low, gain_high: its 95 % interval over targets (``medtrans.agreement.group_interval``); None: it has none.
        interval_over: what the intervals are over: targets that share no people, or the people of targets that do.
        baseline: the best of the study's baselines that need no label and no run of a model; None: not compared.
        ahead: mean over targets of the Spearman correlation with the truth minus that of the baseline; None likewise.
        ahead_low, ahead_high: its 95 % interval; None: it has none.
        pick_baseline: of these baselines, the one whose first pick gives most; None: not compared.
        pick_ahead: accuracy of the first pick minus that of this baseline's, mean over targets; None likewise.
        pick_ahead_low, pick_ahead_high: its 95 % interval; None: it has none.
        share_above_mean: of the targets, those on which the first pick was better than the mean.
        regret: accuracy of the best source minus that of the first pick, mean over targets.
        note: in what the metric was another one there than it is now; empty where it was not.
    """

    metric: Name
    mode: Literal["head", "full"]
    filters: FilterSettings | None
    n_targets: Annotated[int, Field(ge=3)]
    n_people: Annotated[int, Field(ge=1)] | None = None
    n_groups: Annotated[int, Field(ge=1)] | None = None
    gain: Gain
    gain_low: float | None = None
    gain_high: float | None = None
    interval_over: Literal["targets", "people"] = "targets"
    baseline: Name | None = None
    ahead: Annotated[float, Field(ge=-2, le=2)] | None = None
    ahead_low: float | None = None
    ahead_high: float | None = None
    pick_baseline: Name | None = None
    pick_ahead: Gain | None = None
    pick_ahead_low: float | None = None
    pick_ahead_high: float | None = None
    share_above_mean: Share
    regret: Share
    note: Annotated[str, Field(max_length=255), AfterValidator(_printable)] = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the gain's interval; one that does not know its people, of an earlier medtrans, is too narrow."""
        if self.gain_low is None or self.gain_high is None or self._why_none:
            return None
        return self.gain_low, self.gain_high

    @property
    def why_no_interval(self) -> str:
        """Why the gain has no interval, as half a sentence; empty where it has one."""
        if self.interval:
            return ""
        return self._why_none or "it was not kept"

    @property
    def is_useful(self) -> bool:
        """Whether the metric is shown to rank better than what needs no label and no run: the interval excludes 0."""
        return self.ahead_low is not None and self.ahead_low > 0

    @property
    def picks_better(self) -> bool:
        """Whether its first picks are shown to give more than those of what needs no label and no run."""
        return self.pick_ahead_low is not None and self.pick_ahead_low > 0

    @property
    def _why_none(self) -> str:
        return "" if self.interval_over == "people" else why_no_interval(self.n_people, self.n_groups)


class Evidence(Settings):
    """The findings of one study.

    Attributes:
        version: of this format.
        study: name of the study.
        began: the day it began.
        domains: of its targets.
        photographs: whether its images were photographs; otherwise scans.
        n_sources, n_targets, n_seeds: its size.
        sampler: which pixels its metrics looked at.
        measure: of accuracy.
        findings: by mode, metric and filter.
        versions: of the packages it ran with.
    """

    version: Literal[1] = 1
    study: Name
    began: date
    domains: tuple[Name, ...]
    photographs: bool = False
    n_sources: Annotated[int, Field(ge=1)]
    n_targets: Annotated[int, Field(ge=1)]
    n_seeds: Annotated[int, Field(ge=1)]
    sampler: SamplerSettings
    measure: AccuracyMeasure = "dice"
    findings: tuple[Finding, ...]
    versions: dict[Name, Name]

    def about(self, metric: str, filters: Mapping[str, Any] | None) -> tuple[Finding, ...]:
        """The findings on a metric, one per mode: with filters of these settings, else without any."""
        found: dict[str, Finding] = {}
        for finding in sorted(self.findings, key=lambda finding: finding.filters is not None):
            if finding.metric == metric and finding.filters in (None, filters and FilterSettings(**filters)):
                found[finding.mode] = finding
        return tuple(found.values())


def read_evidence(path: str | Path) -> Evidence:
    """Read what a study wrote. Raises ConfigError for any file that is not that."""
    return read_model(Path(path), Evidence, "the evidence of a study", _REMEDY)


def shipped_evidence(*, photographs: bool) -> tuple[Evidence, ...]:
    """The evidence on such images that comes with medtrans, by name of the file; none if no study is shipped."""
    shipped = (read_evidence(path) for path in sorted(Path(__file__).parent.glob("*.json")))
    return tuple(found for found in shipped if found.photographs == photographs)

"""Everything a study found so far, as tables of targets x sources; and as files for other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path

import pandas as pd

from medtrans.config import MEASURE_NAMES, AccuracyMeasure, StudyJob
from medtrans.errors import StudyError, did_you_mean
from medtrans.studies.engine.pieces import MODES, NO_FILTER, SCRATCH, UNTRAINED, transfer_modes
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.people import People


@dataclass(frozen=True, eq=False)
class Results:
    """What a store held at one moment.

    Tables are targets (rows) x sources (columns), in the order of the job, all of them, NaN where nothing is known.

    Attributes:
        job: the study.
        frames: by table of the store (see ``store.TABLES``), "people" and "pieces".
        versions: of the packages that the numbers depend on.
        began: when the study began, in UTC.
    """

    job: StudyJob
    frames: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    began: str

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read a store, also while the study runs; StudyError if that cannot be."""
        with Store.read(path) as store:
            return cls(store.job, store.frames(), store.versions, store.began)

    @property
    def name(self) -> str:
        """The study is named after the folder of its output."""
        name = self.job.output.resolve().name
        return name if name and name.isprintable() else "study"

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """Names, in the order of the job."""
        return tuple(self.job.target_groups())

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names, in the order of the job."""
        return tuple(self.job.source_groups())

    @cached_property
    def people(self) -> People:
        """Who the targets are judged on."""
        return People.read(self.frames["people"])

    @property
    def modes(self) -> tuple[str, ...]:
        """Those of head and full that have results."""
        found = set(self.frames["transfers"]["mode"])
        return tuple(mode for mode in transfer_modes(self.job) if mode in found)

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names, in the order of the job."""
        return tuple(self.job.samplers)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names, in the order of the job."""
        return self.job.metric_labels

    @property
    def filters(self) -> tuple[str, ...]:
        """Names; "none" (no filter) comes first."""
        return (NO_FILTER, *self.job.filters)

    @property
    def measure(self) -> AccuracyMeasure:
        """The study's measure of accuracy."""
        return self.job.accuracy_measure

    @property
    def measure_name(self) -> str:
        """The study's measure as people write it: Dice, mIoU or pixel accuracy."""
        return MEASURE_NAMES[self.measure]

    def without(self, person: str) -> Results:
        """What the study would have found without a person of its tables of people, among those judged and labelled.

        Targets for which the person is labelled have no transfers then; the accuracy on the others is the mean over
        everyone else they are judged on (of mIoU, which is pooled over people, that is not quite the same measure).
        """
        labelled = self.frames["labelled"]
        dropped = set(labelled.loc[labelled["person"] == person, "target"])
        keys = ["target", "source", "mode", "seed"]
        others = self.frames["by_person"]
        others = others[(others["person"] != person) & ~others["target"].isin(dropped)]
        transfers = others.groupby(keys, as_index=False)[list(MEASURE_NAMES)].mean()
        return replace(self, frames={**self.frames, "transfers": transfers})

    def truth(self, mode: str, measure: AccuracyMeasure | None = None) -> pd.DataFrame:
        """Mean accuracy over the seeds, in [0, 1]; NaN where a seed is missing. None: by the study's measure."""
        return _mean(list(self.truth_by_seed(mode, measure).values()))

    def truth_by_seed(self, mode: str, measure: AccuracyMeasure | None = None) -> dict[int, pd.DataFrame]:
        """Accuracy after transfer with each seed, as `truth`; NaN where it is missing."""
        _check_known("mode", mode, MODES)
        column = self._column(measure)
        transfers = self.frames["transfers"]
        transfers = transfers[transfers["mode"] == mode]
        return {seed: self._table(transfers[transfers["seed"] == seed], column) for seed in self.job.seeds}

    def scratch(self, measure: AccuracyMeasure | None = None) -> pd.Series:
        """Mean accuracy over the seeds of training without a source, by target; only targets with all seeds."""
        return self._without_source(SCRATCH, measure)

    def untrained(self, measure: AccuracyMeasure | None = None) -> pd.Series:
        """The same of a head on a network with random weights."""
        return self._without_source(UNTRAINED, measure)

    def _without_source(self, mode: str, measure: AccuracyMeasure | None) -> pd.Series:
        transfers, column = self.frames["transfers"], self._column(measure)
        accuracy = transfers[transfers["mode"] == mode].pivot(index="target", columns="seed", values=column)
        by_seed = accuracy.reindex(index=list(self.targets), columns=list(self.job.seeds)).astype("float64")
        return by_seed.mean(axis=1, skipna=False).dropna().rename("accuracy")

    def scores(self, sampler: str, metric: str) -> pd.DataFrame:
        """Mean score over the repetitions, higher is better; NaN where it is missing."""
        _check_known("sampler", sampler, self.samplers)
        _check_known("metric", metric, self.metrics)
        means = self._mean_scores
        return self._table(means[(means["sampler"] == sampler) & (means["metric"] == metric)], "value")

    @cached_property
    def _mean_scores(self) -> pd.DataFrame:
        names = ["sampler", "metric", "target", "source"]
        return self.frames["scores"].groupby(names, sort=False)["value"].mean().reset_index()

    def kept(self, filter: str) -> pd.DataFrame:
        """Whether a filter leaves the source as a candidate; also where it said nothing. "none": all of them."""
        _check_known("filter", filter, self.filters)
        candidates = self.frames["candidates"]
        dropped = candidates[(candidates["filter"] == filter) & ~candidates["kept"]].assign(dropped=1.0)
        return self._table(dropped, "dropped").isna()

    def filtered(self, filter: str) -> frozenset[str]:
        """The targets for which a filter was run."""
        candidates = self.frames["candidates"]
        return frozenset(candidates.loc[candidates["filter"] == filter, "target"])

    def fusions(self, measure: AccuracyMeasure | None = None) -> pd.Series:
        """Mean accuracy over the seeds by (target, mode, sources); only fusions with all seeds."""
        accuracies = self.frames["fusions"].groupby(["target", "mode", "sources"])[self._column(measure)]
        return accuracies.mean()[accuracies.count() == len(self.job.seeds)].rename("accuracy")

    def _column(self, measure: str | None) -> str:
        """Where the store keeps a measure; None: the study's."""
        measure = measure or self.measure
        _check_known("measure", measure, tuple(MEASURE_NAMES))
        return measure

    def _table(self, rows: pd.DataFrame, values: str) -> pd.DataFrame:
        table = rows.pivot(index="target", columns="source", values=values)
        return table.reindex(index=list(self.targets), columns=list(self.sources)).astype("float64")


def _mean(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Cell by cell; NaN where one is."""
    return reduce(pd.DataFrame.add, tables) / len(tables)


def _check_known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise StudyError(f"unknown {what} '{name}' in this study; {did_you_mean(name, known)}")

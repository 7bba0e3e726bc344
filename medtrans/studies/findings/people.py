"""Who the targets of a study are judged on: targets that share people are not independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from medtrans.agreement import Interval, group_interval, replicate_interval, why_no_interval
from medtrans.agreement.intervals import FEWEST_GROUPS, Statistic, mean

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results

ENDS = ("", "_low", "_high")
"""What follows a column's name: the number itself, and the ends of its interval."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """A table as it would be without each person in turn, by person; empty where that is not known or not needed."""

    tables: Mapping[str, pd.DataFrame]

    @classmethod
    def of(cls, results: Results, make: Callable[[Results], pd.DataFrame]) -> Replicates:
        """Make a table anew without each person, where a study's targets share people and it knows each one's share."""
        people = results.people
        names = sorted(frozenset().union(*people.by_target.values())) if people.by_target else []
        n_groups = people.counts(list(people.by_target))[1] or 0
        if len(names) < FEWEST_GROUPS or n_groups >= FEWEST_GROUPS or results.frames["by_person"].empty:
            return cls({})
        return cls({name: make(results.without(name)) for name in names})

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Replicates:
        """With every table changed alike."""
        return Replicates({name: change(table) for name, table in self.tables.items()})

    def where(self, keys: Mapping[str, object]) -> Replicates:
        """The rows that have these values."""
        return self.map(lambda table: table[np.logical_and.reduce([table[key] == it for key, it in keys.items()])])


NO_REPLICATES = Replicates({})


@dataclass(frozen=True, eq=False)
class People:
    """The people whose images show what transfer to each target gave; a target that is not there: unknown."""

    by_target: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, frame: pd.DataFrame) -> People:
        """From the table "people" of a store."""
        return cls({str(target): frozenset(rows) for target, rows in frame.groupby("target")["person"]})

    def groups(self, targets: Sequence[str]) -> NDArray[np.intp] | None:
        """A number for each target, equal for those that share people, directly or by way of others among them.

        None: of some target it is not known.
        """
        names = list(targets)
        if not self.by_target.keys() >= set(names):
            return None
        numbers: NDArray[np.intp] = connected_components(self._shared.loc[names, names].to_numpy())[1]
        return numbers

    def counts(self, targets: Sequence[str]) -> tuple[int | None, int | None]:
        """How many people the targets are judged on, and in how many groups that share no one; None: unknown."""
        groups = self.groups(targets)
        if groups is None:
            return None, None
        return len(frozenset().union(*(self.by_target[target] for target in targets))), len(set(groups))

    def why_no_interval(self, targets: Sequence[str], replicates: Replicates = NO_REPLICATES) -> str:
        """Why a number over these targets has no interval, as half a sentence; empty where it can have one."""
        return why_no_interval(*self.counts(targets)) if len(targets) and not replicates.tables else ""

    def interval(
        self,
        table: pd.DataFrame,
        columns: Sequence[str],
        statistic: Statistic = mean,
        replicates: Replicates = NO_REPLICATES,
    ) -> Interval:
        """A statistic of columns over the targets that have all of them; ``target`` is one more of the table's.

        By groups of targets that share no people; else by ``replicates``, the table without each person.
        """
        names = list(columns)
        known = table.dropna(subset=names)
        if not replicates.tables:
            return group_interval(known[names], self.groups(known["target"].tolist()), statistic)
        estimate = group_interval(known[names], None, statistic).estimate
        rows = [it.dropna(subset=names)[names] for it in replicates.tables.values()]
        return replicate_interval(estimate, [group_interval(it, None, statistic).estimate for it in rows])

    @cached_property
    def _shared(self) -> pd.DataFrame:
        """Target x target: whether they share anyone."""
        names = list(self.by_target)
        shared = [[not self.by_target[a].isdisjoint(self.by_target[b]) for b in names] for a in names]
        return pd.DataFrame(shared, index=names, columns=names, dtype=bool)


def with_ends(name: str, interval: Interval) -> dict[str, float]:
    """A number and the ends of its interval as columns of a table."""
    return dict(zip([f"{name}{end}" for end in ENDS], (interval.estimate, interval.low, interval.high), strict=True))

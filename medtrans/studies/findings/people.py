"""Who the targets of a study are judged on: targets that share people are not independent of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from medtrans.agreement import Interval, group_interval, why_no_interval
from medtrans.agreement.intervals import Statistic, mean

ENDS = ("", "_low", "_high")
"""What follows a column's name: the number itself, and the ends of its interval."""


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

    def why_no_interval(self, targets: Sequence[str]) -> str:
        """Why a number over these targets has no interval, as half a sentence; empty where it can have one."""
        return why_no_interval(*self.counts(targets)) if len(targets) else ""

    def interval(self, table: pd.DataFrame, columns: Sequence[str], statistic: Statistic = mean) -> Interval:
        """A statistic of columns over the targets that have all of them; ``target`` is one more of the table's."""
        known = table.dropna(subset=list(columns))
        return group_interval(known[list(columns)], self.groups(known["target"].tolist()), statistic)

    @cached_property
    def _shared(self) -> pd.DataFrame:
        """Target x target: whether they share anyone."""
        names = list(self.by_target)
        shared = [[not self.by_target[a].isdisjoint(self.by_target[b]) for b in names] for a in names]
        return pd.DataFrame(shared, index=names, columns=names, dtype=bool)


def with_ends(name: str, interval: Interval) -> dict[str, float]:
    """A number and the ends of its interval as columns of a table."""
    return dict(zip([f"{name}{end}" for end in ENDS], (interval.estimate, interval.low, interval.high), strict=True))

"""The jackknife over people."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtrans.agreement import group_interval, replicate_interval


def test_for_the_mean_of_people_it_is_the_t_interval() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0, 3.0])
    without = [np.delete(values, i).mean() for i in range(5)]
    found = replicate_interval(values.mean(), without)
    margin = stats.t.ppf(0.975, 4) * values.std(ddof=1) / np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((values.mean() - margin, values.mean() + margin))
    groups = group_interval(values, range(5))  # each person a group
    assert (found.low, found.high) == pytest.approx((groups.low, groups.high))


@pytest.mark.parametrize("without", [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3, np.nan], []])
def test_few_people_or_a_statistic_without_value_have_none(without: list[float]) -> None:
    found = replicate_interval(0.2, without)
    assert found.estimate == 0.2
    assert np.isnan([found.low, found.high]).all()

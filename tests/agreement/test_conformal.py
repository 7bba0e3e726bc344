from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medtrans.agreement import cluster_quantile
from medtrans.errors import MetricError


def test_every_cluster_weighs_the_same_and_two_clusters_tell_little():
    # shares up to 1, 2, 3: 1/4, 1/2, 1; Student's t with two degrees of freedom has its p quantile at
    # (2 p - 1) / sqrt(2 p (1 - p)), which is sqrt(2 / 3) for p = 3/4
    found = cluster_quantile([2.0, 1.0, 3.0], ["a", "a", "b"], level=0.5)
    assert found == pytest.approx(2.0 * (2 / 3) ** 0.5 / stats.norm.ppf(0.75))
    assert cluster_quantile([2.0, 1.0, 3.0], ["a", "a", "b"], level=0.51) == pytest.approx(
        3.0 * stats.t.ppf(0.755, 2) / stats.norm.ppf(0.755)
    )


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=5), min_size=2, max_size=6), st.integers(2, 5))
def test_a_cluster_that_is_there_several_times_over_weighs_no_more(clusters, times):
    def quantile(repeats: int) -> float:
        grown = [clusters[0] * repeats, *clusters[1:]]
        return cluster_quantile(np.concatenate(grown), np.repeat(np.arange(len(grown)), [len(it) for it in grown]))

    assert quantile(times) == quantile(1)


@pytest.mark.parametrize("n_clusters", [4, 8, 16])
def test_it_covers_a_new_cluster(n_clusters):
    """Errors of a cluster correlate by 0.5; 400 sets of clusters, so the mean has a standard error of about 0.01."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        sizes = rng.integers(3, 30, n_clusters + 1)
        numbers = np.repeat(np.arange(n_clusters + 1), sizes)
        errors = np.abs(0.5**0.5 * (rng.normal(size=n_clusters + 1)[numbers] + rng.normal(size=len(numbers))))
        new = numbers == n_clusters
        covered.append((errors[new] <= cluster_quantile(errors[~new], numbers[~new])).mean())
    assert 0.88 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize(
    ("errors", "clusters", "said"),
    [([1.0, 2.0], [0, 0], "there are 1"), ([1.0, np.nan], [0, 1], "NaN"), ([], [], "there are 0")],
)
def test_what_tells_nothing_is_refused(errors, clusters, said):
    with pytest.raises(MetricError, match=said):
        cluster_quantile(errors, clusters)

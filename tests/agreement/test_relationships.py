from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster

from medtrans.agreement import cluster_sources, ordinal_affinities, pairwise_wins
from medtrans.errors import MetricError


def test_sources_with_the_same_profile_are_clustered_together() -> None:
    profiles = np.array([[0.9, 0.1, 10.0], [0.1, 0.9, 30.0]])
    scores = np.repeat(profiles, 3, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(6, 3))
    groups = fcluster(cluster_sources(scores), 2, "maxclust")
    assert len(set(groups[:3])) == len(set(groups[3:])) == 1
    assert groups[0] != groups[3]


def test_the_unit_of_a_target_does_not_matter_and_a_tied_target_counts_nothing() -> None:
    scores = np.random.default_rng(1).normal(size=(5, 3))
    tied = np.full((5, 1), 7.0)
    scaled = np.hstack([scores * [1, 1000, 0.01], tied])
    np.testing.assert_allclose(cluster_sources(scaled), cluster_sources(scores))


def test_pairwise_wins_by_hand() -> None:
    # over four images the first source wins two, ties one and loses one
    np.testing.assert_allclose(pairwise_wins([[1, 1, 1, 0], [0, 0, 1, 1]]), [[0.5, 0.625], [0.375, 0.5]])


def test_affinities_of_two_sources_are_their_wins() -> None:
    # W' = [[1, 3], [1/3, 1]] has the eigenvector (3, 1)
    np.testing.assert_allclose(ordinal_affinities([[1, 1, 1, 0], [0, 0, 0, 1]]), [0.75, 0.25])


def test_affinities_depend_on_order_only_and_stay_finite_when_one_source_always_wins() -> None:
    results = np.random.default_rng(2).random((4, 9))
    results[0] += 1
    affinities = ordinal_affinities(results)
    np.testing.assert_allclose(affinities, ordinal_affinities(np.exp(5 * results)))
    assert affinities.argmax() == 0
    assert affinities.sum() == pytest.approx(1)
    assert (affinities > 0).all()


@pytest.mark.parametrize("function", [cluster_sources, pairwise_wins, ordinal_affinities])
def test_wrong_tables_are_named(function) -> None:
    with pytest.raises(MetricError, match="two or more rows"):
        function([[1.0, 2.0]])
    with pytest.raises(MetricError, match="NaN"):
        function([[1.0, np.nan], [0.0, 1.0]])

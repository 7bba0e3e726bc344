from __future__ import annotations

import json
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrans.agreement import (
    dcg,
    footrule,
    kendall,
    ndcg,
    share_of_best,
    spearman,
    top_k_regret,
    weighted_kendall,
)
from medtrans.errors import MetricError

GOLDEN = {
    spearman: "spearman",
    kendall: "kendall_tau_b",
    weighted_kendall: "weighted_tau",
    footrule: "footrule_average",
    dcg: "dcg",
    ndcg: "ndcg",
    partial(dcg, first=3): "dcg_at_3",
    partial(ndcg, first=3): "ndcg_at_3",
}
ALL = [spearman, kendall, weighted_kendall, footrule, dcg, ndcg, top_k_regret, share_of_best]


def _rankings(shared_root: Path, group: str):
    expected = json.loads((shared_root / "golden/expected.json").read_text())[group]
    with np.load(shared_root / "golden/cases.npz") as cases:
        return [
            (name, cases[f"{group}/{name}/score"], cases[f"{group}/{name}/truth"], expected[name]) for name in expected
        ]


def test_measures_equal_the_golden_numbers(shared_root: Path) -> None:
    for name, scores, truth, expected in _rankings(shared_root, "rankings"):
        for measure, key in GOLDEN.items():
            assert measure(scores, truth) == pytest.approx(expected[key], rel=1e-10, abs=1e-12), (name, key)


def test_golden_probes_give_a_number_or_an_error(shared_root: Path) -> None:
    for name, scores, truth, expected in _rankings(shared_root, "ranking_probes"):
        for measure in ALL:
            try:
                value = measure(scores, truth)
            except MetricError as error:
                assert "\n" not in str(error)
            else:
                assert np.isfinite(value), (name, measure)
        for measure, key in ((spearman, "spearmanr"), (kendall, "kendalltau"), (weighted_kendall, "weightedtau")):
            number = expected[f"scipy.stats.{key}"]
            if number == "nan" or name == "nan_score":
                with pytest.raises(MetricError):
                    measure(scores, truth)
            else:
                assert measure(scores, truth) == pytest.approx(number, rel=1e-10)


def test_footrule_by_hand() -> None:
    # by score: c a b d; by truth: a b c d; displacement 1 + 1 + 2 + 0
    scores, truth = [3, 2, 4, 1], [0.9, 0.8, 0.7, 0.1]
    assert footrule(scores, truth) == 4
    assert footrule(scores, truth, first=1) == 2  # c: own rank 1, true rank 3
    assert footrule(scores, truth, first=2) == 3  # and a: own rank 2, true rank 1
    assert footrule([1, 2, 3, 4], [4, 3, 2, 1]) == 4**2 // 2


def test_a_tie_at_the_border_shares_the_places_that_are_left() -> None:
    # b and c tie for places 2 and 3: rank 2.5 each, true ranks 2 and 3; half of each is among the first two
    assert footrule([3, 2, 2, 1], [4, 3, 2, 1], first=2) == pytest.approx(0 + 0.5 * 0.5 + 0.5 * 0.5)


def test_regret_and_share_by_hand() -> None:
    scores, truth = [0.1, 0.9, 0.5], [0.8, 0.6, 0.7]
    assert top_k_regret(scores, truth) == pytest.approx(0.2)
    assert top_k_regret(scores, truth, k=2) == pytest.approx(0.1)
    assert top_k_regret(scores, truth, k=3) == 0
    assert share_of_best(scores, truth) == pytest.approx(0.6 / 0.8)
    assert top_k_regret([1, 1, 1], truth) == pytest.approx(0.1)  # a guess: 0.8 minus the mean


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=6), st.data())
def test_ties_are_the_mean_over_all_orders(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    scores, truth = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    k = data.draw(st.integers(1, len(pairs)))
    orders = [order for order in permutations(range(len(pairs))) if (np.diff(scores[list(order)]) <= 0).all()]
    best = np.mean([truth[list(order[:k])].max() for order in orders])
    assert top_k_regret(scores, truth, k=k) == pytest.approx(truth.max() - best, abs=1e-12)
    gains = [np.sum(truth[list(order[:k])] / np.log2(np.arange(2, k + 2))) for order in orders]
    assert dcg(scores, truth, first=k) == pytest.approx(np.mean(gains), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9)), min_size=2, max_size=8), st.randoms())
def test_no_measure_depends_on_the_order_of_sources(pairs: list[tuple[int, int]], random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    for measure in [*ALL, partial(footrule, first=2), partial(top_k_regret, k=2)]:
        try:
            value = measure(*zip(*pairs, strict=True))
        except MetricError:
            with pytest.raises(MetricError):
                measure(*zip(*shuffled, strict=True))
        else:
            assert measure(*zip(*shuffled, strict=True)) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("measure", ALL)
def test_wrong_input_is_named(measure) -> None:
    with pytest.raises(MetricError, match="same sources"):
        measure([1, 2, 3], [1, 2])
    with pytest.raises(MetricError, match="scores: holds NaN"):
        measure([1, np.nan], [1, 2])
    with pytest.raises(MetricError, match="two or more sources"):
        measure([1], [1])


def test_measures_without_a_value_say_why() -> None:
    with pytest.raises(MetricError, match="scores: all sources are tied"):
        spearman([1, 1, 1], [1, 2, 3])
    with pytest.raises(MetricError, match="negative"):
        ndcg([1, 2], [-1, 1])
    with pytest.raises(MetricError, match="zero for every source"):
        ndcg([1, 2], [0, 0])
    with pytest.raises(MetricError, match="choose 1 to 2"):
        footrule([1, 2], [1, 2], first=0)

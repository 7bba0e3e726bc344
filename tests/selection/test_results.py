from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.errors import MetricError
from medtrans.selection import Dropped, Missing, Provenance, Ranking
from medtrans.selection.results import scores_of_metric
from medtrans.tasks import TaskName


def ranking(*, seconds: float = 1.0) -> Ranking:
    h_score = {"b": [0.5, 0.7], "a": [0.6, 0.6], "c": [0.1, 0.3]}
    return Ranking(
        target=TaskName("here", "FLAIR", "lesion"),
        class_names=("background", "lesion"),
        metrics=("leep", "h_score", "otce_sim"),
        n_pixels=100,
        scores=scores_of_metric("h_score", h_score) + scores_of_metric("otce_sim", {"c": [-0.2, -0.4]}),
        dropped=(Dropped("d", "It is a drawing."),),
        missing=(Missing("e", "h_score", "it has no weights"),),
        notes=("Mind the gap.",),
        provenance=Provenance(0, {}, {}, {"features": seconds}),
    )


def test_mean_spread_and_share_of_first_places():
    first, second, third = scores_of_metric("m", {"x": [1, 4, 1, 4], "y": [2, 2, 2, 2], "z": [0, 0, 0, 2]})
    assert (first.source, first.mean, first.rank, first.place) == ("x", 2.5, 1, "1")
    assert first.spread == pytest.approx(3**0.5)  # deviations of 1.5 four times: 9 / (4 - 1)
    assert (second.source, second.spread, second.rank) == ("y", 0, 2)
    assert [score.first_share for score in (first, second, third)] == [0.5, 0.5, 0]


def test_sources_that_tie_for_a_first_place_share_it():
    first, second, third = scores_of_metric("m", {"x": [1, 1], "y": [1, 0], "z": [1, 0]})
    assert first.first_share == pytest.approx((1 / 3 + 1) / 2)
    assert second.first_share == third.first_share == pytest.approx(1 / 6)


def test_equal_means_share_the_smaller_rank_and_are_marked():
    scores = scores_of_metric("m", {"b": [1, 3], "a": [3, 1], "c": [0, 0], "d": [0, 0], "e": [-1, -1]})
    assert [(score.source, score.place) for score in scores] == [
        ("a", "1="), ("b", "1="), ("c", "3="), ("d", "3="), ("e", "5"),
    ]  # fmt: skip


@given(st.floats(-1e3, 1e3), st.integers(2, 12))
def test_equal_values_have_no_spread_and_are_their_own_mean(value, repetitions):
    (score,) = scores_of_metric("m", {"a": [value] * repetitions})
    assert (score.mean, score.spread) == (value, 0)


def test_one_repetition_has_no_spread():
    (score,) = scores_of_metric("m", {"a": [0.25]})
    assert (score.spread, score.first_share) == (0, 1)


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1)
)
def test_shares_sum_to_one_and_ranks_follow_means(values):
    scores = scores_of_metric("m", values)
    assert sum(score.first_share for score in scores) == pytest.approx(1)
    means = [score.mean for score in scores]
    assert means == sorted(means, reverse=True)
    assert all(score.rank == 1 + sum(mean > score.mean for mean in means) for score in scores)


def test_the_first_metric_that_has_scores_gives_the_order():
    assert ranking().scored_metrics == ("h_score", "otce_sim")
    assert ranking().order() == ["a", "b", "c"]
    assert ranking().best() == "a"
    assert ranking().best("otce_sim") == "c"
    assert ranking().sources == ("a", "b", "c", "e")


def test_an_unknown_metric_is_an_error_with_the_nearest_name():
    with pytest.raises(MetricError, match=r"h_scor.*did you mean 'h_score'"):
        ranking().order("h_scor")


def test_rankings_compare_by_what_they_say_not_by_how_long_they_took():
    assert ranking(seconds=1) == ranking(seconds=2)
    assert ranking() != dataclasses.replace(ranking(), notes=())


def test_frame_has_a_row_per_source_and_metric():
    frame = ranking().to_frame()
    assert list(frame.columns) == ["source", "metric", "rank", "tied", "mean", "spread", "first_share"]
    assert frame[frame.metric == "otce_sim"][["source", "rank"]].to_numpy().tolist() == [["c", 1]]
    assert len(frame) == 4


def test_text_tells_everything():
    lines = str(ranking()).splitlines()
    assert lines[0] == "here/FLAIR/lesion: 4 sources, 2 samples of 100 pixels"
    assert lines[2].split() == ["source", "h_score", "otce_sim"]
    assert lines[3].split() == ["a", "1=", "0.6000", "±", "0.0000", "50%", "-"]
    assert lines[4].split() == ["b", "1=", "0.6000", "±", "0.1414", "50%", "-"]
    assert "a and b share the first place for here/FLAIR/lesion by h_score; otce_sim puts c first." in lines
    assert "dropped: d: It is a drawing." in lines
    assert "no h_score for e: it has no weights" in lines
    assert "note: Mind the gap." in lines


def test_answer_names_winner_runner_up_and_how_sure():
    from medtrans.selection.text import answer

    scores = scores_of_metric("h_score", {"a": [3, 3, 1, 3], "b": [2, 2, 2, 2]})
    agreeing = scores_of_metric("leep", {"a": [-1] * 4, "b": [-2] * 4})
    told = answer(dataclasses.replace(ranking(), metrics=("h_score", "leep"), scores=scores + agreeing))
    assert told == (
        "a ranks first for here/FLAIR/lesion by h_score and wins 75% of 4 samples of pixels; next is b; leep agrees."
    )


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([[0.5, 0.5]], 4),  # 0.5000
        ([[123.4, 123.4]], 1),  # 123.4
        ([[12345.0, 12345.0]], 0),
        ([[0.6921, 0.69225]], 5),  # spread 0.00011
        ([[1e-9, 1e-9]], 6),
        ([[0.0, 0.0]], 0),
    ],
)
def test_numbers_show_four_digits_of_the_mean_and_two_of_the_spread(values, places):
    from medtrans.selection.text import decimals

    scores = scores_of_metric("m", {str(i): row for i, row in enumerate(values)})
    assert decimals(scores) == places


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0]])
def test_answer_claims_no_certainty_where_nothing_was_repeated(values):
    from medtrans.selection.text import answer

    scores = scores_of_metric("h_score", {"a": values})
    told = answer(dataclasses.replace(ranking(), metrics=("h_score",), scores=scores))
    assert "by h_score on the only sample of pixels, so how sure this is cannot be said" in told
    assert "100%" not in told

"""Truths of 3 targets x 4 sources, derived by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medtrans.studies.findings.ceiling import ceiling
from medtrans.studies.findings.compare import (
    agreement,
    agreement_table,
    ceiling_summary,
    ceiling_table,
    gain_first,
    share_of_ceiling,
    summary,
    summary_table,
)
from medtrans.studies.findings.results import Results

SOURCES = list("abcd")
ALL = pd.Series(True, index=SOURCES)
NAN = float("nan")


def series(*values: float) -> pd.Series:
    return pd.Series(values, index=SOURCES, dtype=float)


TRUTH = series(0.8, 0.6, 0.4, 0.2)


def test_the_true_order_agrees_and_the_reverse_one_does_not():
    best, worst = agreement(series(4, 3, 2, 1), TRUTH, ALL), agreement(series(1, 2, 3, 4), TRUTH, ALL)
    assert [best[name] for name in ("spearman", "kendall", "weighted_kendall", "share_of_best")] == pytest.approx(
        [1] * 4
    )
    assert (best["footrule"], best["regret"], best["note"]) == (0, 0, "")
    assert best["gain_first"] == pytest.approx(0.8 - 0.5)
    assert [worst[name] for name in ("spearman", "kendall")] == pytest.approx([-1, -1])
    # displacements of the picks d, c, b, a: 3, 1, 1, 3
    assert [worst[f"footrule_{k}"] for k in (1, 2, 3, 4)] == [3, 4, 5, 8]
    assert (worst["footrule"], worst["regret"]) == (8, pytest.approx(0.6))
    assert worst["share_of_best"] == pytest.approx(0.25)
    assert worst["gain_first"] == pytest.approx(0.2 - 0.5)


def test_a_first_place_that_is_shared_gains_what_is_to_be_expected():
    assert gain_first([2, 1, 1, 2], TRUTH) == pytest.approx((0.8 + 0.2) / 2 - 0.5)
    assert agreement(series(2, 1, 1, 2), TRUTH, ALL)["regret"] == pytest.approx(0.3)


def test_a_dropped_source_is_ranked_last_with_the_other_dropped_ones():
    # a, which is truly the best, and d are dropped: order b, c, then a and d at place 3.5 each; truth 1, 2, 3, 4
    kept = series(0, 1, 1, 0).astype(bool)
    row = agreement(series(4, 3, 2, 1), TRUTH, kept)
    assert (row["n_candidates"], row["n_dropped"], row["n_unscored"]) == (4, 2, 0)
    assert row["footrule"] == abs(3.5 - 1) + abs(1 - 2) + abs(2 - 3) + abs(3.5 - 4)
    assert row["footrule_1"] == 1
    assert row["regret"] == pytest.approx(0.2)
    assert row["gain_first"] == pytest.approx(0.6 - 0.5)  # over a random pick of all four


def test_a_source_without_a_score_is_ranked_last_however_low_the_others_are():
    row = agreement(series(NAN, -1e30, -2e30, -3e30), TRUTH, ALL)
    assert row["n_unscored"] == 1
    assert row["footrule"] == 3 + 1 + 1 + 1  # a is at place 4; b, c, d are each one too high


def test_a_source_without_a_truth_is_left_out():
    row = agreement(series(9, 3, 2, 1), series(NAN, 0.6, 0.4, 0.2), ALL)
    assert (row["n_candidates"], row["spearman"]) == (3, pytest.approx(1))
    assert np.isnan(row["footrule_4"])
    assert row["footrule_3"] == 0


@pytest.mark.parametrize(
    ("scores", "truth", "said"),
    [
        (series(4, 3, 2, 1), series(0.5, 0.4, NAN, NAN), "fewer than 3 candidates have a truth"),
        (series(NAN, NAN, NAN, NAN), TRUTH, "no candidate has a score"),
        (series(4, 3, NAN, NAN), TRUTH, "fewer than 3 candidates have a score"),
        (series(2, 2, 2, 2), TRUTH, "all scores tie"),
        (series(4, 3, 2, 1), series(0, 0, 0, 0), "the truth of all candidates ties"),
    ],
)
def test_without_agreement_there_is_a_reason_and_no_number(scores, truth, said):
    row = agreement(scores, truth, ALL, [truth])
    assert row["note"] == said
    assert all(np.isnan(row[name]) for name in ("spearman", "footrule", "regret", "gain_first", "spearman_one_seed"))


def test_agreement_with_single_seeds_is_their_mean():
    seeds = [series(0.8, 0.6, 0.4, 0.2), series(0.2, 0.4, 0.6, 0.8)]
    assert agreement(series(4, 3, 2, 1), TRUTH, ALL, seeds)["spearman_one_seed"] == pytest.approx((1 - 1) / 2)


def test_equal_seeds_have_a_ceiling_of_one_and_no_noise():
    row = ceiling(np.array([[0.8, 0.6, 0.4, 0.2]] * 2))
    assert [row[name] for name in ("between_seeds", "ceiling", "attainable")] == pytest.approx([1, 1, 1])
    assert (row["noise"], row["n_like_best"], row["share_of_close_pairs"]) == (0, 0, 0)
    assert row["gain_of_best"] == pytest.approx(0.3)
    assert row["spread"] == pytest.approx(np.sqrt((0.3**2 + 0.1**2) * 2 / 3))
    assert row["verdict"].startswith("the best source is clear")


def test_where_the_best_source_is_near_zero_nothing_transfers():
    row = ceiling(np.array([[0.09, 0.0, 0.01, 0.02]] * 2))
    assert (row["best"], row["ceiling"]) == pytest.approx((0.09, 1))
    assert row["verdict"] == "nothing transfers; the best source reaches 0.090, so the order means little"
    assert not ceiling(np.array([[0.1, 0.0, 0.01, 0.02]] * 2))["verdict"].startswith("nothing")


def test_what_a_seed_adds_to_every_source_is_no_noise():
    row = ceiling(np.array([[0.7, 0.5, 0.3], [0.8, 0.6, 0.4]]))
    assert row["noise"] == pytest.approx(0, abs=1e-9)


def test_noise_and_the_sources_within_it_by_hand():
    # Source means 0.8, 0.79, 0.5; seeds differ by +-0.01 in the first two, in opposite directions: residuals 0.01 four
    # times, so noise^2 = 4 * 0.01^2 / (1 * 2), and the error of a difference of means is noise * sqrt(2 / 2).
    row = ceiling(np.array([[0.81, 0.78, 0.5], [0.79, 0.80, 0.5]]))
    assert row["noise"] == row["standard_error"] == pytest.approx(0.01 * np.sqrt(2))
    assert row["n_like_best"] == 1
    assert row["share_of_close_pairs"] == pytest.approx(1 / 3)
    assert row["between_seeds"] == pytest.approx(0.5)  # ranks 1 2 3 and 2 1 3
    assert row["ceiling"] == pytest.approx(2 * 0.5 / 1.5)
    assert row["attainable"] == pytest.approx(np.sqrt(2 / 3))
    assert row["verdict"] == "1 of 2 other sources cannot be told from the best; differences below 0.028 are noise"


def test_the_ceiling_foretells_the_agreement_of_two_means():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=2000)
    seeds = quality + rng.normal(scale=1.0, size=(4, 2000))
    row = ceiling(seeds[:2])
    ranks = pd.DataFrame({"first": seeds[:2].mean(0), "second": seeds[2:].mean(0), "quality": quality})
    found = ranks.corr("spearman")
    assert row["ceiling"] == pytest.approx(found.loc["first", "second"], abs=0.03)
    assert row["attainable"] == pytest.approx(found.loc["first", "quality"], abs=0.03)
    assert row["noise"] == pytest.approx(1, abs=0.05)


def test_pure_noise_has_a_ceiling_near_zero_and_hardly_any_source_apart():
    row = ceiling(np.random.default_rng(1).normal(size=(2, 400)))
    assert abs(row["between_seeds"]) < 0.1
    assert 0 <= row["ceiling"] < 0.2
    assert row["share_of_close_pairs"] > 0.9
    assert row["noise"] == pytest.approx(1, abs=0.1)


def test_opposite_seeds_have_a_ceiling_of_zero_not_below():
    row = ceiling(np.array([[1.0, 2, 3, 4], [4.0, 3, 2, 1]]))
    assert (row["between_seeds"], row["ceiling"]) == (pytest.approx(-1), 0)
    assert row["verdict"].startswith("no source can be told from the best")


def test_a_ceiling_that_cannot_be_had_is_nan_and_says_why():
    one_seed, two_sources = ceiling(np.array([[0.8, 0.6, 0.4]])), ceiling(np.zeros((2, 2)))
    assert np.isnan([one_seed["ceiling"], one_seed["noise"], one_seed["n_like_best"], two_sources["ceiling"]]).all()
    assert one_seed["verdict"] == "one seed: how noisy the truth is cannot be said"
    assert two_sources["verdict"] == "2 sources have a truth: too few to compare"
    assert np.isnan(ceiling(np.array([[0.0, 0, 0], [0.1, 0.2, 0.3]]))["ceiling"])


def frame(name: str, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"mode": "head", "target": [str(i) for i in range(len(values))], name: values})


def test_share_of_ceiling_is_a_ratio_of_means_over_the_same_targets():
    found = share_of_ceiling(frame("spearman", [0.4, 0.8, 0.6, NAN]), frame("ceiling", [0.5, 1.0, 0.9, 0.1]))
    assert found["share_of_ceiling"] == pytest.approx(1.8 / 2.4)
    # of three targets, one resample in 27 holds only the third: more than the 2.5 % below the interval
    assert found["share_of_ceiling_low"] == pytest.approx(0.6 / 0.9)
    assert found["share_of_ceiling_high"] == pytest.approx(0.8)
    none = share_of_ceiling(frame("spearman", [0.4, 0.8, 0.6]), frame("ceiling", [0.0, 0.0, 0.0]))
    assert np.isnan(list(none.values())).all()


def test_tables_of_a_study(filled_store):
    """h_score ranks as the truth does; otce_sim the other way, without a score for a/T2/GM."""
    results = Results.read(filled_store)
    table = agreement_table(results)
    assert len(table) == 2 * 1 * 2 * 2 * 3  # modes, samplers, metrics, filters, targets
    row = table.set_index(["mode", "metric", "filter", "target"]).loc[("head", "otce_sim", "none", "b/T1/WM")]
    # order by otce_sim: a/T1/GM, a/T1/WM, b/T1/GM, then a/T2/GM; by truth: b/T1/GM, a/T2/GM, a/T1/WM, a/T1/GM
    assert row["footrule"] == 3 + 1 + 2 + 2
    assert row["spearman"] == pytest.approx(1 - 6 * (9 + 1 + 4 + 4) / (4 * 15))
    assert (row["n_candidates"], row["n_unscored"], row["n_dropped"]) == (4, 1, 0)
    assert row["gain_first"] == pytest.approx(-0.15)
    means = summary_table(results).set_index(["mode", "metric", "filter"])
    assert means.loc[("full", "h_score", "none"), "spearman"] == pytest.approx(1)
    assert means.loc[("full", "h_score", "none"), "share_of_ceiling"] == pytest.approx(1)
    gain = means.loc[("head", "h_score", "none")]
    assert gain["gain_first"] == pytest.approx((0.10 + 0.15 + 0.15) / 3)  # b/T1/GM is no source for itself
    assert [gain["gain_first_low"], gain["gain_first_high"]] == pytest.approx([0.10, 0.15])


def test_a_summary_counts_targets_without_agreement_and_says_why(filled_store):
    table, ceilings = agreement_table(results := Results.read(filled_store)), ceiling_table(results)
    lost = table["target"] == "b/T1/WM"
    table.loc[lost, ["note", "spearman"]] = ["all scores tie", np.nan]
    row = summary(table, ceilings).iloc[0]
    assert (row["n_targets"], row["n_without"], row["note"]) == (2, 1, "all scores tie")
    assert np.isnan(row["spearman_low"])  # two targets are too few for an interval


def test_ceilings_of_a_study_whose_seeds_differ_by_a_constant(filled_store):
    ceilings = ceiling_table(Results.read(filled_store))
    assert ceilings[["mode", "target"]].to_numpy().tolist() == [
        [mode, target] for mode in ("head", "full") for target in ("b/T1/GM", "b/T1/WM", "b/T2/WM")
    ]
    assert ceilings["ceiling"].to_numpy() == pytest.approx(1)
    assert ceilings["n_sources"].tolist() == [3, 4, 4] * 2
    means = ceiling_summary(ceilings).set_index("mode")
    assert means.loc["head", "gain_of_best"] == pytest.approx(0.4 / 3)
    assert means.loc["head", "n_unclear"] == 0


def test_a_filter_that_was_not_run_is_not_taken_for_one_that_drops_nothing(filled_store):
    results = Results.read(filled_store)
    candidates = results.frames["candidates"]
    without = candidates[candidates["target"] != "b/T1/WM"]
    partly = Results(results.job, {**results.frames, "candidates": without}, results.versions, results.began)
    table = agreement_table(partly)
    row = table[(table["target"] == "b/T1/WM") & (table["filter"] == "default") & (table["metric"] == "h_score")].iloc[
        0
    ]
    assert (row["note"], np.isnan(row["spearman"])) == ("the filter was not run", True)
    assert not table.loc[(table["target"] == "b/T1/WM") & (table["filter"] == "none"), "note"].any()

"""Truths of 3 targets x 4 sources, derived by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medtrans.studies.findings.ceiling import repeatability_table
from medtrans.studies.findings.compare import (
    agreement,
    agreement_table,
    gain_first,
    share_of_ceiling,
    summary,
    summary_table,
)
from medtrans.studies.findings.people import People
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


def test_share_of_ceiling_is_by_the_mean_correlation_of_the_same_targets():
    names = {"mode": "head", "target": list("abcde")}
    agreements = pd.DataFrame({**names, "spearman": [0.4, 0.8, 0.6, 0.2, NAN]})
    seeds = pd.DataFrame({**names, "between_seeds": [0.5, 1.0, 0.8, -0.3, 0.1], "n_seeds": 2})
    alone = People({name: frozenset({name}) for name in "abcde"})
    found = share_of_ceiling(agreements, seeds, alone)
    assert found.estimate == pytest.approx(0.5 / (2 * 0.5 / 1.5))
    assert found.low < found.estimate < found.high
    noise = share_of_ceiling(agreements, seeds.assign(between_seeds=0.0), alone)
    assert np.isnan([noise.estimate, noise.low, noise.high]).all()


def test_tables_of_a_study(filled_store):
    """h_score ranks as the truth does; otce_sim the other way, without a score for a/T2/GM."""
    results = Results.read(filled_store)
    table = agreement_table(results)
    assert len(table) == 2 * (1 * 2 * 2 + 3) * 3  # modes, (samplers, metrics, filters; baselines), targets
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
    assert np.isnan([gain["gain_first_low"], gain["gain_first_high"]]).all()
    assert gain["no_interval"] == "who was scanned is not recorded"


def test_a_summary_counts_targets_without_agreement_and_says_why(filled_store):
    table, truths = agreement_table(results := Results.read(filled_store)), repeatability_table(results)
    lost = table["target"] == "b/T1/WM"
    table.loc[lost, ["note", "spearman"]] = ["all scores tie", np.nan]
    row = summary(table, truths, People({name: frozenset({name}) for name in results.targets})).iloc[0]
    assert (row["n_targets"], row["n_without"], row["note"]) == (2, 1, "all scores tie")
    assert np.isnan(row["spearman_low"])
    assert row["no_interval"] == "only 2 groups of targets share no people, and it takes 4"


def test_means_have_an_interval_where_targets_share_no_people(filled_store):
    """The gains of four targets: 0.1, 0.15, 0.15 and once more 0.15, on people of their own."""
    results = Results.read(filled_store)
    tables = []
    for table in (agreement_table(results), repeatability_table(results)):
        again = table[table["target"] == "b/T2/WM"].assign(target="b/T3/WM")
        tables.append(pd.concat([table, again]))
    people = {name: frozenset({name}) for name in (*results.targets, "b/T3/WM")}
    means = summary(*tables, People(people)).set_index(["mode", "metric", "filter"])
    gain = means.loc[("head", "h_score", "none")]
    expected = stats.t.interval(0.95, 3, 0.1375, stats.sem([0.1, 0.15, 0.15, 0.15]))
    assert [gain["gain_first_low"], gain["gain_first_high"]] == pytest.approx(expected)
    assert gain["no_interval"] == ""
    shared = summary(*tables, People(people | {"b/T3/WM": people["b/T2/WM"]})).set_index(["mode", "metric", "filter"])
    assert np.isnan(shared.loc[("head", "h_score", "none"), "gain_first_low"])


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

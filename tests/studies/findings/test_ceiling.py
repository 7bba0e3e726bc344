"""What a study can reach, from truths of simple numbers and of pure noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from medtrans.studies.findings.ceiling import ceiling, ceiling_table, repeatability, repeatability_table
from medtrans.studies.findings.people import People
from medtrans.studies.findings.results import Results

ALONE = People({str(target): frozenset({str(target)}) for target in range(16)})
"""Sixteen targets, each judged on a person of its own."""


def table_of(studies: NDArray[np.float64]) -> pd.DataFrame:
    """`repeatability_table` of accuracies: shape (studies, targets, seeds, sources); every study is a mode."""
    return pd.DataFrame(
        {"mode": str(study), "target": str(target), **repeatability(accuracies), "between_draws": np.nan}
        for study, targets in enumerate(studies)
        for target, accuracies in enumerate(targets)
    )


def test_equal_seeds_agree_and_have_no_noise():
    row = repeatability(np.array([[0.8, 0.6, 0.4, 0.2]] * 2))
    assert (row["between_seeds"], ceiling(1, 2)) == pytest.approx((1, 1))
    assert (row["noise"], row["n_like_best"], row["share_of_close_pairs"]) == (0, 0, 0)
    assert row["gain_of_best"] == pytest.approx(0.3)
    assert row["spread"] == pytest.approx(np.sqrt((0.3**2 + 0.1**2) * 2 / 3))
    assert row["verdict"].startswith("the best source is clear")


def test_where_the_best_source_is_near_zero_nothing_transfers():
    row = repeatability(np.array([[0.09, 0.0, 0.01, 0.02]] * 2))
    assert (row["best"], row["between_seeds"]) == pytest.approx((0.09, 1))
    assert row["verdict"] == "nothing transfers; the best source reaches 0.090, so the order means little"
    assert not repeatability(np.array([[0.1, 0.0, 0.01, 0.02]] * 2))["verdict"].startswith("nothing")


def test_what_a_seed_adds_to_every_source_is_no_noise():
    row = repeatability(np.array([[0.7, 0.5, 0.3], [0.8, 0.6, 0.4]]))
    assert row["noise"] == pytest.approx(0, abs=1e-9)


def test_noise_and_the_sources_within_it_by_hand():
    # Source means 0.8, 0.79, 0.5; seeds differ by +-0.01 in the first two, in opposite directions: residuals 0.01 four
    # times, so noise^2 = 4 * 0.01^2 / (1 * 2), and the error of a difference of means is noise * sqrt(2 / 2).
    row = repeatability(np.array([[0.81, 0.78, 0.5], [0.79, 0.80, 0.5]]))
    assert row["noise"] == row["standard_error"] == pytest.approx(0.01 * np.sqrt(2))
    assert row["n_like_best"] == 1
    assert row["share_of_close_pairs"] == pytest.approx(1 / 3)
    assert row["between_seeds"] == pytest.approx(0.5)  # ranks 1 2 3 and 2 1 3
    assert ceiling(row["between_seeds"], 2) == pytest.approx(2 * 0.5 / 1.5)
    assert row["verdict"] == "1 of 2 other sources cannot be told from the best; differences below 0.028 are noise"


def test_the_ceiling_foretells_the_agreement_of_two_means():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=2000)
    seeds = quality + rng.normal(scale=1.0, size=(4, 2000))
    row = repeatability(seeds[:2])
    ranks = pd.DataFrame({"first": seeds[:2].mean(0), "second": seeds[2:].mean(0), "quality": quality})
    found = ranks.corr("spearman")
    reached = ceiling(row["between_seeds"], 2)
    assert reached == pytest.approx(found.loc["first", "second"], abs=0.03)
    assert np.sqrt(reached) == pytest.approx(found.loc["first", "quality"], abs=0.03)
    assert row["noise"] == pytest.approx(1, abs=0.05)


def test_pure_noise_leaves_hardly_any_source_apart():
    row = repeatability(np.random.default_rng(1).normal(size=(2, 400)))
    assert abs(row["between_seeds"]) < 0.1
    assert row["share_of_close_pairs"] > 0.9
    assert row["noise"] == pytest.approx(1, abs=0.1)


def test_opposite_seeds_disagree_and_are_not_cut_at_zero():
    row = repeatability(np.array([[1.0, 2, 3, 4], [4.0, 3, 2, 1]]))
    assert row["between_seeds"] == pytest.approx(-1)
    assert ceiling(-0.2, 2) == pytest.approx(-0.5)
    assert row["verdict"].startswith("no source can be told from the best")


def test_what_cannot_be_told_is_nan_and_says_why():
    one_seed, two_sources = repeatability(np.array([[0.8, 0.6, 0.4]])), repeatability(np.zeros((2, 2)))
    assert np.isnan([one_seed["between_seeds"], one_seed["noise"], one_seed["n_like_best"], two_sources["best"]]).all()
    assert one_seed["verdict"] == "one seed: how noisy the truth is cannot be said"
    assert two_sources["verdict"] == "2 sources have a truth: too few to compare"
    assert np.isnan(repeatability(np.array([[0.0, 0, 0], [0.1, 0.2, 0.3]]))["between_seeds"])


def test_pure_noise_has_a_ceiling_of_zero_and_a_weak_signal_its_own():
    """Of 200 studies of 16 targets x 15 sources x 2 seeds; a mean over targets of ceilings cut at 0 gave 0.17, 0.27.

    The mean correlation over 16 targets has the standard error 0.067, so the mean of 200 ceilings has about 0.009.
    """
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 16, 2, 15))
    assert ceiling_table(table_of(noise), ALONE)["ceiling"].mean() == pytest.approx(0, abs=0.02)

    quality, seeds = 0.39 * rng.normal(size=(200, 16, 1, 15)), rng.normal(size=(200, 16, 4, 15))
    study, other = (quality + seeds[:, :, half] for half in (slice(0, 2), slice(2, 4)))
    orders = [accuracies.mean(axis=2).argsort(axis=-1).argsort(axis=-1) for accuracies in (study, other)]
    true = (1 - 6 * ((orders[0] - orders[1]) ** 2).sum(axis=-1) / (15 * (15**2 - 1))).mean()
    assert true == pytest.approx(0.21, abs=0.02)
    assert ceiling_table(table_of(study), ALONE)["ceiling"].mean() == pytest.approx(true, abs=0.02)


def test_the_ceiling_is_of_the_mean_correlation_with_an_interval_over_people():
    table = pd.DataFrame({"mode": "head", "target": list("0123"), **repeatability(np.array([[3.0, 2, 1]] * 2))})
    table["between_seeds"], table["between_draws"] = [1.0, -0.5, 0.5, 1.0], [0.4, 0.4, 0.8, 0.8]
    (row,) = ceiling_table(table, ALONE).to_dict("records")
    assert (row["between_seeds"], row["ceiling"]) == pytest.approx((0.5, 2 / 3))  # not the mean of 1, -2, 2/3, 1
    assert row["attainable"] == pytest.approx(np.sqrt(2 / 3))
    assert row["between_draws"] == pytest.approx(0.6)
    assert row["ceiling_low"] < row["ceiling"] < row["ceiling_high"]
    assert row["attainable_high"] == pytest.approx(np.sqrt(row["ceiling_high"]))
    assert (row["attainable_low"], row["no_interval"]) == (0, "")

    (row,) = ceiling_table(table, People(dict.fromkeys("0123", frozenset({"one"})))).to_dict("records")
    assert row["ceiling"] == pytest.approx(2 / 3)
    assert np.isnan([row["ceiling_low"], row["attainable_high"], row["gain_of_best_low"]]).all()
    assert row["no_interval"] == "all is judged on one person"


def test_ceilings_of_a_study_whose_seeds_differ_by_a_constant(filled_store):
    results = Results.read(filled_store)
    table = repeatability_table(results)
    assert table[["mode", "target"]].to_numpy().tolist() == [
        [mode, target] for mode in ("head", "full") for target in ("b/T1/GM", "b/T1/WM", "b/T2/WM")
    ]
    assert table["between_seeds"].to_numpy() == pytest.approx(1)
    assert table["n_sources"].tolist() == [3, 4, 4] * 2
    row = ceiling_table(table, results.people).set_index("mode").loc["head"]
    assert (row["ceiling"], row["gain_of_best"], row["n_unclear"]) == pytest.approx((1, 0.4 / 3, 0))
    assert row["no_interval"] == "who was scanned is not recorded"


def test_seeds_that_contradict_each_other_have_no_ceiling() -> None:
    assert np.isnan(ceiling(-1.0, 2))

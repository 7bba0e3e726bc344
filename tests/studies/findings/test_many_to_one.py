from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medtrans.errors import StudyError
from medtrans.studies.engine.store import Store
from medtrans.studies.findings.fusions import best_first, picks, plan_fusions, random_order
from medtrans.studies.findings.many_to_one import many_to_one_summary, many_to_one_table
from medtrans.studies.findings.people import People
from medtrans.studies.findings.results import Results
from tests.studies.conftest import outcome_of, quality

TARGET = "b/T1/WM"


@pytest.fixture
def results(filled_store, tiny_job) -> Results:
    """The tiny study with its fusions."""
    with Store.open(filled_store, tiny_job) as store:
        for piece in plan_fusions(tiny_job, Results.read(filled_store)):
            store.record(piece, outcome_of(piece))
    return Results.read(filled_store)


def test_metrics_and_truth_pick_the_best_first_and_chance_does_not_depend_on_the_mode(filled_store):
    results = Results.read(filled_store)
    chosen = picks(results, TARGET, "head")
    assert list(chosen) == ["h_score", "truth", "random"]
    assert chosen["h_score"] == chosen["truth"] == ("b/T1/GM", "a/T2/GM", "a/T1/WM")
    assert len(set(chosen["random"])) == 3
    assert picks(results, TARGET, "full")["random"] == chosen["random"]


def test_the_target_s_own_source_is_not_picked_where_it_is_no_candidate(filled_store):
    assert all("b/T1/GM" not in order for order in picks(Results.read(filled_store), "b/T1/GM", "head").values())


def test_a_source_that_was_not_transferred_in_every_seed_is_not_picked(filled_store):
    results = Results.read(filled_store)
    transfers = results.frames["transfers"]
    lost = (transfers["source"] == "b/T1/GM") & (transfers["seed"] == 1) & (transfers["target"] == TARGET)
    results = Results(results.job, {**results.frames, "transfers": transfers[~lost]}, results.versions, results.began)
    assert picks(results, TARGET, "head")["h_score"] == ("a/T2/GM", "a/T1/WM", "a/T1/GM")


def test_a_study_without_fusions_has_no_picks_and_an_empty_table(filled_store, make_job):
    before = Results.read(filled_store)
    results = Results(make_job(many_to_one=None), before.frames, before.versions, before.began)
    with pytest.raises(StudyError, match="fuses no sources"):
        picks(results, TARGET, "head")
    assert len(many_to_one_table(results)) == 0
    assert len(many_to_one_summary(many_to_one_table(results), results.people)) == 0


def test_ties_go_by_name_and_sources_without_a_value_are_left_out():
    assert best_first(pd.Series({"d": 1.0, "b": 2.0, "a": 1.0, "c": np.nan})) == ("b", "a", "d")


def test_a_random_order_is_fixed_but_differs_from_target_to_target():
    names = pd.Index([f"a/T1/{i}" for i in range(20)])
    order = random_order(names, "t", 0)
    assert order == random_order(names[::-1], "t", 0)
    assert tuple(name for name in order if name != "a/T1/7") == random_order(names.drop("a/T1/7"), "t", 0)
    assert order != random_order(names, "u", 0)
    assert order != random_order(names, "t", 1)
    firsts = {random_order(names, f"target {i}", 0)[0] for i in range(200)}
    assert len(firsts) == 20  # each comes first sometimes


def test_the_table_tells_what_each_further_source_adds(results):
    """A fusion gives 0.01 more per further source than its best source alone."""
    table = many_to_one_table(results)
    rows = table[(table["target"] == TARGET) & (table["mode"] == "full")].set_index(["chooser", "k"])
    best = quality("b/T1/GM", TARGET) + 0.05 + 0.01  # mode full, mean of two seeds
    for chooser in ("h_score", "truth"):
        assert rows.loc[chooser]["accuracy"].tolist() == pytest.approx([best, best + 0.01, best + 0.02])
        assert rows.loc[chooser]["gain"].tolist() == pytest.approx([0, 0.01, 0.02])
        assert rows.loc[chooser]["step"].tolist() == pytest.approx([0, 0.01, 0.01])
    assert rows.loc[("h_score", 3), "sources"] == "a/T1/WM + a/T2/GM + b/T1/GM"
    assert len(table) == 2 * 3 * 3 * 3  # modes, targets, choosers, k


def test_a_fusion_without_all_seeds_has_no_accuracy(results):
    fusions = results.frames["fusions"]
    frames = {**results.frames, "fusions": fusions[fusions["seed"] == 0]}
    table = many_to_one_table(Results(results.job, frames, results.versions, results.began))
    assert table[table["k"] == 1]["accuracy"].notna().all()
    assert table[table["k"] > 1][["accuracy", "gain", "step"]].isna().all(axis=None)


def test_the_summary_is_over_targets_with_an_interval():
    table = pd.DataFrame(
        [
            ("t" + str(i), "head", "h_score", 2, "", 0.5 + gain, gain, gain)
            for i, gain in enumerate([0.0, 0.1, 0.2, 0.1])
        ]
        + [("t4", "head", "h_score", 2, "", np.nan, np.nan, np.nan)],
        columns=["target", "mode", "chooser", "k", "sources", "accuracy", "gain", "step"],
    )
    (row,) = many_to_one_summary(table, People({f"t{i}": frozenset({str(i)}) for i in range(5)})).to_dict("records")
    assert (row["n_targets"], row["accuracy"], row["gain"]) == (4, pytest.approx(0.6), pytest.approx(0.1))
    # deviations 0, 0.1, 0.1 and 0: the standard error is sqrt(0.02 / 3 / 4)
    margin = stats.t.ppf(0.975, 3) * np.sqrt(0.02 / 12)
    assert [row["gain_low"], row["gain_high"]] == pytest.approx([0.1 - margin, 0.1 + margin])
    (row,) = many_to_one_summary(table, People({})).to_dict("records")
    assert np.isnan([row["gain_low"], row["step_high"]]).all()
    assert row["no_interval"] == "who was scanned is not recorded"

"""Baselines of a study, by hand."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from medtrans.agreement import footrule, share_of_best, spearman, top_k_regret
from medtrans.studies.findings.baselines import baseline_scores, chance_agreement, static_order
from medtrans.studies.findings.compare import agreement_table, best_baselines, summary_table, with_ahead
from medtrans.studies.findings.people import Replicates
from medtrans.studies.findings.results import Results
from medtrans.tasks.relations import NAMES
from tests.studies.conftest import SOURCES, TARGETS


@pytest.fixture
def results(filled_store) -> Results:
    return Results.read(filled_store)


def test_chance_is_the_mean_over_all_orders() -> None:
    truth = np.array([0.9, 0.5, 0.4, 0.1])
    orders = list(permutations(range(4)))
    expected = chance_agreement(truth)
    for name, measure in {
        "spearman": spearman,
        "regret": top_k_regret,
        "share_of_best": share_of_best,
        "footrule": footrule,
        "footrule_2": lambda scores, truth: footrule(scores, truth, first=2),
    }.items():
        assert expected[name] == pytest.approx(np.mean([measure(order, truth) for order in orders]), abs=1e-12), name


def test_names_are_points_of_every_pair(results) -> None:
    """Sources a/T1/GM, a/T1/WM, a/T2/GM, b/T1/GM; the second target is b/T2/WM: GM and WM are both brain matter."""
    table = baseline_scores(results, NAMES, "head")
    assert (tuple(table.index), tuple(table.columns)) == (TARGETS, SOURCES)
    assert table.loc["b/T2/WM"].tolist() == [1.0, 2.0, 1.5, 1.0]


def test_the_static_order_is_of_the_other_targets(results) -> None:
    """Truth 0.51 .. in steps of 0.1 on every target; the last source has none on the first target, its own task."""
    table = static_order(results, "head")
    first, second = [-0.1, 0.0, 0.1], [-0.15, -0.05, 0.05, 0.15]  # minus the mean of three sources, of four
    assert_allclose(table.loc["b/T1/GM"], second)
    assert_allclose(table.loc["b/T2/WM", list(SOURCES[:3])], (np.array(first) + second[:3]) / 2)
    assert table.loc["b/T2/WM", SOURCES[3]] == pytest.approx(0.15)


def test_the_static_order_takes_other_people_where_it_can(results) -> None:
    """On the other targets anna has the order of the sources, berta the reverse; this target is judged on anna."""
    rows = [
        (target, source, "head", seed, person, dice, 0.5, 0.5)
        for target in TARGETS
        for seed in (0, 1)
        for person, sign in (("anna", 1), ("berta", -1))
        for source, dice in zip(SOURCES, 0.5 + sign * np.array([0.1, 0.2, 0.3, 0.4]), strict=True)
    ]
    by_person = pd.DataFrame(rows, columns=results.frames["by_person"].columns)
    people = pd.DataFrame({"target": TARGETS, "person": ["anna"] * 3})
    frames = {**results.frames, "by_person": by_person, "people": people}
    table = static_order(dataclasses.replace(results, frames=frames), "head")
    assert table.loc["b/T2/WM"].is_monotonic_decreasing


def test_how_far_a_metric_is_above_the_best_baseline(results) -> None:
    agreements = agreement_table(results)
    best = best_baselines(agreements)
    assert set(best) == {"ahead", "pick_ahead"} and set(best["ahead"]) == {"head", "full"}
    rows = with_ahead(agreements, best).set_index(["mode", "metric", "filter", "target"])
    mine = rows.loc[("head", "otce_sim", "none", "b/T1/WM")]
    for lead, baseline, measure in (("ahead", "baseline", "spearman"), ("pick_ahead", "pick_baseline", "gain_first")):
        theirs = rows.loc[("head", best[lead]["head"], "none", "b/T1/WM")]
        assert mine[lead] == pytest.approx(mine[measure] - theirs[measure])
        assert np.isnan(theirs[lead])
        assert set(summary_table(results)[baseline]) == set(best[lead].values())


def test_without_a_person_their_targets_and_their_share_of_the_others_are_gone(results) -> None:
    """anna is labelled for b/T2/WM; elsewhere berta alone is left, whose accuracy is 0.2."""
    rows = [
        (target, source, "head", seed, person, dice, dice, dice)
        for target in TARGETS
        for source in SOURCES
        for seed in (0, 1)
        for person, dice in (("anna", 0.6), ("berta", 0.2))
    ]
    frames = {
        **results.frames,
        "by_person": pd.DataFrame(rows, columns=results.frames["by_person"].columns),
        "labelled": pd.DataFrame({"target": ["b/T2/WM"], "person": ["anna"]}),
        "people": pd.DataFrame({"target": TARGETS, "person": ["berta"] * 3}),
    }
    study = dataclasses.replace(results, frames=frames)
    truth = study.without("anna").truth("head")
    assert truth.loc["b/T2/WM"].isna().all()
    assert_allclose(truth.loc["b/T1/WM"], 0.2)
    assert_allclose(study.without("nobody").truth("head"), 0.4)
    assert Replicates.of(study, lambda it: it.truth("head")).tables == {}  # one person is judged on: fewer than four
    many = frames | {"people": pd.DataFrame({"target": [TARGETS[0]] * 4, "person": ["anna", "berta", "clara", "dora"]})}
    found = Replicates.of(dataclasses.replace(results, frames=many), lambda it: it.truth("head"))
    assert list(found.tables) == ["anna", "berta", "clara", "dora"]

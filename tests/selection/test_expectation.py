from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.config import SCORING, SamplerSettings
from medtrans.errors import ConfigError
from medtrans.selection import rank_sources, read_expectation, shipped_expectation
from medtrans.selection.expectation import Estimate, expit, logit
from medtrans.sources import Pool
from medtrans.tasks import TaskName
from tests.selection.expectations import expectation, mode_fit
from tests.selection.test_rank_sources import SAMPLER, TARGET, bundle

NAMES = {"name": "names", "logit": False, "coefficient": 1.0}
H_SCORE = {"name": "h_score", "logit": False, "coefficient": 1.0}


@given(st.floats(0, 1))
def test_logits_go_back_and_keep_the_order(share):
    assert expit(logit(share)) == pytest.approx(share, abs=1e-9)
    assert logit(share) <= logit(min(1.0, share + 0.01))


@given(st.floats(-1e6, 1e6))
def test_an_accuracy_lies_between_0_and_1(odds):
    assert 0 <= expit(odds) <= 1


def test_an_estimate_by_hand():
    # softened by 0.02: logit(0.5) = 0, so the logit is 0.5; its ends are 0.5 - 1 and 0.5 + 1
    (found,) = expectation().estimates({"probe_dice": 0.5})
    ends = [1.04 / (1 + math.exp(-odds)) - 0.02 for odds in (0.5, -0.5, 1.5)]
    assert [found.value, found.low, found.high] == pytest.approx(ends)
    assert str(Estimate("head", 0.714, 0.63, 0.78)) == "0.71 [0.63, 0.78]"


def test_the_names_are_a_feature_that_needs_the_source_s_task():
    fit = expectation(mode_fit(features=[NAMES], intercept=-2.5))
    target = TaskName.parse("here/T1/GM")
    # 2 points for the same structure and 0.5 for the same modality: a logit of 0
    values = fit.values({}, TaskName.parse("there/T1/GM"), target)
    assert fit.estimates(values)[0].value == pytest.approx(0.5)
    assert fit.lacking(fit.values({}, None, target)) == ("names",)
    assert fit.estimates(fit.values({}, None, target)) == ()
    assert fit.metrics == ()


def test_metrics_have_their_options():
    labelled = {"name": "otce_sim(epsilon=0.05)", "options": {"epsilon": 0.05}, "logit": False, "coefficient": 1.0}
    (metric,) = expectation(mode_fit(features=[labelled])).metrics
    assert (metric.label, metric.options) == ("otce_sim(epsilon=0.05)", {"epsilon": 0.05})


def test_a_file_reads_back(tmp_path):
    path = tmp_path / "expected.json"
    path.write_text(expectation(mode_fit(), mode_fit("full")).model_dump_json())
    assert read_expectation(path) == expectation(mode_fit(), mode_fit("full"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scoring": SCORING - 1}, f"scoring {SCORING - 1}, this one has {SCORING}.*run `medtrans study fit` again"),
        ({"version": 2}, "key 'version'"),
        ({"fits": []}, "key 'fits'"),
        ({"fits": [mode_fit(), mode_fit()]}, "a mode is there twice"),
        ({"fits": [mode_fit("scratch")]}, "key 'fits.0.mode'"),
        ({"fits": [mode_fit(intercept=float("nan"))]}, "key 'fits.0.intercept'"),
        ({"fits": [mode_fit(coverage=1.5)]}, "key 'fits.0.coverage'"),
        ({"fits": [mode_fit(margin=0.0)]}, "key 'fits.0.margin'"),
        ({"fits": [mode_fit(features=[H_SCORE | {"name": "h_scor"}])]}, "did you mean 'h_score'.*fit` again"),
        ({"fits": [mode_fit(features=[H_SCORE | {"options": {"epsilon": 1}}])]}, "does not tell the options"),
        ({"studies": ["a\nb"]}, "control characters"),
        ({"studies": ["a"] * 300}, "key 'studies'"),
        ({"unknown": 1}, "key 'unknown'"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, changes, said):
    values = json.loads(expectation().model_dump_json()) | changes
    path = tmp_path / "expected.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=said) as error:
        read_expectation(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_what_ships_is_about_the_images_that_it_is_asked_for():
    for photographs in (False, True):
        found = shipped_expectation(photographs=photographs)
        assert found is None or found.photographs == photographs


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    root = tmp_path_factory.mktemp("pool")
    bundle(root, "there/FLAIR/square", 1)
    bundle(root, "there/T1/square", 2)
    bundle(root, "there/T1+T2/square", 4, in_channels=2, signature=None)
    return Pool(root)


def ranked(pool, fit, **changes):
    settings = {"metrics": ["h_score"], "sampler": SAMPLER, "filters": None, "device": "cpu", "evidence": ()}
    return rank_sources(TARGET, pool, expectation=fit, **settings | changes)


def test_a_ranking_computes_along_what_a_fit_needs_and_shows_what_was_asked_for(pool):
    ranking = ranked(pool, expectation(mode_fit(), mode_fit("full", intercept=1.0)))
    assert ranking.scored_metrics == ("h_score",)
    assert {score.metric for score in ranking.scores} == {"h_score"}
    probe = {score.source: score.mean for score in ranked(pool, None, metrics=["probe_dice"]).scores}
    for source in ("there/FLAIR/square", "there/T1/square"):
        assert ranking.expected[source] == expectation(mode_fit(), mode_fit("full", intercept=1.0)).estimates(
            {"probe_dice": probe[source]}
        )
    assert ranking.expected_modes == ("head", "full")
    assert ranking.order() == ranked(pool, None).order()


def test_a_ranking_without_expected_accuracies_computes_what_is_asked_for_alone(pool):
    ranking = ranked(pool, None)
    assert ranking.expectation is None and not ranking.expected
    assert set(ranking.provenance.seconds) >= {"h_score"} and "probe_dice" not in ranking.provenance.seconds
    assert ranked(pool, "shipped").expectation == shipped_expectation(photographs=False)


def test_a_source_without_an_estimate_has_the_reason(pool):
    ranking = ranked(pool, expectation())
    reasons = {lack.source: lack.reason for lack in ranking.missing if lack.metric == "expected Dice"}
    assert reasons == {"there/T1+T2/square": "probe_dice: the source reads 2 channels, the target has 1"}
    assert "there/T1+T2/square" not in ranking.expected
    assert "no expected Dice for there/T1+T2/square: probe_dice: the source reads 2 channels" in str(ranking)


def test_a_metric_looks_at_the_pixels_that_it_was_fitted_on(pool):
    other = SamplerSettings(n_pixels=60, repetitions=2, kind="uniform")
    fit = expectation(mode_fit(features=[H_SCORE]), sampler=other)
    theirs = {score.source: score.mean for score in ranked(pool, None, sampler=other).scores}
    found = ranked(pool, fit)
    assert found.expected == {name: fit.estimates({"h_score": mean}) for name, mean in theirs.items()}
    assert found.scores == ranked(pool, None).scores
    reasons = {lack.source: lack.reason for lack in found.missing if lack.metric == "expected Dice"}
    assert reasons == {"there/T1+T2/square": "h_score: the source reads 2 channels, the target has 1"}


def test_a_fit_on_photographs_says_nothing_about_scans(pool):
    with pytest.raises(ConfigError, match=r"expectation: was fitted on photographs.*give a fit on scans"):
        ranked(pool, expectation(photographs=True))


def test_the_text_tells_the_estimates_and_where_they_come_from(pool):
    text = str(ranked(pool, expectation(mode_fit(), mode_fit("full"))))
    header = next(line for line in text.splitlines() if line.startswith("source"))
    assert "expected Dice, head retrained" in header
    assert "expected Dice, all layers fine-tuned" in header
    row = next(line for line in text.splitlines() if line.startswith("there/T1/square "))
    estimate = ranked(pool, expectation()).expected["there/T1/square"][0]
    assert row.count(str(estimate)) == 2
    assert (
        "Expected accuracies are estimates from nichart (28 targets, judged on 6 people), each with an interval that "
        "shall hold in 90% of cases; there, on structures that the fit had not seen, it did in 91% (head retrained) "
        "and 91% (all layers fine-tuned). None of those targets is from here: with other images they may be off."
    ) in text
    assert "None of those targets" not in str(ranked(pool, expectation(domains=["here"])))


def test_where_the_fit_s_own_pixels_cannot_be_drawn_the_rest_is_told(pool):
    """The fit was made near edges, of which the target has none; its head needs whole images alone."""
    flat = dataclasses.replace(
        TARGET, cases=tuple(dataclasses.replace(it, label=(it.label * 0 + i % 2)) for i, it in enumerate(TARGET.cases))
    )
    by_sampled = mode_fit("full", features=[H_SCORE])
    fit = expectation(mode_fit(), by_sampled, sampler=SamplerSettings(kind="boundary", n_pixels=50, repetitions=1))
    settings = {"sampler": SamplerSettings(kind="uniform", n_pixels=50, repetitions=1), "filters": None}
    ranking = rank_sources(flat, pool, metrics=["h_score"], expectation=fit, device="cpu", evidence=(), **settings)
    estimates = ranking.expected["there/T1/square"]
    assert [it.mode for it in estimates] == ["head"]
    reasons = {lack.reason for lack in ranking.missing if lack.metric == "expected Dice"}
    assert any(reason.startswith("h_score: no pixels to draw") for reason in reasons)

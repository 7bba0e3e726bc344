"""Fits to studies whose accuracy is a formula of the metrics."""

from __future__ import annotations

import numpy as np
import pytest

from medtrans.config import SCORING
from medtrans.errors import StudyError
from medtrans.selection.expectation import expit, read_expectation
from medtrans.studies.findings.compare import agreement_table
from medtrans.studies.findings.expectation import FEATURES, cross_fitted, expected_scores, fit_expectation, pairs
from tests.studies.simulated import METRICS, results

FOUR = [f"site/T1/{structure}" for structure in ("GM", "WM", "CSF", "lesion")]


def linear(_: str, head: float, zero_shot: float) -> float:
    return -0.5 + head + 0.25 * zero_shot


def test_coefficients_are_recovered_but_for_the_penalty():
    # features are uncorrelated with a mean of 0, so that the ridge of 0.01 n on unit variance divides each by 1.01
    fitted = fit_expectation([results(FOUR, linear)], METRICS)
    (fit,) = fitted.fits
    assert [(it.name, it.logit) for it in fit.features] == [(name, True) for name in METRICS]
    assert [it.coefficient for it in fit.features] == pytest.approx([1 / 1.01, 0.25 / 1.01])
    assert fit.intercept == pytest.approx(-0.5)
    # what the penalty leaves is (1 - 1 / 1.01) (head + 0.25 zero_shot), at most 0.0173 in logits
    assert fit.error < 0.005
    assert fit.level_error < 0.005
    assert (fit.spearman, fit.regret, fit.coverage) == (pytest.approx(1), pytest.approx(0), 1)
    assert (fit.n_targets, fit.n_pairs, fit.n_clusters, fit.left_out) == (4, 36, 4, "structures")


def test_a_fit_says_what_it_was_fitted_on():
    one = results(FOUR, linear, people=lambda target: {"ann", "bob"}, name="one")
    two = results(["there/T2/GM"], linear, people=lambda target: {"bob", "cid"}, name="two")
    fitted = fit_expectation([one, two])
    assert fitted.studies == ("one", "two")
    assert fitted.domains == ("site", "there")
    assert (fitted.n_people, fitted.scoring, fitted.measure) == (3, SCORING, "dice")
    assert fitted.sampler == one.job.samplers["boundary"]
    assert [metric.label for metric in fitted.metrics] == list(FEATURES["head"])


def test_the_interval_is_as_wide_as_a_structure_that_was_left_out_is_off():
    """One of four structures lies 2 higher, so a fit to the other three is 2 off there, and 2/3 too high elsewhere."""
    (fit,) = fit_expectation(
        [results(FOUR, lambda target, p, z: linear(target, p, z) + 2 * (target == FOUR[3]))], METRICS
    ).fits
    # 1/4 of the weight is off by 2 and more than the rest: the quantile at 0.9; times t(0.95, 4) / z(0.95) = 1.296
    assert fit.margin == pytest.approx(2 * 1.296, abs=0.03)
    # without that structure all others agree, and the interval does not reach it; with it, theirs are wide enough
    assert fit.coverage == pytest.approx(3 / 4)


def test_a_prediction_has_not_seen_its_structure():
    def predictions(of_last: float) -> np.ndarray:
        table = pairs([results(FOUR, lambda target, p, z: p + of_last * (target == FOUR[3]))], "head", METRICS)
        return cross_fitted(table, METRICS)[(table["structure"] == "lesion").to_numpy()]

    assert predictions(0.0) == pytest.approx(predictions(2.0))


def test_a_prediction_has_not_seen_its_people_where_there_are_others():
    sites = [f"{site}/T1/{structure}" for site in ("a", "b") for structure in ("GM", "WM", "CSF")]

    def predictions(of_site: float) -> np.ndarray:
        study = results(sites, lambda target, p, z: p + of_site * target.startswith("a"), people=lambda it: {it[0]})
        table = pairs([study], "head", METRICS)
        assert table["people"].nunique() == 2
        return cross_fitted(table, METRICS)[table["target"].str.startswith("0:a").to_numpy()]

    assert predictions(0.0) == pytest.approx(predictions(2.0))
    (fit,) = fit_expectation([results(sites, linear, people=lambda it: {it[0]})]).fits
    assert (fit.left_out, fit.n_clusters) == ("structures and people", 3)


def test_people_are_the_unit_where_they_are_fewer_than_the_structures_and_enough():
    # 5 structures of 4 people each: 20 targets in 4 groups
    targets = [f"{site}/T1/{structure}" for site in "abcd" for structure in ("GM", "WM", "CSF", "lesion", "cortex")]
    (fit,) = fit_expectation([results(targets, linear, people=lambda it: {it[0]})]).fits
    assert (fit.left_out, fit.n_clusters) == ("structures and people", 4)


def test_the_interval_covers_structures_that_were_never_seen():
    """Structures differ by a normal number of spread 0.5, pairs by one of 0.3; 12 studies of 8 structures, 4 more."""
    rng = np.random.default_rng(0)
    covered, told = [], []
    for _ in range(12):
        targets = [f"site/T1/{i}" for i in range(12)]
        levels = dict(zip(targets, rng.normal(scale=0.5, size=12), strict=True))

        def odds(target: str, head: float, zero_shot: float, levels=levels) -> float:
            return linear(target, head, zero_shot) + levels[target] + rng.normal(scale=0.3)

        (fit,) = fit_expectation([results(targets[:8], odds)], METRICS).fits
        new = results(targets[8:], odds)
        for row in pairs([new], "head", METRICS).itertuples():
            values = {name: expit(getattr(row, name)) for name in METRICS}
            estimate = fit.estimate(values)
            covered.append(estimate.low <= row.accuracy <= estimate.high)
        told.append(fit.coverage)
    assert 0.86 <= np.mean(covered) <= 0.99
    assert 0.84 <= np.mean(told) <= 0.99


@pytest.mark.parametrize(
    ("studies", "said"),
    [
        ([results(FOUR[:2], linear)], "2 structures with a truth and all features"),
        ([results(FOUR, linear, metrics=["h_score"])], "has no metric 'head_dice'"),
        (
            [results(FOUR, linear), results(FOUR, linear, samplers={"boundary": {"n_pixels": 50}})],
            "differs .* in its first sampler",
        ),
        ([results(FOUR, linear), results(FOUR, linear, measure="miou")], "differs .* in its measure"),
    ],
)
def test_what_cannot_be_fitted_is_refused(studies, said):
    with pytest.raises(StudyError, match=said):
        fit_expectation(studies)


def test_a_study_s_own_pairs_are_told_without_their_structure():
    study = results(FOUR, lambda _, head, zero_shot: head - 0.5)
    scores = expected_scores(study, "head")
    assert scores.notna().all(axis=None)
    # but for the penalty of 1 %, the truth itself
    assert scores.to_numpy() == pytest.approx(study.truth("head").to_numpy(), abs=0.01)
    assert expected_scores(results(FOUR[:2], linear), "head").isna().all(axis=None)
    assert expected_scores(results(FOUR, linear, metrics=["h_score"]), "head").isna().all(axis=None)


def test_a_study_can_be_judged_by_what_was_fitted_elsewhere(tmp_path):
    # elsewhere a high head Dice meant little accuracy, so its order is the reverse of the truth here
    elsewhere = fit_expectation([results(FOUR, lambda _, head, zero_shot: -head)])
    path = tmp_path / "expected.json"
    path.write_text(elsewhere.model_dump_json())
    assert read_expectation(path) == elsewhere
    here = results(FOUR, lambda _, head, zero_shot: head)
    judged = results(FOUR, lambda _, head, zero_shot: head, expectation=str(path))
    assert expected_scores(judged, "head").equals(expected_scores(here, "head", elsewhere))
    assert judged.job.identity() == here.job.identity()
    for study, correlation in ((here, 1), (judged, -1)):
        rows = agreement_table(study)
        rows = rows[rows["metric"] == "expected_accuracy"]
        assert len(rows) == len(FOUR)
        # the truth takes 3 values on 3 sources each; the scores break these ties a little
        assert (np.sign(rows["spearman"]) == correlation).all()

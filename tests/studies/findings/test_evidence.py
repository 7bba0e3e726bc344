from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from medtrans.selection import read_evidence
from medtrans.studies.findings.baselines import BASELINES
from medtrans.studies.findings.compare import agreement_table
from medtrans.studies.findings.evidence import evidence, evidence_json
from medtrans.studies.findings.results import Results


@pytest.fixture
def results(filled_store) -> Results:
    return Results.read(filled_store)


def test_first_picks_of_a_study_by_hand(results):
    """By h_score the best source is picked for all three targets; they lie 0.10, 0.15 and 0.15 above the mean."""
    found = evidence(results)
    assert (found.study, found.n_sources, found.n_targets, found.n_seeds) == ("study", 4, 3, 2)
    assert (found.domains, found.measure) == (("b",), "dice")
    assert found.sampler == results.job.samplers["boundary"]
    (finding,) = [
        finding
        for finding in found.findings
        if (finding.metric, finding.mode, finding.filters) == ("h_score", "head", None)
    ]
    assert (finding.n_targets, finding.regret, finding.share_above_mean) == (3, 0, 1)
    assert finding.gain == pytest.approx(0.4 / 3, abs=1e-6)
    assert (finding.n_people, finding.n_groups, finding.interval) == (None, None, None)


def test_findings_know_on_how_many_people_they_rest(results):
    people = pd.DataFrame({"target": results.targets, "person": ["anna", "berta", "berta"]})
    found = evidence(dataclasses.replace(results, frames={**results.frames, "people": people})).findings
    assert {(it.n_people, it.n_groups, it.interval) for it in found} == {(2, 2, None)}


def test_evidence_is_by_the_measure_of_the_study(results):
    """By mIoU, here 1 - Dice, h_score picks the worst source, as far below the mean as it is above it by Dice."""
    found = evidence(dataclasses.replace(results, job=results.job.model_copy(update={"measure": "miou"})))
    assert found.measure == "miou"
    (finding,) = [it for it in found.findings if (it.metric, it.mode, it.filters) == ("h_score", "head", None)]
    assert finding.gain == pytest.approx(-0.4 / 3, abs=1e-6)


def test_a_metric_that_is_judged_on_two_targets_has_no_finding(results):
    """otce_sim has scores for two of the three candidates for b/T1/GM; the other targets have four."""
    assert {finding.metric for finding in evidence(results).findings} == {"h_score", *BASELINES}


def test_a_pick_that_equals_the_mean_is_not_above_it(results):
    table = agreement_table(results)
    table = table.assign(gain_first=[0.1, 0.0, -0.1] * (len(table) // 3))
    shares = {finding.share_above_mean for finding in evidence(results, table).findings}
    assert shares == {1 / 3}


def test_what_a_study_writes_is_read_back_equal(results, tmp_path):
    path = tmp_path / "evidence.json"
    path.write_text(evidence_json(results), encoding="utf-8")
    assert read_evidence(path) == evidence(results)


def test_targets_that_cannot_be_judged_make_no_finding(results):
    """Without the scores of one target two are left: too few for an interval."""
    scores = results.frames["scores"]
    frames = {**results.frames, "scores": scores[scores["target"] != "b/T1/WM"]}
    found = evidence(dataclasses.replace(results, frames=frames)).findings
    assert {finding.metric for finding in found} == set(BASELINES)  # which need no scores


def test_a_study_that_has_not_begun_to_transfer_has_no_findings(results):
    frames = {**results.frames, "transfers": results.frames["transfers"].iloc[:0]}
    assert evidence(dataclasses.replace(results, frames=frames)).findings == ()


def test_draws_of_labelled_people_are_one_target(results):
    """Three targets that are two tasks, one of them drawn twice, are too few for a finding."""
    drawn = dict(zip(results.targets, ("b/T1/GM#1", "b/T1/GM#2", "b/T1/WM#1"), strict=True))
    table = agreement_table(results)
    assert evidence(results, table.assign(target=table["target"].map(drawn))).findings == ()

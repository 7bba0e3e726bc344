from __future__ import annotations

import json
from datetime import date

import pytest

from medtrans.config import FilterSettings, SamplerSettings
from medtrans.errors import ConfigError
from medtrans.selection import Evidence, Provenance, Ranking, read_evidence, shipped_evidence
from medtrans.selection.evidence import Finding
from medtrans.selection.results import scores_of_metric
from medtrans.selection.text import stakes
from medtrans.tasks import TaskName


def finding(**changes) -> Finding:
    values = {
        "metric": "h_score", "mode": "head", "filters": None, "n_targets": 16, "n_people": 20, "n_groups": 16,
        "gain": 0.061, "gain_low": 0.032, "gain_high": 0.094, "share_above_mean": 0.9, "regret": 0.01,
    }  # fmt: skip
    return Finding(**values | changes)


def evidence(*findings: Finding) -> Evidence:
    return Evidence(
        study="open-ms",
        began=date(2026, 11, 23),
        domains=("open-ms",),
        n_sources=16,
        n_targets=16,
        n_seeds=2,
        sampler=SamplerSettings(),
        findings=findings,
        versions={"medtrans": "0.1.0"},
    )


def ranking(*found: Evidence, values=None, domain="open-ms", **settings) -> Ranking:
    """Source a wins every sample, unless other values are given."""
    values = values or {"a": [3, 4], "b": [1, 2]}
    scores = scores_of_metric("h_score", values)
    settings = {"filters": None, "sampler": SamplerSettings().model_dump()} | settings
    return Ranking(
        TaskName(domain, "T1", "GM"), ("background", "GM"), ("h_score",), 10, scores, (), (), (),
        Provenance(0, settings, {}, {}), evidence=found,
    )  # fmt: skip


def test_the_gain_of_the_first_pick_is_told_with_its_interval():
    assert stakes(ranking(evidence(finding()))) == (
        "In the study open-ms (16 targets, head retrained), the first pick by h_score gave 0.061 [0.032, 0.094] more "
        "Dice than a random pick."
    )


def test_the_gain_is_told_in_the_measure_of_its_study():
    told = stakes(ranking(evidence(finding()).model_copy(update={"measure": "miou"})))
    assert told.endswith("gave 0.061 [0.032, 0.094] more mIoU than a random pick.")
    accuracy = evidence(finding()).model_copy(update={"measure": "pixel_accuracy"})
    assert stakes(ranking(accuracy)).endswith("more pixel accuracy than a random pick.")


def test_evidence_without_a_measure_is_in_dice(tmp_path):
    path = tmp_path / "evidence.json"
    written = evidence(finding()).model_dump(mode="json")
    del written["measure"]
    path.write_text(json.dumps(written), encoding="utf-8")
    assert read_evidence(path).measure == "dice"


def test_an_interval_that_holds_zero_is_too_close_to_call():
    assert stakes(ranking(evidence(finding(gain=0.01, gain_low=-0.005, mode="full")))) == (
        "Too close to call: in the study open-ms (16 targets, all layers fine-tuned), the first pick by h_score gave "
        "0.010 [-0.005, 0.094] more Dice than a random pick."
    )


def test_a_loss_is_called_less():
    told = stakes(ranking(evidence(finding(gain=-0.05, gain_low=-0.08, gain_high=-0.02))))
    assert told.startswith("In the study")
    assert "gave 0.050 [0.020, 0.080] less Dice than a random pick." in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_people": 1, "n_groups": 1, "gain_low": None, "gain_high": None}, "all is judged on one person"),
        ({"n_people": 3, "n_groups": 1, "gain_low": None, "gain_high": None}, "all targets share people"),
        ({"n_people": None, "n_groups": None}, "who was scanned is not recorded"),  # as an earlier medtrans wrote it
        ({"n_groups": 3}, "only 3 groups of targets share no people, and it takes 4"),
        ({"n_people": 4, "n_groups": 4, "gain_low": None, "gain_high": None}, "it was not kept"),
    ],
)
def test_a_gain_without_an_interval_says_why(changes, said):
    for gain in (0.061, -0.061):
        word = "more" if gain > 0 else "less"
        assert stakes(ranking(evidence(finding(gain=gain, **changes)))) == (
            "In the study open-ms (16 targets, head retrained), the first pick by h_score gave "
            f"0.061 {word} Dice than a random pick (no interval: {said})."
        )


def test_what_is_shipped_on_scans_rests_on_one_person_and_on_six():
    first_seed, people, found = shipped_evidence(photographs=False)
    assert {(it.metric, it.n_people) for it in first_seed.findings} == {("head_dice", 6)}
    head, full = first_seed.findings
    assert (head.is_useful, head.picks_better, full.is_useful, full.picks_better) == (True, True, False, True)
    told = stakes(ranking(people, filters=None))
    assert {(it.n_people, it.interval_over) for it in people.findings} == {(6, "people")}
    assert all(it.interval for it in people.findings)
    assert "not shown to rank better than a static order of the sources" in told  # H-score, all layers fine-tuned
    assert {(it.n_people, it.n_groups, it.interval) for it in found.findings} == {(1, 1, None)}
    told = stakes(ranking(found, filters=None))
    assert "gave 0.095 more Dice than a random pick (no interval: all is judged on one person)." in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ahead_low": 0.1, "pick_ahead_low": 0.01}, ""),
        ({"ahead_low": 0.1, "pick_ahead_low": -0.01}, "pick better than the rule by names"),
        ({"ahead_low": None, "pick_ahead_low": 0.01}, "rank better than a static order of the sources"),
        (
            {"ahead_low": 0.0, "pick_ahead_low": 0.0},
            "rank better than a static order of the sources or pick better than the rule by names",
        ),
    ],
)
def test_what_is_not_shown_to_beat_a_cheap_way_is_said(changes, said):
    told = stakes(ranking(evidence(finding(baseline="static order", pick_baseline="names", **changes))))
    assert told.endswith(f" There it is not shown to {said}." if said else "than a random pick.")


def test_both_modes_are_told():
    told = stakes(ranking(evidence(finding(), finding(mode="full"))))
    assert told.count("In the study") == 2


def test_without_a_study_of_the_metric_the_ranking_says_so():
    said = "No study at hand says how much a choice by h_score matters."
    assert stakes(ranking()) == stakes(ranking(evidence(finding(metric="leep")))) == said


def test_the_finding_with_the_ranking_s_filters_is_told_else_that_without():
    with_default = finding(filters=FilterSettings(roi=True), gain=0.07)
    found = evidence(with_default, finding())
    filtered = FilterSettings(roi=True).model_dump()
    other = FilterSettings(modality=True).model_dump()
    assert "(16 targets, head retrained), the first pick by h_score gave 0.070" in stakes(
        ranking(found, filters=filtered)
    )
    assert "(16 targets, head retrained), the first pick by h_score gave 0.061" in stakes(ranking(found, filters=None))
    assert "(16 targets, head retrained, no filter), the first pick by h_score gave 0.061" in stakes(
        ranking(found, filters=other)
    )
    assert stakes(ranking(evidence(with_default), filters=None)).startswith("No study")


def test_what_the_study_did_otherwise_is_said():
    told = stakes(ranking(evidence(finding()), domain="iseg", sampler=SamplerSettings(kind="uniform").model_dump()))
    assert "(16 targets, none from iseg, head retrained, boundary pixels)" in told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": [2] * 8 + [0] * 2, "b": [1] * 10}, "a wins 80% of 10 samples, b 20%."),  # below CLEAR
        ({"a": [9] * 4 + [0] * 6, "b": [1] * 10}, "b wins 60% of 10 samples, a 40%."),  # a is first by its mean
        ({"a": [2] * 9 + [0], "b": [1] * 10}, ""),
        ({"a": [1, 1], "b": [1, 1]}, ""),  # a tie: the answer says so already
        ({"a": [2], "b": [1]}, ""),  # one sample tells nothing
        ({"a": [2, 3]}, ""),
    ],
)
def test_first_places_that_other_pixels_may_change_are_too_close_to_call(values, said):
    assert stakes(ranking(values=values)).startswith(
        f"The first places are too close to call: {said} No study" if said else "No study"
    )


def test_evidence_survives_its_file(tmp_path):
    path = tmp_path / "evidence.json"
    found = evidence(finding(filters=FilterSettings(roi=True)))
    path.write_text(found.model_dump_json(), encoding="utf-8")
    assert read_evidence(path) == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study": "x\x1b[31m"}, "key 'study': .*control characters"),
        ({"study": ""}, "key 'study'"),
        ({"version": 2}, "key 'version'"),
        ({"surprise": 1}, "key 'surprise'"),
        ({"measure": "iou"}, "key 'measure'"),
        ({"n_targets": -1}, "key 'n_targets'"),
        ({"findings": [{"metric": "h_score"}]}, "key 'findings.0.mode'"),
        ({"findings": [finding().model_dump() | {"gain": 7}]}, "key 'findings.0.gain'"),
        ({"findings": [finding().model_dump() | {"gain": float("nan")}]}, "key 'findings.0.gain'"),
    ],
)
def test_a_file_that_is_not_a_study_s_evidence_is_one_clear_line(change, said, tmp_path):
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(evidence().model_dump(mode="json") | change), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"evidence\.json: not the evidence of a study: {said}") as error:
        read_evidence(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not json", "not a JSON file"),
        (b"\xff", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b"[]", "not the evidence of a study"),
        (b" " * (2**20 + 1), "too long"),
        (None, "cannot be read"),
    ],
)
def test_any_other_file_is_one_clear_line(content, said, tmp_path):
    path = tmp_path / "evidence.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as error:
        read_evidence(path)
    assert "\n" not in str(error.value)


def test_what_is_shipped_on_scans_is_not_told_of_photographs():
    of_scans, of_photographs = (shipped_evidence(photographs=kind) for kind in (False, True))
    assert [found.study for found in of_scans] == ["study-nichart-seed0", "study-nichart", "study-open-ms"]
    assert {found.measure for found in of_scans} == {"dice"}
    assert not {found.study for found in of_scans} & {found.study for found in of_photographs}


def test_what_is_shipped_can_be_read():
    assert all(found.findings for kind in (True, False) for found in shipped_evidence(photographs=kind))

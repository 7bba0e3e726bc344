from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from medtrans.errors import MedtransWarning, MetricError
from medtrans.metrics import METRICS, Metric, available, get_metric, otce_sim, registry


def test_needs_are_the_required_parameters() -> None:
    assert METRICS["leep"].needs == ("source_probs", "target_labels")
    assert METRICS["cc_fv"].needs == ("target_features", "target_labels")
    assert set(METRICS["otce_sim"].needs) == {"source_features", "source_labels", "target_features", "target_labels"}


def test_an_unknown_metric_names_the_nearest() -> None:
    assert get_metric("otce_sim").function is otce_sim
    with pytest.raises(MetricError, match="unknown metric 'hscore'; did you mean 'h_score'"):
        get_metric("hscore")


def test_a_metric_that_needs_an_array_nobody_has_is_refused() -> None:
    def wrong(target_feature):
        return 0.0

    with pytest.raises(MetricError, match="did you mean 'target_features'"):
        Metric("wrong", wrong, "", "", "", "")


def share_of_foreground(target_labels) -> float:
    return float((target_labels > 0).mean())


MINE = Metric("share_of_foreground", share_of_foreground, "0 to 1", "N", "none", "for this test")
TAKEN = Metric("h_score", share_of_foreground, "0 to 1", "N", "none", "for this test")


def test_other_packages_register_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("mine", f"{__name__}:MINE", registry.ENTRY_POINT_GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINT_GROUP else [])
    assert get_metric("share_of_foreground").function.__name__ == "share_of_foreground"
    assert set(available()) == set(METRICS) | {"share_of_foreground"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:X", "does not load"),
        (f"{__name__}:share_of_foreground", "not a"),
        (f"{__name__}:TAKEN", "taken"),
    ],
)
def test_a_broken_one_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch, target: str, reason: str) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("broken", target, group)])
    with pytest.warns(MedtransWarning, match=f"entry point 'broken' .*{reason}"):
        assert available() == METRICS

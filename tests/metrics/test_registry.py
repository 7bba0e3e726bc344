from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from medtrans.errors import MedtransWarning, MetricError
from medtrans.metrics import METRICS, Metric, available, get_metric, otce_sim, registry
from medtrans.metrics.registry import choose_metrics


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


def test_options_are_the_parameters_that_are_no_arrays() -> None:
    assert get_metric("otce_sim").option_names == ("epsilon", "cost_scale", "solver")
    assert get_metric("h_score").option_names == ()
    assert "rng" not in get_metric("nleep").option_names


def test_a_metric_with_options_has_a_label_of_its_own_and_uses_them() -> None:
    metric = get_metric("otce_sim").with_options({"solver": "exact", "epsilon": 0.05})
    assert metric.label == "otce_sim(epsilon=0.05, solver=exact)"
    assert get_metric("otce_sim").label == "otce_sim"
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 12, 3))
    labels = np.arange(12) % 2
    arrays = {"source_features": source, "source_labels": labels, "target_features": target, "target_labels": labels}
    assert metric.value(**arrays) == otce_sim(**arrays, solver="exact", epsilon=0.05)


def test_one_metric_in_several_ways_of_writing() -> None:
    (alone,) = choose_metrics(("otce_sim", {"epsilon": 0.05}))
    several = choose_metrics(["h_score", alone, ("otce_sim", {"epsilon": 0.05}), "h_score", "otce_sim"])
    assert [metric.label for metric in several] == ["h_score", "otce_sim(epsilon=0.05)", "otce_sim"]


def test_a_name_with_options_in_one_dictionary_is_taken_as_in_yaml() -> None:
    (metric,) = choose_metrics({"name": "otce_sim", "epsilon": 0.05, "cost_scale": None})
    assert metric.label == "otce_sim(cost_scale=None, epsilon=0.05)"

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medtrans.errors import ConvergenceError, MedtransError
from medtrans.metrics.registry import Metric
from medtrans.sampling import PixelSample
from medtrans.selection.scoring import Look, LookedAt, look_at, metric_values, pixel_arrays, score_source
from medtrans.selection.stopwatch import Stopwatch
from medtrans.sources import Signature, Source
from medtrans.tasks import Case, Task, TaskName

IMAGE = np.arange(1, 65, dtype=np.float32).reshape(1, 8, 8)
LABEL = (IMAGE[0] > 32).astype(np.uint8)
TARGET = Task(TaskName("here", "T1", "thing"), (Case("a", IMAGE, LABEL, (1.0, 1.0)),), ("background", "thing"))
POSITION = np.array([[0, 0], [0, 1], [7, 6], [7, 7]])
SAMPLE = PixelSample(
    case_index=np.zeros(4, dtype=np.int64),
    position=POSITION,
    label=LABEL[tuple(POSITION.T)],
    repetitions=(np.array([0, 2]), np.array([1, 3])),
)


class ScaledIdentity(nn.Sequential):
    """Features are the image; logits are (0, image)."""

    def __init__(self) -> None:
        last = nn.Conv2d(1, 2, 1)
        last.weight.data = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
        last.bias.data.zero_()
        super().__init__(nn.Identity(), last)


class FakeSource(Source):
    def load_network(self, device="cpu"):
        return ScaledIdentity()


def source(signature: Signature | None = None, kind=FakeSource, **changes) -> Source:
    facts = {"spatial_dims": 2, "in_channels": 1, "network_definition": DEFINITION, **changes}
    return kind(
        name="s", path=Path("s"), task=None, modality=None, out_channels=2, class_names=("a", "b"),
        activation="softmax", preprocessing=None, signature=signature, metadata={}, **facts,
    )  # fmt: skip


DEFINITION = {
    "_target_": "monai.networks.nets.BasicUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2,
    "features": [2, 2, 2, 2, 2, 2],
}  # fmt: skip
SIGNATURE = Signature(
    TaskName("there", "T1", "thing"), 1, features=np.zeros((3, 1), np.float32), labels=np.ones(3, np.uint8)
)


def metric(name: str, function) -> Metric:
    return Metric(name, function, range="", cost="", reference="", summary="")


METRICS = [metric(name, lambda target_labels: float(target_labels.sum())) for name in "ab"]


def of_one_look(of, looked, metrics):
    (scored,) = score_source(of, TARGET, [Look(looked, tuple(metrics))], "cpu", Stopwatch())
    return scored


def score(metrics, of=None, sample=SAMPLE):
    return of_one_look(of or source(SIGNATURE), LookedAt(sample), metrics)


def test_arrays_are_those_of_the_network_at_the_sampled_pixels():
    (arrays,) = pixel_arrays(source(SIGNATURE), TARGET, [LookedAt(SAMPLE)], "cpu")
    np.testing.assert_array_equal(arrays["target_features"][:, 0], [1, 2, 63, 64])
    np.testing.assert_array_equal(arrays["target_labels"], [0, 0, 1, 1])
    np.testing.assert_allclose(arrays["source_probs"][0, 1], 1 / (1 + np.exp(-1)), rtol=1e-6)
    np.testing.assert_array_equal(arrays["source_predictions"], [1, 1, 1, 1])
    assert arrays["source_features"].shape == (3, 1)


def test_a_metric_gets_exactly_what_its_parameters_name_in_each_repetition():
    def total(target_features, source_labels):
        return float(target_features.sum() + 100 * source_labels.sum())

    values, missing = score([metric("total", total)])
    assert values == {"total": (1 + 63 + 300.0, 2 + 64 + 300.0)}
    assert missing == []


def test_without_signature_only_metrics_that_need_it_are_missing():
    def needs_source(source_features, source_labels, target_features, target_labels):
        return 0.0

    def needs_target(target_features, target_labels):
        return float(target_labels.mean())

    for signature in (None, SIGNATURE.reduced()):
        values, (lack,) = score([metric("a", needs_source), metric("b", needs_target)], source(signature))
        assert values == {"b": (0.5, 0.5)}
        assert (lack.source, lack.metric) == ("s", "a")
        assert lack.reason == "the source's signature does not hold source_features and source_labels"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spatial_dims": 3}, "the source reads 3D images, the target's are 2D"),
        ({"in_channels": 4}, "the source reads 4 channels, the target has 1"),
    ],
)
def test_a_source_that_does_not_fit_is_missing_by_every_metric(changes, reason):
    values, missing = score(METRICS, source(**changes))
    assert values == {}
    assert [(lack.metric, lack.reason) for lack in missing] == [("a", reason), ("b", reason)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConvergenceError("too\nslow"), "too slow"),
        (MedtransError("too slow"), "too slow"),
        (ValueError("too\x1b[31m slow"), "ValueError: too\ufffd[31m slow"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_an_error_of_one_metric_is_a_reason_and_others_go_on(error, said):
    def fails(target_labels):
        raise error

    values, (lack,) = score([metric("fails", fails), METRICS[0]])
    assert values == {"a": (1.0, 1.0)}
    assert lack.reason == said


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError, KeyError, RecursionError, AssertionError])
def test_whatever_a_stranger_s_network_raises_is_a_reason(kind):
    class Broken(FakeSource):
        def load_network(self, device="cpu"):
            raise kind("out of memory")

    values, missing = score(METRICS, source(kind=Broken))
    assert values == {}
    assert {lack.reason.replace("'", "") for lack in missing} == {f"{kind.__name__}: out of memory"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_missing(value):
    _, (lack,) = score([metric("m", lambda target_labels: value)])
    assert lack.reason == f"the metric gave {value}"


def test_one_class_only_is_a_reason_for_metrics_that_read_labels():
    one = PixelSample(SAMPLE.case_index, SAMPLE.position, np.zeros(4, np.uint8), SAMPLE.repetitions)
    values, (lack,) = score([METRICS[0], metric("m", lambda target_features: 1.0)], sample=one)
    assert values == {"m": (1.0, 1.0)}
    assert "all of one class" in lack.reason


def test_equal_repetitions_are_computed_once():
    calls = []

    def count(target_labels):
        calls.append(1)
        return float(len(target_labels))

    everything = np.arange(4)
    same = PixelSample(SAMPLE.case_index, SAMPLE.position, SAMPLE.label, (everything,) * 3)
    assert metric_values(metric("m", count), {"target_labels": np.arange(4)}, same) == (4.0, 4.0, 4.0)
    assert len(calls) == 1


# Whole images


def test_whole_images_are_looked_at_where_a_metric_asks_for_them() -> None:
    asks = metric("asks", lambda whole_features, whole_labels: float((whole_features[:, 0] * whole_labels).sum()))
    does_not = METRICS[0]
    assert look_at(TARGET, SAMPLE, [does_not], 0).whole is None
    looked = look_at(TARGET, SAMPLE, [does_not, asks], 0)
    values, missing = of_one_look(source(), looked, [does_not, asks])
    assert missing == []
    assert values == {"a": (1.0, 1.0), "asks": (float(np.arange(33, 65).sum()),) * 2}


def test_what_needs_whole_images_alone_is_computed_once() -> None:
    calls = []

    def counted(whole_labels):
        calls.append(len(whole_labels))
        return 0.5

    counting = metric("counting", counted)
    values, _ = of_one_look(source(), look_at(TARGET, SAMPLE, [counting], 0), [counting])
    assert values == {"counting": (0.5, 0.5)}
    assert calls == [64]

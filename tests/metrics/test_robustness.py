"""Ordinary trouble: either the right number, or an error of one line. Never NaN, nor a warning of NumPy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from medtrans.errors import MetricError
from medtrans.metrics import METRICS

Arrays = dict[str, np.ndarray]
NAMES = sorted(METRICS)
FEATURES = ("target_features", "source_features", "whole_features")


def ordinary(n_features: int = 4) -> Arrays:
    rng = np.random.default_rng(0)
    target_labels, source_labels = np.arange(48) % 3, np.arange(40) % 4
    centres = 2 * rng.normal(size=(4, n_features))
    logits = rng.normal(size=(48, 4)) + np.eye(4)[target_labels]
    return with_people(
        {
            "target_features": centres[target_labels] + rng.normal(size=(48, n_features)),
            "target_labels": target_labels,
            "source_probs": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
            "source_predictions": logits.argmax(axis=1),
            "source_features": centres[source_labels] + rng.normal(size=(40, n_features)),
            "source_labels": source_labels,
        }
    )


def with_people(arrays: Arrays) -> Arrays:
    """Two people with two images each; the whole images hold the same pixels."""
    places = np.arange(len(arrays["target_labels"]))
    arrays |= {"target_subjects": places % 2, "target_images": places % 4}
    names = {"features": "target_features", "labels": "target_labels", "predictions": "source_predictions"}
    names |= {"subjects": "target_subjects", "images": "target_images"}
    return arrays | {f"whole_{name}": arrays[theirs] for name, theirs in names.items()}


def value(name: str, arrays: Arrays) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return METRICS[name].function(**{need: arrays[need] for need in METRICS[name].needs})


def on_features(change) -> Arrays:
    arrays = ordinary()
    return arrays | {key: change(arrays[key]) for key in FEATURES}


def constant(features: np.ndarray) -> np.ndarray:
    return np.full_like(features, 3.7)


def one_huge_column(features: np.ndarray) -> np.ndarray:
    return features * np.array([1e30, 1, 1, 1])


def singleton() -> Arrays:
    arrays = ordinary()
    labels = arrays["target_labels"].copy()
    labels[labels == 2] = 0
    labels[17] = 2
    return arrays | {"target_labels": labels, "whole_labels": labels}


def two_samples() -> Arrays:
    arrays = ordinary()
    return {key: array[:2] for key, array in arrays.items()}


def dead_source_class() -> Arrays:
    arrays = ordinary()
    probabilities = np.hstack([arrays["source_probs"], np.zeros((48, 1))])
    return arrays | {"source_probs": probabilities, "source_predictions": arrays["source_predictions"] + 5}


TROUBLE = {
    "more features than samples": ordinary(200),
    "collinear": on_features(lambda x: np.hstack([x, x, x[:, :2] + x[:, 2:]])),
    "constant": on_features(constant),
    "zero": on_features(np.zeros_like),
    "constant column": on_features(lambda x: np.hstack([x, constant(x[:, :1]), 0 * x[:, :1]])),
    "huge constant column": on_features(lambda x: np.hstack([x, np.full((len(x), 1), 1e30)])),
    "huge": on_features(lambda x: 1e30 * x),
    "huge float32": on_features(lambda x: (1e30 * x).astype(np.float32)),
    "vast": on_features(lambda x: 1e200 * x),
    "tiny": on_features(lambda x: 1e-200 * x),
    "one huge column": on_features(one_huge_column),
    "one huge sample": on_features(lambda x: np.vstack([1e30 * x[:1], x[1:]])),
    "singleton class": singleton(),
    "two samples": two_samples(),
    "dead source class": dead_source_class(),
    "duplicates": on_features(lambda x: np.repeat(x[:4], len(x) // 4, axis=0)),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("name", NAMES)
def test_trouble_gives_a_number_or_an_error_of_one_line(name: str, trouble: str) -> None:
    try:
        number = value(name, TROUBLE[trouble])
    except MetricError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(number, float)
        assert np.isfinite(number)


@pytest.mark.parametrize("name", NAMES)
def test_float32_with_an_offset_of_ten_thousand_equals_its_float64_copy(name: str) -> None:
    single = on_features(lambda x: (x + 1e4).astype(np.float32))
    double = single | {key: single[key].astype(np.float64) for key in FEATURES}
    # Sinkhorn's kernel is float32 and stops at marginals of 1e-5
    assert value(name, single) == pytest.approx(value(name, double), rel=1e-3 if "otce" in name else 1e-12)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"cc_fv", "logme", "ped"}))
def test_a_common_offset_changes_nothing(name: str) -> None:
    # logme has no intercept, and cc_fv's sphere has a centre
    moved = on_features(lambda x: x + 1e6)
    assert value(name, moved) == pytest.approx(value(name, ordinary()), rel=1e-3 if "otce" in name else 1e-6)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"transrate", "cc_fv", "sfda"}))  # sfda: size counts
@pytest.mark.parametrize("trouble", ["huge", "huge float32"])
def test_huge_values_give_the_number_of_ordinary_ones(name: str, trouble: str) -> None:
    assert value(name, TROUBLE[trouble]) == pytest.approx(value(name, ordinary()), rel=1e-3 if "otce" in name else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_named(name: str) -> None:
    arrays = ordinary()
    need = METRICS[name].needs[0]
    spoilt = arrays[need].astype(float)
    spoilt.flat[5] = np.nan
    with pytest.raises(MetricError, match=need):
        value(name, arrays | {need: spoilt})


@pytest.mark.parametrize("name", NAMES)
def test_lengths_that_differ_are_named(name: str) -> None:
    arrays = ordinary()
    with pytest.raises(MetricError, match=r"(target|whole)_labels: expected 48"):
        value(name, arrays | {key: arrays[key][1:] for key in ("target_labels", "whole_labels")})


def test_columns_lost_in_rounding_are_an_error_and_not_left_out() -> None:
    for name in ("logme", "transrate"):
        with pytest.raises(MetricError, match="rescale"):
            value(name, TROUBLE["one huge column"])


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        *[("transrate", {"epsilon": epsilon}, "epsilon is") for epsilon in (0, -1e-4, np.nan, np.inf)],
        ("transrate", {"class_weights": "samples"}, "unknown class_weights 'samples': did you mean 'sample'"),
        ("gbc", {"covariance": "sphere"}, "unknown covariance 'sphere': did you mean 'spherical'"),
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, setting: dict[str, object], message: str) -> None:
    arrays = ordinary()
    with pytest.raises(MetricError, match=message):
        METRICS[name].function(**{need: arrays[need] for need in METRICS[name].needs}, **setting)

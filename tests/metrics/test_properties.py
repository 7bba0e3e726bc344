"""What must hold for any data: invariances, bounds and limits, for every metric of the registry that has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from medtrans.metrics import METRICS

Arrays = dict[str, np.ndarray]
PEOPLE = ("target_subjects", "target_images")
SAMPLES = ("target_features", "target_labels", "source_probs", "source_predictions", *PEOPLE)
TREES = {"grtd", "lbtc", "knn"}  # neighbours: a pixel's double is its nearest
WHOLE = {name for name, metric in METRICS.items() if metric.looks_at_whole_images}  # see test_whole_images
NAMES = sorted(set(METRICS) - WHOLE)
ORDER_MATTERS = {"cc_fv", "nleep"}  # halves in the order given; a mixture from a random start
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def arrays_for(seed: int) -> Arrays:
    """Three target classes, four source classes, four features; some relation between them all."""
    rng = np.random.default_rng(seed)
    n_target, n_source = int(rng.integers(36, 60)), int(rng.integers(20, 40))
    target_labels = rng.permutation(np.arange(n_target) % 3)
    source_labels = rng.permutation(np.arange(n_source) % 4)
    centres = rng.normal(size=(4, 4))
    logits = rng.normal(size=(n_target, 4)) + 2 * np.eye(4)[target_labels]
    return {
        "target_features": centres[target_labels] + rng.normal(size=(n_target, 4)),
        "target_labels": target_labels,
        "source_probs": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "source_predictions": logits.argmax(axis=1),
        "source_features": centres[source_labels] + rng.normal(size=(n_source, 4)),
        "source_labels": source_labels,
        "target_subjects": np.arange(n_target) % 2,
        "target_images": np.arange(n_target) % 4,
    }


def value(name: str, arrays: Arrays, **changed: np.ndarray) -> float:
    metric = METRICS[name]
    given = arrays | changed
    return metric.function(**{need: given[need] for need in metric.needs})


def entropy(labels: np.ndarray) -> float:
    shares = np.bincount(labels) / len(labels)
    return float(-(shares * np.log(shares)).sum())


def close(number: float):
    return pytest.approx(number, rel=2e-4, abs=1e-5)  # Sinkhorn is float32; the others agree far better


@pytest.mark.parametrize(
    "name", sorted(set(NAMES) - ORDER_MATTERS - {"lbtc"})
)  # whose anchors are evenly spaced in the order given
@few
@given(seed=seeds)
def test_order_of_samples_does_not_matter(name: str, seed: int) -> None:
    arrays = arrays_for(seed)
    order = np.random.default_rng(seed).permutation(len(arrays["target_labels"]))
    shuffled = {key: arrays[key][order] for key in SAMPLES}
    assert value(name, arrays, **shuffled) == close(value(name, arrays))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"zero_shot_dice", "lbtc"}))  # classes by name; where 0 is
@few
@given(seed=seeds)
def test_names_of_classes_do_not_matter(name: str, seed: int) -> None:
    arrays = arrays_for(seed)
    renamed = {
        "target_labels": np.array([4, 0, 2])[arrays["target_labels"]],
        "source_labels": np.array([7, -3, 200, 5])[arrays["source_labels"]],
        "source_predictions": np.array([9, 3, -1, 5])[arrays["source_predictions"]],
    }
    assert value(name, arrays, **renamed) == close(value(name, arrays))


@pytest.mark.parametrize("name", sorted(set(NAMES) - TREES - {"cc_fv", "nleep", "logme", "ped", "shrinkage_h_score"}))
@few
@given(seed=seeds)
def test_doubling_every_sample_changes_nothing(name: str, seed: int) -> None:
    # logme's evidence and the shrinkage count samples, and should
    arrays = arrays_for(seed)
    doubled = {key: np.concatenate([array, array]) for key, array in arrays.items()}
    assert value(name, doubled) == close(value(name, arrays))


FEATURES = sorted(name for name in NAMES if "target_features" in METRICS[name].needs)


@pytest.mark.parametrize("name", sorted(set(FEATURES) - {"ped"}))  # which standardises each feature
@few
@given(seed=seeds)
def test_rotation_of_features_does_not_matter(name: str, seed: int) -> None:
    arrays = arrays_for(seed)
    rotation = ortho_group.rvs(4, random_state=seed % 1000)
    rotated = {key: arrays[key] @ rotation for key in ("target_features", "source_features")}
    assert value(name, arrays, **rotated) == close(value(name, arrays))


@pytest.mark.parametrize("name", sorted(set(FEATURES) - {"transrate", "cc_fv", "sfda"}))
@pytest.mark.parametrize("factor", [1e-6, 1e6])
@few
@given(seed=seeds)
def test_unit_of_features_does_not_matter(name: str, factor: float, seed: int) -> None:
    arrays = arrays_for(seed)
    scaled = {key: arrays[key] * factor for key in ("target_features", "source_features")}
    assert value(name, arrays, **scaled) == close(value(name, arrays))


@pytest.mark.parametrize("name", sorted(set(FEATURES) - {"logme", "cc_fv", "shrinkage_h_score", "sfda", "ped"}))
@few
@given(seed=seeds)
def test_a_constant_feature_adds_nothing(name: str, seed: int) -> None:
    # but it is an intercept to logme, a direction to cc_fv's sphere, and counts in the mean variance that shrinks
    arrays = arrays_for(seed)
    wider = {
        key: np.hstack([arrays[key], np.full((len(arrays[key]), 1), 7.0)])
        for key in ("target_features", "source_features")
    }
    assert value(name, arrays, **wider) == close(value(name, arrays))


@pytest.mark.parametrize("name", ["nce", "leep", "nleep", "otce_sim", "jc_otce"])
@few
@given(seed=seeds)
def test_entropies_lie_between_minus_that_of_the_labels_and_zero(name: str, seed: int) -> None:
    arrays = arrays_for(seed)
    assert -entropy(arrays["target_labels"]) - 1e-6 <= value(name, arrays) <= 0


@few
@given(seed=seeds)
def test_other_bounds(seed: int) -> None:
    arrays = arrays_for(seed)
    assert 0 <= value("h_score", arrays) <= 2
    n_samples = len(arrays["target_labels"])
    assert 0 <= value("shrinkage_h_score", arrays) <= 2 * n_samples / (n_samples - 1)
    assert -6 <= value("gbc", arrays) <= 0


@pytest.mark.parametrize(
    ("name", "limit"),
    [("h_score", 2), ("nce", 0), ("leep", 0), ("nleep", 0), ("gbc", 0), ("otce_sim", 0), ("jc_otce", 0)],
)
def test_perfect_features_reach_the_upper_end(name: str, limit: float) -> None:
    labels = np.arange(60) % 3
    corners = np.eye(3)[labels] * 100 + 1e-3 * np.random.default_rng(0).normal(size=(60, 3))
    arrays = {
        "target_features": corners,
        "target_labels": labels,
        "source_probs": np.eye(3)[labels],
        "source_predictions": labels,
        "source_features": corners,
        "source_labels": labels,
    }
    # the entropy of transport lets a share of exp(-10) of each pixel's mass go astray
    assert value(name, arrays) == pytest.approx(limit, abs=2e-3)


@pytest.mark.parametrize("name", ["h_score", "shrinkage_h_score", "nce", "leep", "otce_sim", "jc_otce"])
def test_random_features_approach_the_lower_end(name: str) -> None:
    rng = np.random.default_rng(1)
    n_samples = 2000
    arrays = {
        "target_features": rng.normal(size=(n_samples, 3)),
        "target_labels": rng.integers(3, size=n_samples),
        "source_probs": rng.dirichlet(np.ones(4), size=n_samples),
        "source_predictions": rng.integers(4, size=n_samples),
        "source_features": rng.normal(size=(400, 3)),
        "source_labels": rng.integers(4, size=400),
    }
    lowest = 0 if "h_score" in name else -entropy(arrays["target_labels"])
    assert value(name, arrays) == pytest.approx(lowest, abs=0.02)


@pytest.mark.parametrize("name", sorted(set(FEATURES) - {"cc_fv", "grtd"}))  # variety; the paper's direction
def test_separated_classes_score_above_mixed_ones(name: str) -> None:
    arrays = arrays_for(5)
    near, far = (
        value(
            name,
            arrays,
            target_features=arrays["target_features"] + distance * np.eye(3, 4)[arrays["target_labels"]],
            source_features=arrays["source_features"] + distance * np.eye(4)[arrays["source_labels"]],
        )
        for distance in (0, 20)
    )
    assert far > near

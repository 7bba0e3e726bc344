from __future__ import annotations

import numpy as np
import pytest
import torch

from medtrans.errors import MetricError
from medtrans.metrics.arrays import as_features, as_labels, as_probabilities, as_values, centred, one_hot


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_features_are_not_copied(dtype) -> None:
    features = np.ones((3, 2), dtype=dtype)
    assert as_features(features) is features


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint8, bool])
def test_other_numbers_become_float64(dtype) -> None:
    features = as_features(np.ones((3, 2), dtype=dtype))
    assert features.dtype == np.float64
    assert (features == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32])
def test_torch_tensors_come_to_numpy(dtype: torch.dtype) -> None:
    features = as_features(torch.full((3, 2), 2, dtype=dtype))
    np.testing.assert_array_equal(features, np.full((3, 2), 2.0))
    assert as_features(torch.ones(3, 2, requires_grad=True)).dtype == np.float32


@pytest.mark.parametrize(
    ("features", "cause"),
    [
        (np.ones(3), "2 axes"),
        (np.ones((2, 2, 2)), "2 axes"),
        (np.ones((0, 4)), "empty"),
        (np.array([[np.nan, 1]]), "NaN"),
        (np.array([[np.inf, 1]]), "NaN or infinite"),
        (np.array([[-np.inf, 1]], dtype=np.float32), "NaN or infinite"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[1j, 1]]), "real numbers"),
        ([[1, 2], [3]], "not an array"),
    ],
)
def test_wrong_features_are_named(features, cause: str) -> None:
    with pytest.raises(MetricError, match=f"source_features: .*{cause}"):
        as_features(features, "source_features")


@pytest.mark.parametrize(
    "labels",
    [
        [0, 2, 5, 2],
        [[0], [2], [5], [2]],
        [-1.0, 0.0, 7.0, 0.0],
        np.array([1, 3, 255, 3], dtype=np.uint8),
        torch.tensor([1, 3, 4, 3]),
    ],
)
def test_labels_become_codes(labels) -> None:
    codes, n_classes = as_labels(labels, 4)
    assert codes.tolist() == [0, 1, 2, 1]
    assert codes.dtype == np.int64
    assert n_classes == 3


@pytest.mark.parametrize(
    ("labels", "cause"),
    [([0, 1, 1], "expected 4 labels"), ([0.5, 1, 2, 3], "whole numbers"), ([0, 1, np.nan, 1], "whole numbers")],
)
def test_wrong_labels_are_named(labels, cause: str) -> None:
    with pytest.raises(MetricError, match=f"target_labels: .*{cause}"):
        as_labels(labels, 4)


def test_probabilities_are_rescaled_to_sum_to_one() -> None:
    rounded = np.array([[0.3333, 0.6666], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(as_probabilities(rounded).sum(axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize("probabilities", [[[2.0, 1.0]], [[-0.5, 1.5]], [[0.2, 0.2]]])
def test_logits_are_not_probabilities(probabilities) -> None:
    with pytest.raises(MetricError, match=r"source_probs: .*logits"):
        as_probabilities(probabilities)


def test_values_get_a_column_axis() -> None:
    assert as_values([1, 2, 3], 3).shape == (3, 1)
    with pytest.raises(MetricError, match="expected 4 rows"):
        as_values([1, 2, 3], 4)


def test_one_hot_sums_by_class() -> None:
    values = np.array([[1.0], [10], [100]])
    np.testing.assert_array_equal(one_hot(np.array([1, 0, 1]), 2).T @ values, [[10], [101]])


def test_centring_leaves_nothing_of_a_constant_column() -> None:
    assert not centred(np.full((7, 1), 1e30)).any()

"""What every metric takes: NumPy or torch arrays, checked once, with errors that name the array at fault."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from medtrans.errors import MetricError

Floats = NDArray[np.floating[Any]]


def as_features(features: Any, name: str = "target_features") -> Floats:
    """Features as a finite floating array of shape (N, D).

    float32 and float64 are kept as they are, without a copy; every other real dtype becomes float64. Torch tensors are
    detached and moved to the CPU. Raises MetricError for anything but two axes, for an empty array, and for NaN or
    infinite values.
    """
    array = as_array(features, name)
    if array.ndim != 2:
        raise MetricError(f"{name}: expected 2 axes (samples, features), found shape {array.shape}; reshape it")
    return _finite_floats(array, name)


def as_values(values: Any, n_samples: int, name: str = "target_values") -> NDArray[np.float64]:
    """Regression targets as float64 (N, T); shape (N,) becomes (N, 1). Raises MetricError like `as_features`."""
    array = as_array(values, name)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != n_samples:
        raise MetricError(f"{name}: expected {n_samples} rows, one per sample, found shape {array.shape}")
    return _finite_floats(array, name).astype(np.float64, copy=False)


def as_labels(labels: Any, n_samples: int, name: str = "target_labels") -> tuple[NDArray[np.int64], int]:
    """Labels as codes 0..K-1 in the order of their values, and K, the number of classes that occur.

    Any integers will do, gaps and negative ids included; booleans and integral floats too, in shape (N,) or (N, 1).
    Raises MetricError for another length, and for labels that are not whole numbers.
    """
    array = as_array(labels, name)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.shape != (n_samples,):
        raise MetricError(f"{name}: expected {n_samples} labels, one per sample, found shape {array.shape}")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise MetricError(f"{name}: labels are class ids, but some are not whole numbers; round or repair them")
    classes, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int64, copy=False), len(classes)


def as_probabilities(probabilities: Any, name: str = "source_probs") -> NDArray[np.float64]:
    """Class probabilities as float64 of shape (N, C), each row summing to 1 (rescaled when it is off by up to 1e-3).

    Raises MetricError as `as_features`, for negative values, and for rows that sum to something else (logits, say).
    """
    array = as_features(probabilities, name)
    if array.min() < 0:
        raise MetricError(f"{name}: holds negative values; pass probabilities, not logits")
    array = array.astype(np.float64, copy=False)
    totals = array.sum(axis=1, keepdims=True)
    if not np.allclose(totals, 1, rtol=0, atol=1e-3):
        raise MetricError(f"{name}: rows must sum to 1; pass probabilities, not logits")
    return np.asarray(array / totals, dtype=np.float64)


def require_classes(n_classes: int, name: str = "target_labels", at_least: int = 2) -> None:
    """Raise MetricError when there are fewer classes than the metric needs."""
    if n_classes < at_least:
        raise MetricError(f"{name}: {n_classes} class occurs, but at least {at_least} are needed; sample other pixels")


class Labelled(NamedTuple):
    """Features of mean 0 and largest absolute value 1, with the class of each row."""

    features: NDArray[np.float64]  # (N, D)
    labels: NDArray[np.int64]  # (N,), 0 to K - 1, each of which occurs
    n_classes: int  # K, at least 2
    size: float  # the largest absolute value before, or 1


def labelled(target_features: Any, target_labels: Any) -> Labelled:
    """What metrics of classes in feature space begin with; raises as `as_features`, `as_labels`, `require_classes`."""
    features, size = of_unit_size(as_features(target_features))
    labels, n_classes = as_labels(target_labels, len(features))
    require_classes(n_classes)
    return Labelled(features, labels, n_classes, size)


def one_hot(codes: NDArray[np.int64], n_classes: int) -> csr_array:
    """Indicator of each sample's class, sparse (N, K): ``one_hot(codes, K).T @ values`` sums values by class."""
    n_samples = len(codes)
    return csr_array((np.ones(n_samples), codes, np.arange(n_samples + 1)), shape=(n_samples, n_classes))


def centred(features: Floats) -> NDArray[np.float64]:
    """Features minus their mean, a float64 copy."""
    shifted = features.astype(np.float64)
    shifted -= shifted[0].copy()  # a constant column becomes exactly 0, whatever its size
    shifted -= shifted.mean(axis=0)
    return shifted


def of_unit_size(features: Floats) -> tuple[NDArray[np.float64], float]:
    """Centred features divided by their largest absolute value, so that no square overflows; and that value, or 1."""
    shifted = centred(features)
    size = float(np.abs(shifted).max())
    return (shifted / size, size) if size > 0 else (shifted, 1.0)


def above_rounding(singular: Floats, matrix: Floats, name: str) -> NDArray[np.bool_]:
    """Which singular values of a matrix, largest first, are more than rounding.

    Raises MetricError when a whole column is lost in the rounding of larger ones: dropping it would be a silent guess.
    """
    rounding = singular[0] * max(matrix.shape) * np.finfo(np.float64).eps
    sizes = np.abs(matrix).max(axis=0)
    if ((sizes > 0) & (sizes <= rounding)).any():
        raise MetricError(f"{name}: columns differ in size so much that rounding hides the small ones; rescale them")
    return np.asarray(singular > rounding)


def as_array(values: Any, name: str) -> NDArray[Any]:
    """A real, non-empty NumPy array; torch tensors come to the CPU. Raises MetricError for text, objects, complex."""
    if hasattr(values, "detach"):  # a torch tensor, told apart without importing torch
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values  # NumPy has no bfloat16
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name}: not an array of numbers ({error})") from error
    if array.dtype.kind not in "buif":
        raise MetricError(f"{name}: expected real numbers, found dtype {array.dtype}")
    if array.size == 0:
        raise MetricError(f"{name}: is empty, shape {array.shape}; pass at least one sample")
    return array


def _finite_floats(array: NDArray[Any], name: str) -> Floats:
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if not (np.isfinite(array.min()) and np.isfinite(array.max())):  # NaN passes through both; no boolean copy
        raise MetricError(f"{name}: holds NaN or infinite values; find out where they come from, or drop those samples")
    return array

"""One source under every metric: one pass of its network, then each metric on each repeated sample."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medtrans.errors import BundleError, MedtransError, MedtransWarning
from medtrans.features import extract_features
from medtrans.metrics.registry import Metric
from medtrans.networks import size_divisor
from medtrans.sampling import PixelSample
from medtrans.selection.results import Missing
from medtrans.selection.stopwatch import Stopwatch
from medtrans.sources import Source
from medtrans.sources.fit import misfit
from medtrans.tasks import Task

Values = dict[str, tuple[float, ...]]
"""By metric: one value per repetition."""


def score_source(
    source: Source, target: Task, sample: PixelSample, metrics: Sequence[Metric], device: str, clock: Stopwatch
) -> tuple[Values, list[Missing]]:
    """Every metric's values for one source. What cannot be had is returned as missing, with the reason."""
    with clock("features"):
        try:
            arrays = pixel_arrays(source, target, sample, device)
        except (MedtransError, RuntimeError) as error:  # RuntimeError: torch's own, out of memory among them
            if isinstance(error, BundleError):  # weights are read here, long after the pool was
                warnings.warn(f"source '{source.name}' is left out: {error}", MedtransWarning, stacklevel=2)
            return {}, [Missing(source.name, metric.label, _one_line(error)) for metric in metrics]
    values: Values = {}
    missing = []
    for metric in metrics:
        with clock(metric.label):
            try:
                _require_current(source, metric)
                values[metric.label] = metric_values(metric, arrays, sample)
            except Exception as error:  # a metric by third parties may fail in any way
                missing.append(Missing(source.name, metric.label, _one_line(error)))
    return values, missing


def pixel_arrays(source: Source, target: Task, sample: PixelSample, device: str) -> dict[str, Any]:
    """Every array that a metric may ask for by name; those of the target at all U sampled pixels.

    Raises:
        MedtransError: the source does not fit the target, or cannot be loaded.
    """
    if found := misfit(source, target):
        raise MedtransError(found)
    pixels = extract_features(
        source.load_network(device),
        target.cases,
        sample,
        divisor=size_divisor(source.network_definition),
        activation=source.activation,
        device=device,
    )
    arrays: dict[str, Any] = {
        "target_features": pixels.features,
        "target_labels": sample.label.astype(np.int64),
        "source_probs": pixels.probabilities,
        "source_predictions": pixels.predictions,
        "target_images": sample.case_index,
    }
    if source.signature is not None and source.signature.features is not None:
        arrays |= {"source_features": source.signature.features, "source_labels": source.signature.labels}
    return arrays


def _require_current(source: Source, metric: Metric) -> None:
    """Raise BundleError where a metric needs features of a signature that an older medtrans took otherwise."""
    if source.signature is not None and source.signature.is_outdated and "source_features" in metric.needs:
        raise BundleError("the source's signature is of an older version, whose features do not compare; see the notes")


def metric_values(metric: Metric, arrays: Mapping[str, Any], sample: PixelSample) -> tuple[float, ...]:
    """One value per repetition; raises MedtransError with the reason where there is none.

    Repetitions that hold the same pixels, because there are no others, are computed once.
    """
    absent = [name for name in metric.needs if name not in arrays]
    if absent:
        raise MedtransError(f"the source's signature does not hold {' and '.join(absent)}")
    if "target_labels" in metric.needs and len(np.unique(sample.label)) < 2:
        raise MedtransError("the sampled pixels of the target are all of one class")
    values: list[float] = []
    for chosen in sample.repetitions[: 1 if same_pixels(sample) else None]:
        value = metric.value(**{name: _chosen(arrays, name, chosen) for name in metric.accepts if name in arrays})
        if not math.isfinite(value):
            raise MedtransError(f"the metric gave {value}")
        values.append(float(value))
    return tuple(values * (len(sample.repetitions) // len(values)))


def same_pixels(sample: PixelSample) -> bool:
    """Whether all repetitions hold the same pixels."""
    first, *others = sample.repetitions
    return all(np.array_equal(first, other) for other in others)


def _chosen(arrays: Mapping[str, Any], name: str, chosen: Any) -> Any:
    """The array at one repetition's pixels; the signature's own pixels stay as they are."""
    return arrays[name] if name in ("source_features", "source_labels") else arrays[name][chosen]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""One source under every metric: one pass of its network, then each metric on each repeated sample."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import BundleError, MedtransError, MedtransWarning, reason
from medtrans.features import PixelFeatures, extract_features
from medtrans.metrics.registry import ARRAY_NAMES, Metric
from medtrans.networks import size_divisor
from medtrans.sampling import PixelSample, WholeImages, whole_images
from medtrans.selection.results import Missing
from medtrans.selection.stopwatch import Stopwatch
from medtrans.sources import Source
from medtrans.sources.fit import misfit
from medtrans.tasks import Task

Values = dict[str, tuple[float, ...]]
"""By metric: one value per repetition."""

_OF_SAMPLED = (*(name for name in ARRAY_NAMES if name.startswith("target_")), "source_probs", "source_predictions")
"""Arrays that have a row for each sampled pixel."""


@dataclass(frozen=True, eq=False)
class LookedAt:
    """Where a ranking looks at a target.

    Attributes:
        sample: repeated samples of pixels.
        whole: the labelled images as a whole; None where no metric needs them.
    """

    sample: PixelSample
    whole: WholeImages | None = None

    @property
    def parts(self) -> list[PixelSample | WholeImages]:
        """The sample, and the whole images where there are any."""
        return [self.sample] if self.whole is None else [self.sample, self.whole]


@dataclass(frozen=True, eq=False)
class Look:
    """Metrics, and where they look."""

    looked: LookedAt
    metrics: tuple[Metric, ...]


class _Joined:
    """The pixels of several parts, one after the other."""

    def __init__(self, parts: Sequence[PixelSample | WholeImages]) -> None:
        self.case_index: NDArray[np.int64] = np.concatenate([it.case_index for it in parts])
        self.position: NDArray[np.int64] = np.concatenate([it.position for it in parts])


def look_at(target: Task, sample: PixelSample, metrics: Sequence[Metric], seed: int) -> LookedAt:
    """The sampled pixels, and the whole images where one of the metrics needs them; ``seed`` draws from large ones."""
    if not any(metric.looks_at_whole_images for metric in metrics):
        return LookedAt(sample)
    return LookedAt(sample, whole_images(target.cases, rng=np.random.default_rng(seed)))


def score_source(
    source: Source, target: Task, looks: Sequence[Look], device: str, clock: Stopwatch
) -> list[tuple[Values, list[Missing]]]:
    """By look, every metric's values for one source, in one pass of its network.

    What cannot be had is returned as missing, with the reason.
    """
    with clock("features"):
        try:
            arrays = pixel_arrays(source, target, [look.looked for look in looks], device)
        except Exception as error:  # a stranger's network may fail in any way
            why = reason(error)
            if isinstance(error, BundleError):  # weights are read here, long after the pool was
                warnings.warn(f"source '{source.name}' is left out: {why}", MedtransWarning, stacklevel=2)
            return [({}, [Missing(source.name, metric.label, why) for metric in look.metrics]) for look in looks]
    return [_scored(source, look, found, clock) for look, found in zip(looks, arrays, strict=True)]


def _scored(source: Source, look: Look, arrays: Mapping[str, Any], clock: Stopwatch) -> tuple[Values, list[Missing]]:
    values: Values = {}
    missing = []
    for metric in look.metrics:
        with clock(metric.label):
            try:
                _require_current(source, metric)
                values[metric.label] = metric_values(metric, arrays, look.looked.sample)
            except Exception as error:  # a metric by third parties may fail in any way
                missing.append(Missing(source.name, metric.label, reason(error)))
    return values, missing


def pixel_arrays(source: Source, target: Task, looks: Sequence[LookedAt], device: str) -> list[dict[str, Any]]:
    """By look, every array that a metric may ask for by name; those of the target at all U sampled pixels, or of whole
    images.

    Raises:
        MedtransError: the source does not fit the target, or cannot be loaded.
    """
    if found := misfit(source, target):
        raise MedtransError(found)
    parts = [part for looked in looks for part in looked.parts]
    pixels = extract_features(
        source.load_network(device),
        target.cases,
        _Joined(parts),
        divisor=size_divisor(source.network_definition),
        activation=source.activation,
        device=device,
    )
    ends = np.cumsum([len(part) for part in parts]).tolist()
    of_part = iter([pixels.at(slice(end - len(part), end)) for part, end in zip(parts, ends, strict=True)])
    signature: dict[str, Any] = {}
    if source.signature is not None and source.signature.features is not None:
        signature = {"source_features": source.signature.features, "source_labels": source.signature.labels}
    return [
        _of_sample(target, looked.sample, next(of_part))
        | ({} if looked.whole is None else _of_whole(target, looked.whole, next(of_part)))
        | signature
        for looked in looks
    ]


def _of_sample(target: Task, sample: PixelSample, pixels: PixelFeatures) -> dict[str, Any]:
    subjects = np.array([target.subjects.index(case.subject) for case in target.cases])
    return {
        "target_features": pixels.features,
        "target_labels": sample.label.astype(np.int64),
        "source_probs": pixels.probabilities,
        "source_predictions": pixels.predictions,
        "target_images": sample.case_index,
        "target_subjects": subjects[sample.case_index],
    }


def _of_whole(target: Task, whole: WholeImages, pixels: PixelFeatures) -> dict[str, Any]:
    first = int(not target.has_background)  # 0 is the background of these arrays, where there is one
    return {
        "whole_features": pixels.features,
        "whole_labels": whole.label.astype(np.int64) + first,
        "whole_predictions": pixels.predictions + first,
        "whole_images": whole.case_index,
        "whole_subjects": whole.subject,
        "whole_weights": whole.weight,
    }


def _require_current(source: Source, metric: Metric) -> None:
    """Raise BundleError where a metric needs features of a signature that an older medtrans took otherwise."""
    if source.signature is not None and source.signature.is_outdated and "source_features" in metric.needs:
        raise BundleError("the source's signature is of an older version, whose features do not compare; see the notes")


def metric_values(metric: Metric, arrays: Mapping[str, Any], sample: PixelSample) -> tuple[float, ...]:
    """One value per repetition; raises MedtransError with the reason where there is none.

    What is the same in all repetitions is computed once: where they hold the same pixels, because there are no others,
    and what needs whole images alone.
    """
    absent = [name for name in metric.needs if name not in arrays]
    if absent:
        raise MedtransError(f"the source's signature does not hold {' and '.join(absent)}")
    if "target_labels" in metric.needs and len(np.unique(sample.label)) < 2:
        raise MedtransError("the sampled pixels of the target are all of one class")
    values: list[float] = []
    once = same_pixels(sample) or not looks_at_sample(metric)
    for chosen in sample.repetitions[: 1 if once else None]:
        value = metric.value(**{name: _chosen(arrays, name, chosen) for name in metric.accepts if name in arrays})
        if not math.isfinite(value):
            raise MedtransError(f"the metric gave {value}")
        values.append(float(value))
    return tuple(values * (len(sample.repetitions) // len(values)))


def looks_at_sample(metric: Metric) -> bool:
    """Whether a metric depends on which pixels were sampled."""
    return any(name in metric.accepts for name in _OF_SAMPLED)


def same_pixels(sample: PixelSample) -> bool:
    """Whether all repetitions hold the same pixels."""
    first, *others = sample.repetitions
    return all(np.array_equal(first, other) for other in others)


def _chosen(arrays: Mapping[str, Any], name: str, chosen: Any) -> Any:
    """The array at one repetition's pixels; those of the signature and of whole images stay as they are."""
    return arrays[name][chosen] if name in _OF_SAMPLED else arrays[name]

"""Every error a user can meet. Each message is one line: what, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MedtransError(Exception):
    """Base of all errors that medtrans raises on purpose; the command line prints it and exits 2."""


class ConfigError(MedtransError):
    """A configuration file or setting is wrong."""


class DataError(MedtransError):
    """An image, a label map or a folder of them is not what it should be."""


class SamplingError(MedtransError):
    """No pixels can be drawn as asked."""


class BundleError(MedtransError):
    """A source's bundle is broken, incomplete, or refused because it is not safe to load."""


class NetworkError(MedtransError):
    """A network cannot be built, or does not fit the data."""


class TrainingError(MedtransError):
    """Training or fine-tuning cannot go on."""


class MetricError(MedtransError):
    """A metric has no sensible value for these arrays."""


class ConvergenceError(MetricError):
    """An iteration inside a metric stopped before it converged."""


class StudyError(MedtransError):
    """A study cannot begin, go on or be read."""


class MedtransWarning(UserWarning):
    """Something was left out or done differently; the result says so too."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End of an error message for an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}
    nearest = get_close_matches(word, names, n=1, cutoff=0.5)
    nearest = nearest or [by_lower[name] for name in get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)]
    return f"did you mean '{nearest[0]}'?" if nearest else f"known are: {', '.join(names)}"

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


def one_line(error: BaseException, most: int = 400) -> str:
    r"""What an error says in one printable line of at most so many signs, whatever the names in it hold.

    >>> one_line(ValueError("no such\n  key"))
    'no such key'
    """
    text = " ".join(str(error).split())
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text[: 2 * most] + text[2 * most :][-most:])
    if len(text) > most:
        text = f"{text[: most // 2]} ... {text[-(most // 2) :]}"
    return text or type(error).__name__


def reason(error: BaseException) -> str:
    """Why something of others is left out: what a MedtransError says; of any other error its kind too."""
    told, kind = one_line(error), type(error).__name__
    return told if isinstance(error, MedtransError) or told == kind else f"{kind}: {told}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End of an error message for an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}
    nearest = get_close_matches(word, names, n=1, cutoff=0.5)
    nearest = nearest or [by_lower[name] for name in get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)]
    return f"did you mean '{nearest[0]}'?" if nearest else f"known are: {', '.join(names)}"

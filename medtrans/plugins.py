"""What installed packages add to medtrans by entry points."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Protocol, TypeVar

from medtrans.errors import MedtransWarning


class Named(Protocol):
    """Anything that users call by a name."""

    @property
    def name(self) -> str:
        """What users write."""


Plugin = TypeVar("Plugin", bound=Named)


def with_plugins(
    own: Mapping[str, Plugin], entry_points: Iterable[EntryPoint], kind: type[Plugin]
) -> dict[str, Plugin]:
    """What medtrans brings along and what entry points load to, by name.

    A broken one, one that is no ``kind``, or whose name is taken, is left out with a MedtransWarning.
    """
    found = dict(own)
    for entry_point in entry_points:
        try:
            plugin = entry_point.load()
        except Exception as error:  # another package's import may fail in any way
            _leave_out(entry_point, f"it does not load ({type(error).__name__}: {error})")
            continue
        if not isinstance(plugin, kind):
            expected = f"{kind.__module__}.{kind.__qualname__}"
            _leave_out(entry_point, f"it is a {type(plugin).__name__}, not a {expected}")
        elif plugin.name in found:
            _leave_out(entry_point, f"the name '{plugin.name}' is taken")
        else:
            found[plugin.name] = plugin
    return found


def _leave_out(entry_point: EntryPoint, reason: str) -> None:
    text = f"entry point '{entry_point.name}' of {entry_point.group} left out: {reason}"
    warnings.warn(text, MedtransWarning, stacklevel=4)

"""What changed between two runs that should be the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What changed between two mappings of JSON values, for an error message; empty if nothing did.

    >>> differences({"training": {"steps": 600, "seed": 0}}, {"training": {"steps": 300, "seed": 0}})
    'training.steps: 600, now 300'
    """
    return ", ".join(_changes(before, now, ""))


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> list[str]:
    found = []
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _changes(old, new, f"{where}{key}.")
        elif old != new:
            found.append(f"{where}{key}: {old}, now {new}")
    return found

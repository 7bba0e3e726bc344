"""Reading a stranger's files: only plain JSON, and only files that lie in the bundle itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medtrans.errors import BundleError, one_line

_MAX_JSON_BYTES = 16 * 2**20

T = TypeVar("T")


@dataclass(frozen=True)
class Document:
    """A JSON object and the file it came from, for messages that name both file and key."""

    file: Path
    content: dict[str, Any]

    def get(self, *keys: str, kind: type[T]) -> T:
        """Take the value under nested keys, of lists by number; BundleError where it is missing or of another kind."""
        value: Any = self.content
        where = ".".join(keys)
        for key in keys:
            if isinstance(value, list) and key.isdecimal() and len(key) < 6 and int(key) < len(value):
                value = value[int(key)]
                continue
            if not isinstance(value, dict) or key not in value:
                raise BundleError(f"{self.file}: key '{where}' is missing; is this file of a MONAI bundle?")
            value = value[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BundleError(f"{self.file}: key '{where}' is {_shown(value)}, not {_KINDS[kind]}")
        return value


_KINDS: dict[type, str] = {str: "a text", int: "a whole number", dict: "a mapping", list: "a list"}


def member(bundle: Path, relative: str) -> Path:
    """Path of a file of the bundle.

    Raises:
        BundleError: it is missing, is no regular file, cannot be reached, or lies outside the bundle behind a link.
    """
    path = bundle / relative
    try:
        inside = path.resolve().is_relative_to(bundle.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: before Python 3.13, for a link that leads to itself
        raise BundleError(f"{path}: a link that leads nowhere; put the file itself there") from error
    if not inside:
        raise BundleError(f"{path}: leads out of the bundle; put the file itself there")
    try:
        is_file = path.is_file()
    except OSError as error:
        raise unreadable(path, error) from error
    if not is_file:
        raise BundleError(f"{path}: missing, or not a file; is the bundle complete?")
    return path


def unreadable(path: Path, error: OSError) -> BundleError:
    """What to raise where the system does not let a file or folder be read."""
    return BundleError(f"{path}: cannot be read ({error.strerror or error})")


def read_document(bundle: Path, relative: str) -> Document:
    """Read a JSON object as text and numbers; raises BundleError for everything else. Nothing in it is evaluated."""
    path = member(bundle, relative)
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise BundleError(f"{path}: {path.stat().st_size} bytes are too many for a configuration")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not plain JSON: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: holds {_shown(content)}, not a mapping")
    return Document(path, content)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

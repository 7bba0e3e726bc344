"""From YAML to checked settings. An unknown key is an error that names the nearest one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from medtrans.config.settings import Settings
from medtrans.errors import ConfigError, did_you_mean, one_line

AnySettings = TypeVar("AnySettings", bound=Settings)


def load_settings(path: str | Path, kind: type[AnySettings]) -> AnySettings:
    """Read a YAML file into ``kind``; raises ConfigError with the file, the key and what to do."""
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        detail = one_line(error)
        raise ConfigError(f"{path}: not a YAML file: {detail}; repair it") from error
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else type(raw).__name__
        raise ConfigError(f"{path}: expected 'key: value' lines, found {found}; see configs/ for examples")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error, kind)}") from error


def checked(value: AnySettings | Mapping[str, Any], kind: type[AnySettings], what: str) -> AnySettings:
    """Settings as they are, or made from a dictionary of them; raises ConfigError that begins with ``what``."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what}: is a {type(value).__name__}; give {kind.__name__}, or a dictionary of its values")
    try:
        return kind.model_validate(dict(value))
    except ValidationError as error:
        raise ConfigError(f"{what}: {_first_problem(error, kind)}") from error


def _first_problem(error: ValidationError, kind: type[Settings]) -> str:
    problem = min(error.errors(), key=_how_beside_the_point)
    where = ".".join(str(part) for part in problem["loc"] if not _UNION_MEMBER.fullmatch(str(part)))
    if problem["loc"] and problem["loc"][-1] == "[key]":  # of a mapping, which pydantic places by its text
        where = where.rsplit(".", 2)[0]
        return f"key '{where}': YAML reads a name in it as {_shown(problem['input'])}; put it into quotes"
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, problem["loc"][:-1])
        return f"unknown key '{where}'; {did_you_mean(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"key '{where}' is missing; add it"
    return f"key '{where}': {_said(problem)} (found {_shown(problem['input'])})"


def _how_beside_the_point(problem: Any) -> int:
    """Of several messages about one value, the one that helps comes first.

    A misspelt key is also a missing one, a metric with options that miss something is also no text, and a mapping with
    a wrong value is also no list.
    """
    if problem["type"] == "extra_forbidden":
        return 0
    return 2 if problem["type"] in _OTHER_FORM and isinstance(problem["input"], dict | list) else 1


# In pydantic's locations, after the key.
_UNION_MEMBER = re.compile(r"constrained-\w+|tuple\[.*|dict\[.*|int|float|str|MetricSettings")
_OTHER_FORM = ("string_type", "tuple_type", "dict_type", "model_type")
_EXPECTED = {
    "tuple_type": "expected a list, such as [a, b]",
    "model_type": "expected 'key: value' lines",
    "string_type": "expected a text; put it into quotes",
    "path_type": "expected a path",
    "too_short": "the list is empty; name at least one",
}


def _said(problem: Any) -> str:
    """What is wrong, in the words of a YAML file where pydantic speaks of Python."""
    names = re.findall(r"'([^']*)'", problem["ctx"]["expected"]) if problem["type"] == "literal_error" else []
    if names:
        return f"unknown; {did_you_mean(str(problem['input']), names)}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    message = str(problem["msg"])
    return _EXPECTED.get(problem["type"], message[0].lower() + message[1:])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(kind: type[Settings], where: tuple[Any, ...]) -> list[str]:
    for part in where:
        field = kind.model_fields.get(str(part))
        nested = [option for option in _options(field.annotation) if _is_settings(option)] if field else []
        if nested:
            kind = nested[0]
    return list(kind.model_fields)


def _options(annotation: Any) -> list[Any]:
    """What an annotation is made of, however nested."""
    members = getattr(annotation, "__args__", ())
    return [option for member in members for option in _options(member)] if members else [annotation]


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)

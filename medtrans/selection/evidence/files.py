"""Reading what studies wrote for rankings: JSON files that nobody need trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from medtrans.config import Settings
from medtrans.errors import ConfigError, one_line

MAX_BYTES = 2**20

Model = TypeVar("Model", bound=Settings)


def read_model(path: Path, model: type[Model], what: str, remedy: str) -> Model:
    """A JSON file as settings; raises ConfigError for any file that is not ``what``, with the remedy."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: too long for {what}; {remedy}")
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: not {what}: {_first_problem(error)}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a JSON file: {one_line(error)}; {remedy}") from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"]))
    return f"key '{where}': {problem['msg']}" if where else str(problem["msg"])

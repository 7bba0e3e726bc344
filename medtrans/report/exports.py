"""Files for other programs. None of them holds an image, or a pixel of one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medtrans.errors import MedtransError
from medtrans.selection import Ranking
from medtrans.selection.text import answer, stakes


def write_csv(ranking: Ranking, path: str | Path) -> None:
    """One row per source and metric, in the order of the ranking; see `Ranking.to_frame`."""
    write_text(path, ranking_csv(ranking))


def ranking_csv(ranking: Ranking) -> str:
    """The text of `write_csv`."""
    return ranking.to_frame().to_csv(index=False, lineterminator="\n")


def write_json(ranking: Ranking, path: str | Path) -> None:
    """Everything the ranking tells but the picture; see `ranking_data`."""
    write_text(path, ranking_json(ranking))


def ranking_json(ranking: Ranking) -> str:
    """The text of `write_json`."""
    return json.dumps(ranking_data(ranking), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def ranking_data(ranking: Ranking) -> dict[str, Any]:
    """A ranking as plain values: the answer, scores with one value per repetition, dropped, missing, provenance ..."""
    return {
        "target": str(ranking.target),
        "answer": answer(ranking),
        "stakes": stakes(ranking),
        "class_names": list(ranking.class_names),
        "metrics": list(ranking.metrics),
        "n_pixels": ranking.n_pixels,
        "scores": [asdict(score) for score in ranking.scores],
        "dropped": [asdict(dropped) for dropped in ranking.dropped],
        "missing": [asdict(missing) for missing in ranking.missing],
        "notes": list(ranking.notes),
        "provenance": asdict(ranking.provenance),
        "evidence": [evidence.model_dump(mode="json") for evidence in ranking.evidence],
    }


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all, making its folder if need be.

    Raises:
        MedtransError: the file cannot be written.
    """
    write_texts({Path(path): text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write UTF-8 files by path, each whole, and none before there is room for all; makes folders if need be.

    Raises:
        MedtransError: a file cannot be written.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporaries[path].write_text(text, encoding="utf-8")
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except OSError as error:
        raise MedtransError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free space"
        ) from error
    finally:
        for temporary in temporaries.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

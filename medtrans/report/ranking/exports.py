"""Files for other programs. None of them holds an image, or a pixel of one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medtrans.csv_text import csv_text
from medtrans.report.files import write_text
from medtrans.selection import Ranking
from medtrans.selection.text import answer, stakes


def write_csv(ranking: Ranking, path: str | Path) -> None:
    """One row per source and metric, in the order of the ranking; see `Ranking.to_frame`."""
    write_text(path, ranking_csv(ranking))


def ranking_csv(ranking: Ranking) -> str:
    """The text of `write_csv`."""
    return csv_text(ranking.to_frame())


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
        "expected": {source: [asdict(it) for it in found] for source, found in ranking.expected.items()},
        "expectation": ranking.expectation and ranking.expectation.model_dump(mode="json"),
        "evidence": [evidence.model_dump(mode="json") for evidence in ranking.evidence],
    }

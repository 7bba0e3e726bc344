"""What a study tells to the rankings of other targets: how much its metrics' first picks gained."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from medtrans.selection.evidence import Evidence, Finding
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.ceiling import FEWEST
from medtrans.studies.findings.compare import agreement_table
from medtrans.studies.findings.people import People
from medtrans.tasks import TaskName

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results


def evidence(results: Results, agreements: pd.DataFrame | None = None) -> Evidence:
    """The findings by the study's first sampler, of every mode, metric and filter that can be judged on 3 targets.

    The study is named after the folder of its output. ``agreements`` is `agreement_table`, where it is at hand.
    """
    job = results.job
    name = job.output.resolve().name
    table = agreement_table(results) if agreements is None else agreements
    table = table[(table["sampler"] == results.samplers[0]) & (table["note"] == "")]
    findings = []
    for (mode, metric, filter_name), group in table.groupby(["mode", "metric", "filter"], sort=False):
        if len(group) >= FEWEST:
            filters = None if filter_name == NO_FILTER else job.filters[str(filter_name)]
            findings.append(Finding(metric=metric, mode=mode, filters=filters, **_gain(group, results.people)))
    return Evidence(
        study=name if name and name.isprintable() else "study",
        began=datetime.fromisoformat(results.began).date(),
        domains=tuple(sorted({TaskName.of_target(target).domain for target in results.targets})),
        photographs=job.photographs,
        n_sources=len(results.sources),
        n_targets=len(results.targets),
        n_seeds=len(job.seeds),
        sampler=job.samplers[results.samplers[0]],
        measure=results.measure,
        findings=tuple(findings),
        versions=dict(results.versions),
    )


def evidence_json(results: Results, agreements: pd.DataFrame | None = None) -> str:
    """`evidence` as the text of a file that ``evidence`` of ``medtrans rank`` reads."""
    return evidence(results, agreements).model_dump_json(indent=2) + "\n"


def _gain(judged: pd.DataFrame, people: People) -> dict[str, float | None]:
    interval = people.interval(judged, ["gain_first"])
    n_people, n_groups = people.counts(judged["target"].tolist())
    return {
        "n_targets": len(judged),
        "n_people": n_people,
        "n_groups": n_groups,
        "gain": round(interval.estimate, 6),
        "gain_low": _known(interval.low),
        "gain_high": _known(interval.high),
        "share_above_mean": float((judged["gain_first"] > 1e-9).mean()),  # not what rounding leaves of a tie
        "regret": round(float(judged["regret"].mean()), 6),
    }


def _known(end: float) -> float | None:
    return None if math.isnan(end) else round(end, 6)

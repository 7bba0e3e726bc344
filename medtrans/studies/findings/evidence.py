"""What a study tells to the rankings of other targets: how much its metrics' first picks gained."""

from __future__ import annotations

import math
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtrans.selection.evidence import Evidence, Finding
from medtrans.studies.engine.pieces import NO_FILTER
from medtrans.studies.findings.ceiling import FEWEST
from medtrans.studies.findings.compare import Best, agreement_table, best_baselines, with_ahead
from medtrans.studies.findings.people import People, Replicates, with_ends
from medtrans.tasks import TaskName, n_tasks

if TYPE_CHECKING:
    from medtrans.studies.findings.results import Results


def evidence(results: Results, agreements: pd.DataFrame | None = None, without: Replicates | None = None) -> Evidence:
    """The findings by the study's first sampler, of every mode, metric and filter that can be judged on 3 targets.

    The study is named after the folder of its output. ``agreements`` is `agreement_table`, and ``without``
    that without each person, where they are at hand.
    """
    job = results.job
    table = agreement_table(results) if agreements is None else agreements
    without = Replicates.of(results, agreement_table) if without is None else without
    table = table[table["sampler"].isin([results.samplers[0], ""]) & (table["note"] == "")]
    best = best_baselines(table)
    table, without = with_ahead(table, best), without.map(partial(with_ahead, best=best))
    findings = []
    for (mode, metric, filter_name), group in table.groupby(["mode", "metric", "filter"], sort=False):
        if n_tasks(group["target"]) >= FEWEST:
            keys = {"mode": mode, "metric": metric, "filter": filter_name, "note": ""}
            others = without.where({**keys, "sampler": group["sampler"].iloc[0]})
            found = _gain(group, results.people, others) | _ahead(group, best, results.people, others)
            filters = None if filter_name == NO_FILTER else job.filters[str(filter_name)]
            findings.append(Finding(metric=metric, mode=mode, filters=filters, **found))
    return Evidence(
        study=results.name,
        began=datetime.fromisoformat(results.began).date(),
        domains=tuple(sorted({TaskName.of_target(target).domain for target in results.targets})),
        photographs=job.photographs,
        n_sources=len(results.sources),
        n_targets=n_tasks(results.targets),
        n_seeds=len(job.seeds),
        sampler=job.samplers[results.samplers[0]],
        measure=results.measure,
        findings=tuple(findings),
        versions=dict(results.versions),
    )


def evidence_json(results: Results, agreements: pd.DataFrame | None = None, without: Replicates | None = None) -> str:
    """`evidence` as the text of a file that ``evidence`` of ``medtrans rank`` reads."""
    return evidence(results, agreements, without).model_dump_json(indent=2) + "\n"


def _gain(judged: pd.DataFrame, people: People, without: Replicates) -> dict[str, Any]:
    interval = people.interval(judged, ["gain_first"], replicates=without)
    n_people, n_groups = people.counts(judged["target"].tolist())
    return {
        "n_targets": n_tasks(judged["target"]),
        "n_people": n_people,
        "n_groups": n_groups,
        "interval_over": "people" if without.tables else "targets",
        "gain": round(interval.estimate, 6),
        "gain_low": _known(interval.low),
        "gain_high": _known(interval.high),
        "share_above_mean": float((judged["gain_first"] > 1e-9).mean()),  # not what rounding leaves of a tie
        "regret": round(float(judged["regret"].mean()), 6),
    }


def _ahead(judged: pd.DataFrame, best: Best, people: People, without: Replicates) -> dict[str, Any]:
    """How far the metric and its first pick are above those of the best baselines, nothing for a baseline itself."""
    mode, told = str(judged["mode"].iloc[0]), dict[str, Any]()
    for lead, baselines in best.items():
        if judged[lead].notna().any():
            found = people.interval(judged, [lead], replicates=without)
            told[lead.replace("ahead", "baseline")] = baselines[mode]
            told |= {name: _known(end) for name, end in with_ends(lead, found).items()}
    return told


def _known(end: float) -> float | None:
    return None if math.isnan(end) else round(end, 6)

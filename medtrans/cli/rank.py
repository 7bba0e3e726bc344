"""``medtrans rank``: a target and a pool into a ranking, on the terminal and as files."""

from __future__ import annotations

import os
from pathlib import Path

from medtrans.cli.terminal import out, progress_bar
from medtrans.config import RankJob, metric_choices
from medtrans.data import load_task_from
from medtrans.errors import MedtransError
from medtrans.metrics.registry import choose_metrics
from medtrans.report import ranking_csv, ranking_html, ranking_json, ranking_table, write_texts
from medtrans.selection import Ranking, rank_sources, read_evidence, read_expectation
from medtrans.sources import Pool
from medtrans.threads import limited_threads


def run_rank_job(job: RankJob, threads: int | None = None) -> Ranking:
    """Rank the pool for the target, print the table, write ranking.csv, ranking.json and ranking.html.

    ``threads`` goes before the job's.
    """
    threads = job.threads if threads is None else threads
    _require_writable(job.output)
    metrics = choose_metrics(metric_choices(job.metrics))  # before the images are read
    expectation = read_expectation(job.expectation) if isinstance(job.expectation, Path) else job.expectation
    evidence = None if job.evidence is None else (read_evidence(job.evidence),)
    with limited_threads(threads), progress_bar(f"reading the images of {job.target}") as bar:
        target, pool = load_task_from(job.target, job.data, job.preprocessing), Pool(job.pool)
        job.relations.check([target.name, *(source.task for source in pool if source.task)])
        ranking = rank_sources(
            target,
            pool,
            metrics=metrics,
            sampler=job.sampler,
            filters=job.filters,
            exclude=job.exclude,
            seed=job.seed,
            device=job.device,
            progress=bar,
            evidence=evidence,
            expectation=expectation,
            relations=job.relations.table(),
        )
    out.print(ranking_table(ranking))
    for path in write_ranking(ranking, job.output):
        out.print(f"wrote {path}", markup=False)
    return ranking


def write_ranking(ranking: Ranking, folder: Path) -> list[Path]:
    """Write the ranking as CSV, JSON and one HTML page, all or none; returns their paths."""
    texts = {
        folder / "ranking.csv": ranking_csv(ranking),
        folder / "ranking.json": ranking_json(ranking),
        folder / "ranking.html": ranking_html(ranking),
    }
    write_texts(texts)
    return list(texts)


def _require_writable(folder: Path) -> None:
    """Raise MedtransError before the work, not after it, where the folder cannot be made or written to."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path.cwd())
    if not there.is_dir() or not os.access(there, os.W_OK):
        reason = "may not be written to" if there.is_dir() else "is not a folder"
        raise MedtransError(f"output {folder}: {there} {reason}; choose another folder")

"""``medtrans rank``: a target and a pool into a ranking, on the terminal and as files."""

from __future__ import annotations

from pathlib import Path

from medtrans.cli.terminal import out, progress_bar
from medtrans.config import RankJob
from medtrans.data import load_task_from
from medtrans.report import ranking_table, write_csv, write_html, write_json
from medtrans.selection import Ranking, rank_sources
from medtrans.sources import Pool


def run_rank_job(job: RankJob) -> Ranking:
    """Rank the pool for the target, print the table, write ranking.csv, ranking.json and ranking.html."""
    with progress_bar(f"reading the scans of {job.target}") as bar:
        target = load_task_from(job.target, job.data, job.preprocessing)
        ranking = rank_sources(
            target,
            Pool(job.pool),
            metrics=job.metrics,
            sampler=job.sampler,
            filters=job.filters,
            exclude=job.exclude,
            seed=job.seed,
            device=job.device,
            progress=bar,
        )
    out.print(ranking_table(ranking))
    for path in write_ranking(ranking, job.output):
        out.print(f"wrote {path}")
    return ranking


def write_ranking(ranking: Ranking, folder: Path) -> list[Path]:
    """Write the ranking as CSV, JSON and one HTML page; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    writers = {"csv": write_csv, "json": write_json, "html": write_html}
    for suffix, write in writers.items():
        write(ranking, folder / f"ranking.{suffix}")
    return [folder / f"ranking.{suffix}" for suffix in writers]

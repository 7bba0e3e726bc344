"""``medtrans demo``: the whole way on simulated scans, and the claim checked at its end."""

from __future__ import annotations

import time
from pathlib import Path

from rich.table import Table

from medtrans.cli.rank import run_rank_job
from medtrans.cli.terminal import out, progress_bar
from medtrans.cli.train import run_train_job
from medtrans.config import (
    DataSettings,
    PreprocessingSettings,
    RankJob,
    SamplerSettings,
    TrainingSettings,
    TrainJob,
)
from medtrans.data import load_task, open_dataset
from medtrans.learning import dice_score, fine_tune
from medtrans.networks import size_divisor
from medtrans.selection import Ranking
from medtrans.simulation import simulate_fets, simulate_iseg
from medtrans.sources import Pool, Source
from medtrans.tasks import Task
from medtrans.threads import limited_threads

TARGET = "fets-2/FLAIR/ED"
PREPROCESSING = PreprocessingSettings(dimensions=2)
SAMPLER = SamplerSettings(n_pixels=500, repetitions=10, band_mm=6.0)
SOURCE_TRAINING = TrainingSettings(steps=90, steps_per_epoch=30)
FINE_TUNING = TrainingSettings(steps=20, learning_rate=1e-3)


def run_demo(output: Path, threads: int | None = None) -> None:
    """Simulate, train, rank, then fine-tune the first and the last pick and show what each gives."""
    start = time.perf_counter()
    with limited_threads(threads):
        iseg, fets = _simulate(output / "scans")
    out.print(f"\n[bold]2. Train a pool of sources[/bold] on infants and on institution 1, into {output / 'pool'}")
    for job in _train_jobs(output / "pool", iseg, fets):
        run_train_job(job, threads)
    labelled, *unseen = [case.id for case in open_dataset("fets-2", fets).cases]
    out.print(f"\n[bold]3. Rank the pool for {TARGET}[/bold]: institution 2, four labelled slices of one patient")
    ranking = run_rank_job(
        RankJob(
            target=TARGET,
            pool=output / "pool",
            data=DataSettings(format="fets", root=fets, cases=(labelled,), slices=4),
            preprocessing=PREPROCESSING,
            sampler=SAMPLER,
            output=output / "ranking",
        ),
        threads,
    )
    out.print(f"\n[bold]4. Check the claim[/bold]: fine-tune the first and the last pick for {FINE_TUNING.steps} steps")
    with limited_threads(threads):
        target = load_task(TARGET, fets, cases=[labelled], slices=4, preprocessing=PREPROCESSING)
        test = load_task(TARGET, fets, cases=unseen, preprocessing=PREPROCESSING)
        _check_claim(ranking, Pool(output / "pool"), target, test)
    out.print(
        f"\nDone in {time.perf_counter() - start:.0f} s. Open {output / 'ranking' / 'ranking.html'} in a browser."
    )


def _simulate(folder: Path) -> tuple[Path, Path]:
    out.print(f"[bold]1. Simulate scans[/bold] of three infants and of six adults with a glioma, into {folder}")
    iseg = simulate_iseg(folder / "iSeg-2019-Training", subjects=3, spacing_mm=2.0)
    fets = simulate_fets(folder / "FeTS2022", institutions=(1, 2), subjects_per_institution=3, spacing_mm=2.0)
    return iseg, fets


def _train_jobs(pool: Path, iseg: Path, fets: Path) -> list[TrainJob]:
    tasks_of = {
        "iseg": (iseg, "iseg-2019/{T1,T2}/{GM,WM}"),
        "fets": (fets, "fets-1/{FLAIR,T1CE}/{ED,ET}"),
    }
    return [
        TrainJob(
            tasks=(tasks,),
            pool=pool,
            data=DataSettings.model_validate({"format": layout, "root": root}),
            preprocessing=PREPROCESSING,
            training=SOURCE_TRAINING,
            sampler=SAMPLER,
        )
        for layout, (root, tasks) in tasks_of.items()
    ]


def _check_claim(ranking: Ranking, pool: Pool, target: Task, test: Task) -> None:
    """Fine-tune the first and the last pick on the labelled slices; Dice on patients that neither has seen."""
    order = ranking.order()
    table = Table("pick", "source", "Dice", title=f"After fine-tuning, on {len(test.subjects)} unseen patients")
    for pick, name in (("first", order[0]), ("last", order[-1])):
        table.add_row(pick, name, f"{_dice_after_fine_tuning(pool[name], target, test):.3f}")
    out.print(table)
    out.print("One target and one seed: a demonstration, not evidence.")


def _dice_after_fine_tuning(source: Source, target: Task, test: Task) -> float:
    with progress_bar(f"fine-tuning {source.name}") as bar:
        network = fine_tune(source, target, training=FINE_TUNING, progress=bar)
    return dice_score(
        network, test.cases, test.n_classes, divisor=size_divisor(source.network_definition), device="cpu"
    )

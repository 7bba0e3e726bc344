"""``medtrans train``: sources into a pool."""

from __future__ import annotations

import time

from medtrans.cli.terminal import out, progress_bar
from medtrans.config import TrainJob
from medtrans.data import load_task_from
from medtrans.learning import train_source
from medtrans.threads import limited_threads


def run_train_job(job: TrainJob, threads: int | None = None) -> None:
    """Train every source the job names; finished ones are kept, a killed one goes on at its last checkpoint.

    ``threads`` goes before the job's; where neither says how many, it is chosen anew for each source.
    """
    threads = job.threads if threads is None else threads
    names = job.task_names()
    for i, name in enumerate(names, start=1):
        start = time.perf_counter()
        done = "kept" if (job.pool / str(name)).exists() else "trained"
        with limited_threads(threads), progress_bar(f"reading the images of {name}") as bar:
            task = load_task_from(name, job.data, job.preprocessing)
            train_source(
                task,
                pool=job.pool,
                preprocessing=job.preprocessing,
                network=job.network,
                training=job.training,
                sampler=job.sampler,
                signature=job.signature,
                device=job.device,
                progress=bar,
            )
        seconds = time.perf_counter() - start
        out.print(f"{i}/{len(names)} {name}: {done}, {len(task.cases)} images, {seconds:.0f} s", markup=False)

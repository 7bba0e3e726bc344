"""Which sampler makes metrics rank best? Sources of patient 07, targets of patient 19: not those of the study.

    python pipelines/open_ms_settings.py POOL [TARGET ...]     # a pool of sources of patient 07, at 2 mm

The truth is the Dice of the retrained head on the slices without labels, mean of two seeds. Prints Markdown: the mean
over targets of Spearman's correlation and of the Dice that the first pick loses, for every sampler and metric.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medtrans.agreement import spearman, top_k_regret
from medtrans.config import PreprocessingSettings, SamplerSettings, TrainingSettings, expand_braces
from medtrans.data import load_task
from medtrans.learning import dice_score, fine_tune
from medtrans.metrics import get_metric
from medtrans.networks import size_divisor
from medtrans.sampling import sample_pixels
from medtrans.selection.scoring import metric_values, pixel_arrays
from medtrans.sources import Pool, Source
from medtrans.tasks import Case, Task

DATA = Path("../shared/data/open-ms")
PATIENT = "patient19"
PREPROCESSING = PreprocessingSettings(dimensions=2, spacing_mm=2.0)
HEAD = TrainingSettings(steps=200, steps_per_epoch=200, batch_size=4, learning_rate=0.1, augment=False)
SEEDS = (0, 1)
METRICS = ("h_score", "shrinkage_h_score", "leep", "nce", "logme", "otce_sim")
N_PIXELS = 2_000
BANDS = {
    "2 mm": SamplerSettings(band_mm=2.0),
    "4 mm": SamplerSettings(band_mm=4.0),
    "8 mm": SamplerSettings(band_mm=8.0),
    "uniform": SamplerSettings(kind="uniform"),
}
SAMPLERS = {
    f"{words}, outside {share:g}": sampler.model_copy(
        update={"n_pixels": round(N_PIXELS / (1 - share)), "repetitions": 1, "outside": share}
    )
    for words, sampler in BANDS.items()
    for share in (0.0, 0.1, 0.2, 0.4, 0.5)
}
Measured = dict[tuple[str, str], list[float]]


def main(folder: str, targets: Sequence[str]) -> None:
    """Progress goes to stderr, the table to stdout."""
    pool = Pool(folder)
    correlations: Measured = defaultdict(list)
    regrets: Measured = defaultdict(list)
    for name in targets or expand_braces("open-ms/{T1,T1POST,T2,FLAIR}/{CSF,GM,WM,lesion}"):
        print(name, file=sys.stderr)
        task = load_task(name, DATA, cases=[PATIENT], slices=4, preprocessing=PREPROCESSING)
        sources = [source for source in pool if source.name != name]
        truth = [transferred(source, task, unlabelled(name, task)) for source in sources]
        for setting, scores in scores_of(sources, task).items():
            correlations[setting].append(spearman(scores, truth))
            regrets[setting].append(top_k_regret(scores, truth))
    print(markdown(correlations, regrets))


def unlabelled(name: str, task: Task) -> list[Case]:
    """The slices that the task has no labels on."""
    labelled = {case.id for case in task.cases}
    whole = load_task(name, DATA, cases=[PATIENT], preprocessing=PREPROCESSING)
    return [case for case in whole.cases if case.id not in labelled]


def transferred(source: Source, task: Task, test_cases: Sequence[Case]) -> float:
    """Dice of the retrained head, mean over the seeds."""
    divisor = size_divisor(source.network_definition)
    networks = [
        fine_tune(source, task, training=HEAD.model_copy(update={"seed": seed}), mode="head", device="cpu")
        for seed in SEEDS
    ]
    return float(np.mean([dice_score(network, test_cases, task.n_classes, divisor=divisor) for network in networks]))


def scores_of(sources: Sequence[Source], task: Task) -> dict[tuple[str, str], list[float]]:
    """By sampler and metric: one score for each source."""
    scores = defaultdict(list)
    for words, sampler in SAMPLERS.items():
        sample = sample_pixels(task.cases, **sampler.model_dump(), rng=np.random.default_rng(0))
        for source in sources:
            arrays = pixel_arrays(source, task, sample, "cpu")
            for metric in METRICS:
                scores[words, metric].append(metric_values(get_metric(metric), arrays, sample)[0])
    return dict(scores)


def markdown(correlations: Measured, regrets: Measured) -> str:
    """A row for each sampler, a column for each metric: correlation (regret)."""
    rows = [
        f"| {words} | "
        + " | ".join(f"{np.mean(correlations[words, m]):.2f} ({np.mean(regrets[words, m]):.3f})" for m in METRICS)
        + " |"
        for words in SAMPLERS
    ]
    return "\n".join([f"| sampler | {' | '.join(METRICS)} |", "|---" * (len(METRICS) + 1) + "|", *rows])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("which pool? python pipelines/open_ms_settings.py POOL [TARGET ...]")
    main(sys.argv[1], sys.argv[2:])

"""Which layer's features rank best, and which form of OTCE? Sources of patient 07, targets of patient 19.

    python pipelines/open_ms_layers.py POOL [TARGET ...]     # a pool of sources of patient 07, at 2 mm

The truth is the Dice of the retrained head on the slices without labels, mean of two seeds, as in
open_ms_settings.py. Prints Markdown: the mean over targets of Spearman's correlation and of the Dice that the first
pick loses, for the features that several layers of BasicUNet read and for them together, and for forms of OTCE.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from open_ms_settings import DATA, PATIENT, PREPROCESSING, transferred, unlabelled

from medtrans.agreement import spearman, top_k_regret
from medtrans.config import expand_braces
from medtrans.data import load_task
from medtrans.features import extract_features
from medtrans.metrics import h_score, jc_otce, otce_sim
from medtrans.networks import size_divisor
from medtrans.sampling import sample_pixels
from medtrans.sources import Pool, Source
from medtrans.tasks import Task

Features = NDArray[np.float32]
Pixels = tuple[Features, NDArray[np.int64]]
"""Features and labels at some pixels."""

TRAINED_ON = "patient07"
N_PIXELS = 1_500
LAYERS = {  # words: the layer that reads the features
    "penultimate": None,
    "decoder, half resolution": "upcat_1.upsample",
    "decoder, quarter resolution": "upcat_2.upsample",
    "first block of the encoder": "down_1",
}
TOGETHER = ("penultimate", "decoder, half resolution", "decoder, quarter resolution")


def standardised(source: Features, target: Features) -> tuple[Features, Features]:
    """Both in units of the source's spread along each feature, about the source's mean."""
    mean, spread = source.mean(axis=0), source.std(axis=0) + 1e-6
    return (source - mean) / spread, (target - mean) / spread


def standardised_otce(source: Pixels, target: Pixels, **settings: float | str) -> float:
    """OTCE_sim after `standardised`."""
    source_features, target_features = standardised(source[0], target[0])
    return otce_sim(source_features, source[1], target_features, target[1], **settings)


SCORES: dict[str, Callable[[Pixels, Pixels], float]] = {
    "h_score": lambda source, target: h_score(*target),
    "otce_sim": lambda source, target: otce_sim(*source, *target),
    "otce_sim, standardised": standardised_otce,
    "otce_sim, standardised, epsilon 0.02 of the mean cost": lambda source, target: standardised_otce(
        source, target, epsilon=0.02, cost_scale="mean"
    ),
    "jc_otce, gamma 0.25": lambda source, target: jc_otce(*source, *target, gamma=0.25),
    "jc_otce": lambda source, target: jc_otce(*source, *target),
    "jc_otce, gamma 0.75": lambda source, target: jc_otce(*source, *target, gamma=0.75),
}


def main(folder: str, targets: Sequence[str]) -> None:
    """Progress goes to stderr, the table to stdout."""
    pool = Pool(folder)
    trained = {source.name: pixels_by_layer(source, training_task(source), seed=1) for source in pool}
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for name in targets or expand_braces("open-ms/{T1,T1POST,T2,FLAIR}/{CSF,GM,WM,lesion}"):
        print(name, file=sys.stderr)
        task = load_task(name, DATA, cases=[PATIENT], slices=4, preprocessing=PREPROCESSING)
        sources = [source for source in pool if source.name != name]
        truth = [transferred(source, task, unlabelled(name, task)) for source in sources]
        here = {source.name: pixels_by_layer(source, task, seed=0) for source in sources}
        for layer in (*LAYERS, "decoder, all three"):
            for words, score in SCORES.items():
                scores = [score(trained[source.name][layer], here[source.name][layer]) for source in sources]
                found[layer, words].append((spearman(scores, truth), top_k_regret(scores, truth)))
    print(markdown({key: np.mean(values, axis=0) for key, values in found.items()}))


def training_task(source: Source) -> Task:
    """What the source was trained on."""
    return load_task(source.name, DATA, cases=[TRAINED_ON], preprocessing=PREPROCESSING)


def pixels_by_layer(source: Source, task: Task, *, seed: int) -> dict[str, Pixels]:
    """Features at pixels near edges and outside the head, by layer and for three layers together."""
    rng = np.random.default_rng(seed)
    sample = sample_pixels(task.cases, n_pixels=N_PIXELS, repetitions=1, outside=0.4, rng=rng)
    network, divisor = source.load_network("cpu"), size_divisor(source.network_definition)
    features = {
        words: extract_features(network, task.cases, sample, layer=layer, divisor=divisor).features
        for words, layer in LAYERS.items()
    }
    features["decoder, all three"] = np.concatenate([features[words] for words in TOGETHER], axis=1)
    return {words: (of_layer, sample.label.astype(np.int64)) for words, of_layer in features.items()}


def markdown(means: dict[tuple[str, str], NDArray[np.float64]]) -> str:
    """A row for each layer, a column for each score: correlation (regret)."""
    rows = [
        f"| {layer} | " + " | ".join("{:.2f} ({:.3f})".format(*means[layer, words]) for words in SCORES) + " |"
        for layer in dict.fromkeys(layer for layer, _ in means)
    ]
    return "\n".join([f"| features | {' | '.join(SCORES)} |", "|---" * (len(SCORES) + 1) + "|", *rows])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("which pool? python pipelines/open_ms_layers.py POOL [TARGET ...]")
    main(sys.argv[1], sys.argv[2:])

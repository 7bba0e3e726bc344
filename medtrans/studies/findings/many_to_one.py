"""Several sources for one target: how much the second and the third of them add."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medtrans.studies.engine.pieces import FUSED
from medtrans.studies.findings.fusions import picks_by_target
from medtrans.studies.findings.people import ENDS, People, with_ends
from medtrans.studies.findings.results import Results


def many_to_one_table(results: Results) -> pd.DataFrame:
    """What the k first sources of each chooser give together, k = 1 (the transfer itself) to the largest.

    The first pick by truth has the highest of many noisy accuracies, so its gain by further sources is underrated.

    Returns:
        Columns target, mode, chooser, k, sources (joined by plus signs), accuracy (mean over seeds; NaN where a seed is
        missing), gain (accuracy minus that of k = 1) and step (accuracy minus that of k - 1).
    """
    columns = ["target", "mode", "chooser", "k", "sources", "accuracy", "gain", "step"]
    if results.job.many_to_one is None:
        return pd.DataFrame(columns=columns)
    fused = results.fusions()
    rows = []
    for mode in results.modes:
        truth = results.truth(mode).T
        for target, chosen in picks_by_target(results, mode, results.targets).items():
            for chooser, order in chosen.items():
                accuracy = _accuracies(order, truth[target], fused, (target, mode))
                for k in range(1, len(order) + 1):
                    gain = accuracy[k - 1] - accuracy[0]
                    step = accuracy[k - 1] - accuracy[k - 2] if k > 1 else 0.0
                    names = FUSED.join(sorted(order[:k]))
                    rows.append((target, mode, chooser, k, names, accuracy[k - 1], gain, step))
    return pd.DataFrame(rows, columns=columns)


def many_to_one_summary(table: pd.DataFrame, people: People) -> pd.DataFrame:
    """Mean over targets of `many_to_one_table`, by mode, chooser and k.

    ``gain`` is what k sources add to the first one, ``step`` what the k-th adds to the others; each with its 95 %
    interval over targets (``_low``, ``_high``; NaN for the reason in ``no_interval``).
    """
    rows = []
    for (mode, chooser, k), group in table.groupby(["mode", "chooser", "k"], sort=False):
        known = group.dropna(subset=["accuracy", "gain", "step"])
        row = {"mode": mode, "chooser": chooser, "k": k, "n_targets": len(known), "accuracy": known["accuracy"].mean()}
        for name in ("gain", "step"):
            row |= with_ends(name, people.interval(known, [name]))
        rows.append(row | {"no_interval": people.why_no_interval(known["target"].tolist())})
    columns = [f"{name}{end}" for name in ("gain", "step") for end in ENDS]
    return pd.DataFrame(rows, columns=["mode", "chooser", "k", "n_targets", "accuracy", *columns, "no_interval"])


def _accuracies(order: tuple[str, ...], truth: pd.Series, fused: pd.Series, where: tuple[str, str]) -> list[float]:
    """Accuracy of the first 1, 2 .. all sources of an order on a target in a mode."""
    alone = [float(truth[source]) for source in order[:1]]
    together = [FUSED.join(sorted(order[:k])) for k in range(2, len(order) + 1)]
    return alone + [float(fused.get((*where, names), np.nan)) for names in together]

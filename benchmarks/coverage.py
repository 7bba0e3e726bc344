"""Do ceilings and intervals of studies tell the truth? Simulated studies, by the rules before and now.

    python benchmarks/coverage.py

Ceilings: 200 studies of 16 targets x 15 sources x 2 seeds. Before, the correlation between seeds was cut at 0 and
corrected by Spearman-Brown for each target alone, then averaged. Intervals: 4,000 studies; before, the percentile
bootstrap over targets, with 1,000 resamples. Intervals over shared people: 2,000 studies. Expected accuracies: errors
of K clusters and of a new one, 1,500 times; before, the 90 % quantile with every cluster weighing the same, now wider
where clusters are few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medtrans.agreement import cluster_quantile, group_interval, replicate_interval
from medtrans.studies.findings.ceiling import ceiling

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Values]

CEILINGS, STUDIES, RESAMPLES, ERRORS, PEOPLE_STUDIES = 200, 4000, 1000, 1500, 2000
SIGNALS = {"pure noise": 0.0, "a weak signal": 0.4, "a strong signal": 1.0}  # deviation of qualities over the noise's
SIZES = ((4,) * 4, (2, 4, 4, 6), (1, 2, 4, 9), (1, 1, 7, 7), (1, 1, 1, 13), (4,) * 8, (1, 1, 2, 2, 4, 4, 9, 9))


def main() -> None:
    """Four tables."""
    print("| ceiling of | truth | before | now |\n|---|---|---|---|")
    for number, (name, signal) in enumerate(SIGNALS.items()):
        truth, before, now = ceilings(signal, np.random.default_rng(number))
        print(f"| {name} | {truth:.3f} | {before:.3f} | {now:.3f} |")
    print("\n| targets | before | now |\n|---|---|---|")
    for n in (4, 8, 16):
        for name, draw in (("normal", normal), ("exponential", exponential)):
            before, now = coverage(lambda rng, n=n, draw=draw: draw(rng, n), range(n), np.random.default_rng(n))
            print(f"| {n} independent, {name} | {before:.3f} | {now:.3f} |")
    for sizes in SIZES:
        groups = np.repeat(range(len(sizes)), sizes)
        before, now = coverage(lambda rng, groups=groups: correlated(rng, groups), groups, np.random.default_rng(1))
        print(f"| {len(sizes)} groups of {', '.join(map(str, sizes))}, correlated by 0.5 | {before:.3f} | {now:.3f} |")
    print("\n| targets that share people | held |\n|---|---|")
    for n in (6, 10):
        for luck in (0.3, 1.0):
            held = coverage_by_people(n, luck, np.random.default_rng(n))
            print(f"| {n} people, whose own order of sources weighs {luck} | {held:.3f} |")
    print("\n| a new cluster, beside | before | now |\n|---|---|---|")
    for n in (4, 8, 16):
        for shared in (0.3, 0.7):
            for name, draw in (("normal", normal), ("skewed", mirrored)):
                before, now = new_cluster(n, shared, draw, np.random.default_rng(n))
                print(f"| {n} {name} ones, correlated by {shared} | {before:.3f} | {now:.3f} |")


def ceilings(signal: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean agreement of two studies, mean ceiling before, and now."""
    shape = (CEILINGS, 16, 15)  # studies, targets, sources
    first, second, third, fourth = signal * rng.normal(size=shape) + rng.normal(size=(4, *shape))
    between_seeds = spearman(first, second)
    cut = np.maximum(between_seeds, 0)
    now = [ceiling(float(of_study.mean()), 2) for of_study in between_seeds]
    truth = spearman(first + second, third + fourth).mean()
    return float(truth), float((2 * cut / (1 + cut)).mean()), float(np.mean(now))


def spearman(scores: Values, truth: Values) -> Values:
    """Along the last axis, without ties."""
    n = scores.shape[-1]
    places, true_places = (values.argsort(axis=-1).argsort(axis=-1) for values in (scores, truth))
    return np.asarray(1 - 6 * ((places - true_places) ** 2).sum(axis=-1) / (n * (n**2 - 1)))


def coverage(draw: Draw, groups: Sequence[int] | NDArray[np.int64], rng: np.random.Generator) -> tuple[float, float]:
    """Share of studies whose interval holds 0, the true mean: of the percentile bootstrap, and now."""
    held = np.zeros((STUDIES, 2))
    for study in held:
        values = draw(rng)
        means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        interval = group_interval(values, groups)
        study[:] = low <= 0 <= high, interval.low <= 0 <= interval.high
    before, now = held.mean(axis=0)
    return float(before), float(now)


def coverage_by_people(n_people: int, luck: float, rng: np.random.Generator) -> float:
    """Share of studies whose interval over people holds the mean agreement of such studies.

    Ten tasks, 20 sources, two draws of two labelled people, judged on the others. An accuracy is what the source is
    worth for the task, plus what it is for whoever is labelled, plus what it is for the person (in all tasks, and in
    this one); the metric's scores are fixed and know the first of these in part.
    """
    tasks, sources, draws = 10, 20, ((0, 1), (2, 3))
    worth = rng.normal(size=(tasks, sources))
    scores = worth + rng.normal(size=worth.shape)
    agreements, intervals = [], []
    for _ in range(PEOPLE_STUDIES):
        own = luck * rng.normal(size=(n_people, sources))[:, None] + rng.normal(size=(n_people, tasks, sources))
        drawn = 0.3 * rng.normal(size=(len(draws), tasks, sources))

        def agreement(left: frozenset[int], own: Values = own, drawn: Values = drawn) -> float:
            found = []
            for labelled, noise in zip(draws, drawn, strict=True):
                if left.issuperset(labelled):
                    judged = sorted(left - set(labelled))
                    found.append(spearman(scores, worth + noise + own[judged].mean(axis=0)).mean())
            return float(np.mean(found))

        everyone = frozenset(range(n_people))
        agreements.append(agreement(everyone))
        intervals.append(replicate_interval(agreements[-1], [agreement(everyone - {p}) for p in sorted(everyone)]))
    truth = np.mean(agreements)
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def new_cluster(
    n_clusters: int, shared: float, draw: Callable[[np.random.Generator, int], Values], rng: np.random.Generator
) -> tuple[float, float]:
    """Mean share of a new cluster's errors that the quantile of the others' holds, without the widening and now."""
    widening = stats.t.ppf(0.95, n_clusters) / stats.norm.ppf(0.95)
    held = np.zeros((ERRORS, 2))
    for study in held:
        sizes = rng.integers(3, 60, n_clusters + 1)
        numbers = np.repeat(range(n_clusters + 1), sizes)
        common = draw(rng, n_clusters + 1)[numbers]
        errors = np.abs(np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=len(numbers)))
        new = numbers == n_clusters
        quantile = cluster_quantile(errors[~new], numbers[~new])
        study[:] = (errors[new] <= quantile / widening).mean(), (errors[new] <= quantile).mean()
    before, now = held.mean(axis=0)
    return float(before), float(now)


def mirrored(rng: np.random.Generator, n: int) -> Values:
    """Exponential numbers of either sign."""
    return np.asarray(rng.exponential(size=n) * rng.choice([-1, 1], n))


def normal(rng: np.random.Generator, n: int) -> Values:
    """Mean 0."""
    return rng.normal(size=n)


def exponential(rng: np.random.Generator, n: int) -> Values:
    """Mean 0, skewness 2."""
    return rng.exponential(size=n) - 1


def correlated(rng: np.random.Generator, groups: NDArray[np.int64]) -> Values:
    """Mean 0, variance 1, correlated by 0.5 within a group."""
    shared = rng.normal(size=groups.max() + 1)[groups]
    return np.asarray(np.sqrt(0.5) * (shared + rng.normal(size=len(groups))))


if __name__ == "__main__":
    main()

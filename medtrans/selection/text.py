"""A ranking as plain text, and how its numbers are written everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from medtrans.config import MEASURE_NAMES
from medtrans.errors import MetricError
from medtrans.metrics.registry import get_metric
from medtrans.selection.evidence import STATIC
from medtrans.selection.expectation import LEVEL
from medtrans.tasks.relations import NAMES

CLEAR = 0.9
"""Share of the samples of pixels that the first source has to win; below it the first places are too close to call.

Two sources that are equally good would reach it once in 47 rankings of ten independent samples.
"""

_BASELINES = {NAMES: "the rule by names", STATIC: "a static order of the sources"}

_MODES = {"head": "head retrained", "full": "all layers fine-tuned"}

if TYPE_CHECKING:
    from medtrans.selection.evidence import Evidence, Finding
    from medtrans.selection.results import Missing, Ranking, SourceScore


def decimals(scores: Sequence[SourceScore]) -> int:
    """Decimal places that show four digits of the largest mean and two of the largest spread; from 0 to 6."""
    mean = max(abs(score.mean) for score in scores)
    spread = max(score.spread for score in scores)
    return min(6, max(0, _places(mean, 4), _places(spread, 2)))


def _places(value: float, digits: int) -> int:
    return digits - 1 - math.floor(math.log10(value)) if value else 0


def score_text(score: SourceScore, places: int) -> str:
    """Mean and spread of a score.

    >>> from medtrans.selection.results import scores_of_metric
    >>> score_text(scores_of_metric("h_score", {"a": [0.5, 0.7]})[0], 3)
    '0.600 ± 0.141'
    """
    return f"{score.mean:.{places}f} ± {score.spread:.{places}f}"


def answer(ranking: Ranking) -> str:
    """The ranking in one sentence: which source, by which metric, how sure, what comes next, what other metrics say."""
    first, *others = ranking.by()
    tied = [first.source, *(score.source for score in others if score.rank == 1)]
    if len(tied) > 1:
        parts = [f"{_listed(tied)} share the first place for {ranking.target} by {first.metric}"]
    else:
        parts = [
            f"{first.source} ranks first for {ranking.target} by {first.metric} {_certainty(ranking)}",
            f"next is {others[0].source}" if others else "no other source has a score",
        ]
    return "; ".join(parts + [_verdict(ranking, metric, tied) for metric in ranking.scored_metrics[1:]]) + "."


def stakes(ranking: Ranking) -> str:
    """How much the choice matters: what studies found about such picks, and whether the first places are apart."""
    metric = ranking.by()[0].metric
    told = [
        _gain(evidence, finding, ranking)
        for evidence in ranking.evidence
        for finding in evidence.about(metric, ranking.provenance.settings.get("filters"))
    ]
    told = told or [f"No study at hand says how much a choice by {metric} matters."]
    return " ".join([*_too_close(ranking), *told])


def expected_head(ranking: Ranking, mode: str) -> str:
    """What a column of expected accuracies is called."""
    measure = MEASURE_NAMES[ranking.expectation.measure] if ranking.expectation else "accuracy"
    return f"expected {measure}, {_MODES[mode]}"


def expected_text(ranking: Ranking, source: str, mode: str) -> str:
    """An expected accuracy with its interval; a dash where there is none."""
    found = ranking.expected_of(source, mode)
    return "-" if found is None else str(found)


def expected_from(ranking: Ranking) -> str:
    """Where the expected accuracies come from and how far they go, in two sentences; empty where there are none."""
    expectation = ranking.expectation
    if expectation is None or not ranking.expected:
        return ""
    people = "an unknown number of people" if expectation.n_people is None else f"{expectation.n_people} people"
    n_targets = max(fit.n_targets for fit in expectation.fits)
    held = " and ".join(f"{fit.coverage:.0%} ({_MODES[fit.mode]})" for fit in expectation.fits)
    told = (
        f"Expected accuracies are estimates from {' and '.join(expectation.studies)} ({n_targets} targets, judged on "
        f"{people}), each with an interval that shall hold in {LEVEL:.0%} of cases; there, on "
        f"{expectation.fits[0].left_out} that the fit had not seen, it did in {held}."
    )
    if ranking.target.domain not in expectation.domains:
        told += f" None of those targets is from {ranking.target.domain}: with other images they may be off."
    return told


def _too_close(ranking: Ranking) -> list[str]:
    """A sentence where other pixels of the same scans could change the first place (see `CLEAR`), else none."""
    scores = ranking.by()
    first, *others = sorted(scores, key=lambda score: (-score.first_share, score.rank))
    if not ranking.samples_differ or scores[0].tied or scores[0].first_share >= CLEAR:
        return []
    won = f"{first.source} wins {first.first_share:.0%} of {_samples(ranking)}, {others[0].source}"
    return [f"The first places are too close to call: {won} {others[0].first_share:.0%}."]


def _gain(evidence: Evidence, finding: Finding, ranking: Ranking) -> str:
    """What the first picks gained in a study, in one sentence, and in what the study differs from the ranking."""
    about = [f"{finding.n_targets} targets"]
    if ranking.target.domain not in evidence.domains:
        about.append(f"none from {ranking.target.domain}")
    about.append(_MODES[finding.mode])
    settings = ranking.provenance.settings
    if finding.filters is None and settings.get("filters") is not None:
        about.append("no filter")
    if (settings.get("sampler") or {}).get("kind", evidence.sampler.kind) != evidence.sampler.kind:
        about.append(f"{evidence.sampler.kind} pixels")
    if finding.note:
        about.append(finding.note)
    sign, word = (1, "more") if finding.gain >= 0 else (-1, "less")
    gain, why = f"{sign * finding.gain:.3f}", f" (no interval: {finding.why_no_interval})"
    if finding.interval:
        low, high = sorted(sign * end for end in finding.interval)
        gain, why = f"{gain} [{low:.3f}, {high:.3f}]", ""
    gave = f"gave {gain} {word} {MEASURE_NAMES[evidence.measure]} than a random pick{why}."
    told = f"n the study {evidence.study} ({', '.join(about)}), the first pick by {finding.metric} {gave}"
    told += _unproven(finding)
    unclear = finding.interval and finding.interval[0] <= 0 <= finding.interval[1]
    return f"Too close to call: i{told}" if unclear else f"I{told}"


def _unproven(finding: Finding) -> str:
    """In what the metric is not shown to be better than cheap ways to choose; empty where it is in both."""
    claims = [
        ("rank better than", finding.baseline, finding.is_useful),
        ("pick better than", finding.pick_baseline, finding.picks_better),
    ]
    unproven = [f"{what} {_BASELINES.get(rival, rival)}" for what, rival, shown in claims if rival and not shown]
    return f" There it is not shown to {' or '.join(unproven)}." if unproven else ""


def _certainty(ranking: Ranking) -> str:
    if _is_of_whole_images(ranking.by()[0].metric):
        return "on the whole labelled images; how sure this is for other people cannot be said"
    if ranking.samples_differ:
        return f"and wins {ranking.by()[0].first_share:.0%} of {_samples(ranking)} of pixels"
    return "on the only sample of pixels, so how sure this is cannot be said"


def _is_of_whole_images(metric: str) -> bool:
    """Whether a metric, by its label, looks at whole images; of one that is not registered any more, no."""
    try:
        return get_metric(metric.partition("(")[0]).looks_at_whole_images
    except MetricError:
        return False


def _verdict(ranking: Ranking, metric: str, picks: list[str]) -> str:
    firsts = [score.source for score in ranking.by(metric) if score.rank == 1]
    return f"{metric} agrees" if firsts == picks else f"{metric} puts {_listed(firsts)} first"


def plain_text(ranking: Ranking) -> str:
    """A table with one row per source and a group of columns per metric; then dropped, missing and notes."""
    cells = [_row(ranking, source) for source in ranking.sources]
    header = ["source", *ranking.scored_metrics, *(expected_head(ranking, mode) for mode in ranking.expected_modes)]
    widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]
    lines = [f"{ranking.target}: {len(ranking.sources)} sources, {_samples(ranking)} of {ranking.n_pixels} pixels", ""]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *cells]
    ]
    lines += ["", answer(ranking), stakes(ranking), *filter(None, [expected_from(ranking)])]
    lines += [f"dropped: {dropped.source}: {dropped.reason}" for dropped in ranking.dropped]
    lines += [
        f"no {metric} for {', '.join(names)}: {reason}"
        for (metric, reason), names in by_reason(ranking.missing).items()
    ]
    lines += [f"note: {note}" for note in ranking.notes]
    return "\n".join(lines)


def cell(ranking: Ranking, source: str, metric: str) -> str:
    """Place, mean, spread and share of first places; a dash where there is no score."""
    scores = ranking.by(metric)
    places = decimals(scores)
    width = max(len(score_text(score, places)) for score in scores)
    for score in scores:
        if score.source == source:
            return f"{score.place:<3}  {score_text(score, places):>{width}}  {score.first_share:>4.0%}"
    return "-"


def by_reason(missing: Iterable[Missing]) -> dict[tuple[str, str], list[str]]:
    """Names of the sources by metric and reason, in order."""
    names: dict[tuple[str, str], list[str]] = {}
    for lack in missing:
        names.setdefault((lack.metric, lack.reason), []).append(lack.source)
    return names


def _row(ranking: Ranking, source: str) -> list[str]:
    scores = [cell(ranking, source, metric) for metric in ranking.scored_metrics]
    return [source, *scores, *(expected_text(ranking, source, mode) for mode in ranking.expected_modes)]


def _samples(ranking: Ranking) -> str:
    return "1 sample" if ranking.repetitions == 1 else f"{ranking.repetitions} samples"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

"""One HTML page that tells a ranking and shows its evidence: self-contained, nothing is loaded from a network."""

from __future__ import annotations

import json
from pathlib import Path

from medtrans.errors import MetricError
from medtrans.metrics.registry import get_metric
from medtrans.report.files import write_text
from medtrans.report.ranking.figures import sampled_counts, score_plot, slice_pictures
from medtrans.report.templates import page
from medtrans.selection import Ranking
from medtrans.selection.text import answer, by_reason, decimals, expected_from, expected_head, score_text, stakes


def write_html(ranking: Ranking, path: str | Path) -> None:
    """Write the page; it shows one slice of the target's scan, if the ranking carries one."""
    write_text(path, ranking_html(ranking))


def ranking_html(ranking: Ranking) -> str:
    """The page as text."""
    picture = ranking.picture
    places = {metric: decimals(ranking.by(metric)) for metric in ranking.scored_metrics}
    return page(
        "ranking/ranking.html.j2",
        ranking=ranking,
        headline=ranking.by(),
        answer=answer(ranking),
        stakes=stakes(ranking),
        expected_heads={mode: expected_head(ranking, mode) for mode in ranking.expected_modes},
        expected_from=expected_from(ranking),
        scores={(score.source, score.metric): score for score in ranking.scores},
        score_text=lambda score: score_text(score, places[score.metric]),
        plots=[score_plot(ranking, metric) for metric in ranking.scored_metrics],
        name_width=0.6 * max(len(source) for source in ranking.sources),  # in em: the usual width of a letter
        summaries={metric: _summary(metric) for metric in ranking.metrics},
        pictures=picture and slice_pictures(picture),
        counts=picture and sampled_counts(picture, ranking.class_names),
        missing=by_reason(ranking.missing),
        settings=json.dumps(dict(ranking.provenance.settings), indent=2, ensure_ascii=False),
    )


def _summary(metric: str) -> str:
    """What a metric is, in a line, whatever its options; empty for one that is no longer registered."""
    try:
        return get_metric(metric.partition("(")[0]).summary
    except MetricError:
        return ""

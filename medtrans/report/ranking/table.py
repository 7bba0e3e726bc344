"""A ranking on the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from medtrans.selection import Ranking
from medtrans.selection.text import answer, by_reason, cell, expected_from, expected_head, expected_text, stakes

_NAME_WIDTH = 24  # that a narrow terminal leaves to the names of sources; numbers are wrapped


def ranking_table(ranking: Ranking) -> Table:
    """One row per source, one column per metric: place, mean ± spread, share of first places.

    Below it the answer in one sentence, how much it matters, what was dropped or is missing and why, and the notes.
    Names come from elsewhere: they are printed as they are, and not read as rich's markup.
    """
    table = Table(
        title=Text(f"Sources for {ranking.target}"),
        caption=_caption(ranking),
        caption_justify="left",
        caption_style="",
        row_styles=["bold"] + [""] * (len(ranking.sources) - 1),
    )
    longest = max(len(source) for source in ranking.sources)
    table.add_column("source", overflow="fold", min_width=min(longest, _NAME_WIDTH))
    for metric in ranking.scored_metrics:
        table.add_column(Text(f"{metric}\nplace, mean ± spread, first"), overflow="fold")
    for mode in ranking.expected_modes:
        table.add_column(Text(expected_head(ranking, mode)), overflow="fold")
    for source in ranking.sources:
        scores = [cell(ranking, source, metric) for metric in ranking.scored_metrics]
        expected = [expected_text(ranking, source, mode) for mode in ranking.expected_modes]
        table.add_row(Text(source), *map(Text, (*scores, *expected)))
    return table


def _caption(ranking: Ranking) -> Text:
    lines = [Text(answer(ranking), style="bold"), Text(stakes(ranking))]
    lines += [Text(told) for told in filter(None, [expected_from(ranking)])]
    lines += [Text(f"dropped {dropped.source}: {dropped.reason}", style="dim") for dropped in ranking.dropped]
    lines += [
        Text(f"no {metric} for {', '.join(names)}: {reason}", style="dim")
        for (metric, reason), names in by_reason(ranking.missing).items()
    ]
    lines += [Text(f"note: {note}", style="dim") for note in ranking.notes]
    return Text("\n").join(lines)

"""Tables that the command line prints: a pool, the metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from medtrans.cli.terminal import out
from medtrans.errors import reason

if TYPE_CHECKING:
    from medtrans.sources import Signature, Source


def print_pool(root: Path) -> None:
    """Print each source of the pool, and each that cannot be loaded with the reason."""
    from medtrans.sources import Pool

    pool = Pool(root)
    refused = {source.name: reason for source in pool if (reason := _why_refused(source))}
    table = Table(Column("source", no_wrap=True), title=Text(f"Pool {root}"))
    for heading in ("modality", "classes", "dimensions", "signature"):
        table.add_column(heading, overflow="fold")
    for source in pool:
        if source.name in refused:
            continue
        cells = (
            source.name,
            source.modality or "?",
            ", ".join(source.class_names),
            f"{source.spatial_dims}D",
            _told(source.signature),
        )
        table.add_row(*map(Text, cells))  # names come from elsewhere: not read as rich's markup
    out.print(table)
    for name, reason in {**pool.broken, **refused}.items():
        out.print(f"left out {name}: {reason}", markup=False)


def _told(signature: Signature | None) -> str:
    """How much a source tells of its training data."""
    if signature is None:
        return "none"
    if signature.is_outdated:
        return "outdated: train again"
    return "reduced" if signature.features is None else "full"


def _why_refused(source: Source) -> str:
    """Why the weights cannot be loaded; empty if they can."""
    try:
        source.load_network()
    except Exception as error:  # whatever a stranger's files lead to, the others are listed
        return reason(error)
    return ""


def print_metrics() -> None:
    """Print every registered metric with what it needs."""
    from medtrans.metrics.registry import available

    table = Table(title="Metrics; higher is better, always", show_lines=True)
    for heading in ("metric", "needs", "options"):
        table.add_column(heading, no_wrap=True)
    for heading in ("range", "cost", "reference"):
        table.add_column(heading, overflow="fold")
    for metric in available().values():
        names = ("\n".join(names) for names in (metric.needs, metric.option_names))
        table.add_row(metric.name, *names, metric.range, metric.cost, metric.reference)
    out.print(table)

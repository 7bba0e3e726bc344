"""Tables that the command line prints: a pool, the metrics."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from medtrans.cli.terminal import out


def print_pool(root: Path) -> None:
    """Print each source of the pool, and each folder that could not be read with the reason."""
    from medtrans.sources import Pool

    pool = Pool(root)
    table = Table("source", "modality", "classes", "dimensions", "signature", title=f"Pool {root}")
    for source in pool:
        signature = source.signature
        told = "none" if signature is None else "reduced" if signature.features is None else "full"
        table.add_row(
            source.name, source.modality or "?", ", ".join(source.class_names), f"{source.spatial_dims}D", told
        )
    out.print(table)
    for name, reason in pool.broken.items():
        out.print(f"left out {name}: {reason}")


def print_metrics() -> None:
    """Print every registered metric with what it needs."""
    from medtrans.metrics.registry import available

    table = Table("metric", "needs", "range", "cost", "reference", title="Metrics; higher is better, always")
    for metric in available().values():
        table.add_row(metric.name, ", ".join(metric.needs), metric.range, metric.cost, metric.reference)
    out.print(table)

"""What users hand to a ranking: accepted where the meaning is plain, else refused in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medtrans.errors import ConfigError
from medtrans.sources import Pool, Source
from medtrans.tasks import Task, TaskName


def require_task(target: object) -> None:
    """Raise ConfigError unless the target is a loaded task."""
    if isinstance(target, str | TaskName):
        raise ConfigError(f"target: '{target}' is only a name; load its cases: load_task('{target}', root=...)")
    if not isinstance(target, Task):
        raise ConfigError(f"target: is a {type(target).__name__}; give a Task, as load_task returns it")


def sources_of(pool: Pool | Sequence[Source] | str | Path) -> Pool | Sequence[Source]:
    """A pool, or sources, as they are; the folder of a pool is read.

    Raises:
        ConfigError: it is something else.
        BundleError: the folder is no pool.
    """
    if isinstance(pool, str | Path):
        return Pool(pool)
    if not isinstance(pool, Iterable):
        raise ConfigError(f"pool: is a {type(pool).__name__}; give a Pool, its folder, or a list of sources")
    if isinstance(pool, Pool):
        return pool
    sources = tuple(pool)
    for source in sources:
        if isinstance(source, str | TaskName):
            raise ConfigError(f"pool: '{source}' is only a name; give the Pool, its folder, or Pool(...)['{source}']")
        if not isinstance(source, Source) and not hasattr(source, "load_network"):
            raise ConfigError(f"pool: holds a {type(source).__name__}; give a Pool, its folder, or a list of sources")
    return sources


def names_of(names: str | TaskName | Iterable[str | TaskName]) -> tuple[str, ...]:
    """Names of sources or tasks as texts; a single one need not stand in a list."""
    if not isinstance(names, Iterable | TaskName):
        raise ConfigError(f"exclude: is a {type(names).__name__}; give names of sources")
    return (str(names),) if isinstance(names, str | TaskName) else tuple(map(str, names))

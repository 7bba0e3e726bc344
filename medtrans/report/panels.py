"""What the pages are made of: sortable tables, and tables or figures of which a switch shows one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Generic, TypeVar

NONE = "\N{EN DASH}"
"""Where there is no number."""

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

Variant = TypeVar("Variant")


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is read.
        value: what the column is sorted by, a number or a text; None comes last in either order.
        small: a second line, such as an interval.
        mark: CSS class: best, second, better, worse, faint, or none.
    """

    text: str
    value: float | str | None = None
    small: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column; ``falling``: whether the first click puts the highest value first."""

    label: str
    meaning: str = ""
    group: str = ""
    numeric: bool = True
    falling: bool = True


def text_head(label: str, meaning: str = "", group: str = "") -> Head:
    """The head of a column of text."""
    return Head(label, meaning, group, numeric=False, falling=False)


@dataclass(frozen=True)
class Row:
    """Cells, and the CSS class of the row."""

    cells: Sequence[Cell]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table and a line below it."""

    heads: Sequence[Head]
    rows: Sequence[Row]
    note: str = ""
    sorted_by: int | None = None

    def starts(self, column: int) -> bool:
        """Whether a group of columns begins here."""
        return column > 0 and self.heads[column].group != self.heads[column - 1].group

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over neighbouring columns and how many they span; empty if there are none."""
        runs = [(name, len(list(heads))) for name, heads in groupby(self.heads, key=lambda head: head.group)]
        return runs if any(name for name, _ in runs) else []


@dataclass(frozen=True)
class Panels(Generic[Variant]):
    """Variants of a table or a figure.

    Attributes:
        switches: label and options of each.
        variants: by the places of the chosen options, joined by ``-``.
    """

    switches: Mapping[str, Sequence[str]]
    variants: Mapping[str, Variant]


def panels(make: Callable[..., Variant], choices: Mapping[str, Mapping[str, str]]) -> Panels[Variant]:
    """``make(value, ...)`` for every combination of choices; these are labels by value, by the label of the switch.

    >>> panels(str.upper, {"Letter": {"a": "the first", "b": "the second"}}).variants
    {'0': 'A', '1': 'B'}
    """
    combinations = product(*(enumerate(options) for options in choices.values()))
    variants = {
        "-".join(str(place) for place, _ in chosen): make(*(value for _, value in chosen)) for chosen in combinations
    }
    return Panels({label: tuple(options.values()) for label, options in choices.items()}, variants)


def same(names: Sequence[str]) -> dict[str, str]:
    """Choices that are called by their values."""
    return {name: name for name in names}


def number(value: float | None, places: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus; `NONE` for NaN.

    >>> number(-0.25), number(0.0371, 3, signed=True), number(-0.001), number(float("nan"))
    ('−0.25', '+0.037', '0.00', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{round(value, places) + 0.0:{'+' if signed else ''}.{places}f}"
    return text.replace("-", MINUS)


def percent(value: float) -> str:
    """A share; `NONE` for NaN."""
    return NONE if math.isnan(value) else f"{number(100 * value, 0)}%"


def interval(low: float, high: float, places: int = 2, *, signed: bool = False) -> str:
    """Both ends; empty where they are not known.

    >>> interval(-0.1, 0.2)
    '−0.10…0.20'
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{number(low, places, signed=signed)}…{number(high, places, signed=signed)}"


def number_cell(value: float, places: int = 2, *, signed: bool = False, small: str = "") -> Cell:
    """A number, sorted by its value."""
    missing = value is None or math.isnan(value)
    return Cell(number(value, places, signed=signed), None if missing else float(value), small)


def name_cell(name: str, small: str = "") -> Cell:
    """A name, sorted as text."""
    return Cell(name, name, small)


def with_best(rows: Sequence[Row], column: int, *, higher: bool = True, among: str = "") -> list[Row]:
    """Mark the best value of a column of numbers and the second, ties alike; only in rows with the mark ``among``."""

    def value(row: Row) -> float | None:
        sorted_by = row.cells[column].value
        return round(sorted_by, 9) if isinstance(sorted_by, float) and row.mark == among else None

    ranked = sorted({known for row in rows if (known := value(row)) is not None}, reverse=higher)
    marks = dict(zip(ranked, ("best", "second"), strict=False)) if len(ranked) > 1 else {}

    def marked(row: Row) -> Row:
        known = value(row)
        if known not in marks:
            return row
        cells = list(row.cells)
        cells[column] = replace(cells[column], mark=marks[known])
        return Row(cells, row.mark)

    return [marked(row) for row in rows]

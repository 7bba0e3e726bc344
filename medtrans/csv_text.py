"""Tables as CSV that spreadsheets show as it is."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV. Numbers read back equal; a text that a spreadsheet would run as a formula gets an apostrophe.

    Names come from other hospitals' files, and people open tables in spreadsheets; so OWASP, "CSV Injection".

    >>> print(csv_text(pd.DataFrame({"source": ["=1+1", "a"], "mean": [-0.5, 1.0]})), end="")
    source,mean
    '=1+1,-0.5
    a,1.0
    """
    plain = {name: column if is_numeric_dtype(column) else _plain(column) for name, column in frame.items()}
    return pd.DataFrame(plain, columns=frame.columns, index=frame.index).to_csv(index=False, lineterminator="\n")


def _plain(column: pd.Series) -> pd.Series:
    cells = [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in column]
    return pd.Series(cells, column.index, dtype=object)  # Series.map would make numbers of True and None

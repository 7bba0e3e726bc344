"""Tables that spreadsheets show as they are."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from medtrans.csv_text import csv_text


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1"])
def test_names_that_are_formulas_become_texts(name: str) -> None:
    read = pd.read_csv(io.StringIO(csv_text(pd.DataFrame({"source": [name], "mean": [-1.0]}))))
    assert read["source"].tolist() == ["'" + name]
    assert read["mean"].tolist() == [-1.0]


def test_all_else_reads_back_equal() -> None:
    frame = pd.DataFrame({
        "source": ["nichart-a/T1/a+b", "with, comma", "a = b"],
        "mean": [0.1 + 0.2, -1e-300, np.nan],
        "seed": [0, -1, 2],
        "met": [True, False, True],
    })  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv_text(frame))), frame, check_exact=True)


def test_columns_of_several_kinds_are_written_as_they_are() -> None:
    frame = pd.DataFrame({"met": [True, None], "n": [1, None], "kind": pd.Categorical(["a", "=b"])}, dtype=object)
    assert csv_text(frame) == "met,n,kind\nTrue,1,a\n,,'=b\n"


def test_a_table_without_rows_keeps_its_columns() -> None:
    assert csv_text(pd.DataFrame({"source": [], "mean": []})) == "source,mean\n"

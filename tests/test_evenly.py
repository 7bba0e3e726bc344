"""Evenly spaced picks against the definition in exact fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from medtrans.evenly import evenly


@given(n_items=st.integers(0, 500), n=st.integers(1, 500))
def test_picks_are_the_middles_of_equal_parts(n_items, n):
    expected = [int((k + Fraction(1, 2)) / n * n_items) for k in range(n)] if n < n_items else list(range(n_items))
    assert evenly(n_items, n).tolist() == expected


def test_a_middle_that_is_a_whole_number_is_not_missed_by_rounding():
    """In floating point (k + 1/2) / n * n_items falls just below it."""
    n_items, n, k = 90, 5, 3
    assert int((k + 0.5) / n * n_items) == evenly(n_items, n)[k] - 1

from __future__ import annotations

import dataclasses

import pandas as pd

from medtrans.studies.findings.people import People
from medtrans.studies.findings.results import Results

PEOPLE = People({"a": frozenset("pq"), "b": frozenset("qr"), "c": frozenset("rs"), "d": frozenset("t")})


def test_targets_that_share_people_by_way_of_others_are_one_group():
    a, b, c, d = PEOPLE.groups("abcd")
    assert a == b == c != d
    assert PEOPLE.counts("abcd") == (5, 2)


def test_only_targets_that_are_judged_link_others():
    assert PEOPLE.counts("acd") == (5, 3)  # without b, a and c share no one


def test_one_target_of_unknown_people_makes_all_unknown():
    assert PEOPLE.groups("abx") is None
    assert PEOPLE.counts("abx") == (None, None)
    assert PEOPLE.why_no_interval("abx") == "who was scanned is not recorded"
    assert PEOPLE.why_no_interval("") == ""


def test_an_interval_is_over_the_targets_that_have_all_columns():
    table = pd.DataFrame({"target": list("abcdx"), "value": [1.0, 2, 3, 6, None]})
    assert PEOPLE.interval(table, ["value"]).estimate == 3


def test_results_know_the_people_of_their_store(filled_store):
    results = Results.read(filled_store)
    assert results.people.groups(results.targets) is None
    people = pd.DataFrame({"target": [*results.targets, results.targets[0]], "person": list("ppqr")})
    known = dataclasses.replace(results, frames={**results.frames, "people": people})
    assert known.people.counts(results.targets) == (3, 2)

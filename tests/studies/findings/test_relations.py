from __future__ import annotations

import pandas as pd
import pytest

from medtrans.studies.findings.relations import (
    by_relation,
    domain_relation,
    kind,
    relatedness,
    relation,
    relation_table,
    structure_relation,
)
from medtrans.studies.findings.results import Results
from medtrans.tasks import TaskName


def task(text: str) -> TaskName:
    return TaskName.parse(text)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a/T1/GM", "b/T1/GM", "same"),
        ("a/T1POST/GM", "b/T1CE/GM", "same"),  # two names of one contrast
        ("a/T1/GM", "a/T2/GM", "same structure, other modality"),
        ("a/T1/GM", "a/T1/WM", "other structure, same modality"),
        ("a/T1/GM", "a/T2/WM", "both other"),
        ("a/T1/NCR+ET", "a/T1/TC", "same"),  # the same parts
    ],
)
def test_relation_by_modality_and_structure(source, target, said):
    assert relation(task(source), task(target)) == said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("GM", "GM", "same"),
        ("GM", "CSF", "complementary"),
        ("NCR", "ED", "complementary"),
        ("TC", "ED", "complementary"),
        ("WT", "ET", "bigger"),
        ("ET", "TC", "smaller"),
        ("TC", "ED+ET", "overlapping"),
        ("GM", "ET", "not complementary"),
        ("lesion", "ET", "not complementary"),
        ("skull", "GM", "not complementary"),
    ],
)
def test_relation_of_structures_by_their_parts(source, target, said):
    assert structure_relation(task(f"a/T1/{source}"), task(f"b/T2/{target}")) == said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("GM", "CSF", "related"),
        ("ET", "lesion", "related"),
        ("GM", "WT", "unrelated"),
        ("skull", "skull", "related"),
        ("skull", "GM", "unknown"),
        ("GM+ET", "GM", "unknown"),
    ],
)
def test_related_are_structures_of_one_kind(source, target, said):
    assert relatedness(task(f"a/T1/{source}"), task(f"b/T1/{target}")) == said


def test_a_structure_of_both_kinds_has_none():
    assert (kind("ET+GM"), kind("NCR+lesion"), kind("GM+skull")) == ("", "abnormal", "")


def test_mean_accuracy_by_relation_target_by_target():
    truth = pd.DataFrame(
        [[0.9, 0.5, 0.7, 0.3], [float("nan"), 0.8, 0.2, 0.6]],
        index=["b/T1/GM", "b/T2/ET"],
        columns=["a/T1/GM", "a/T1/WM", "a/T2/GM", "a/T1/ET"],
    )
    table = by_relation(truth)
    assert table.columns.tolist() == [
        "same", "same structure, other modality", "other structure, same modality", "both other",
    ]  # fmt: skip
    assert table.loc["b/T1/GM"].tolist()[:3] == pytest.approx([0.9, 0.7, 0.4])
    assert table.loc["b/T2/ET"].tolist()[1:] == pytest.approx([0.6, 0.2, 0.8])
    assert table.isna().to_numpy().sum() == 2
    assert by_relation(truth, domain_relation)["other domain"].tolist() == pytest.approx([0.6, 1.6 / 3])


def test_the_architecture_of_a_source_is_no_part_of_its_task():
    truth = pd.DataFrame([[0.9, 0.5, 0.1]], index=["b/T1/GM"], columns=["a/T1/GM@UNet", "a/T1/GM@FCN8s", "a/T2/GM"])
    table = by_relation(truth)
    assert table["same"].tolist() == pytest.approx([0.7])
    assert table["same structure, other modality"].tolist() == pytest.approx([0.1])


def test_a_target_without_any_transfer_keeps_its_row():
    truth = pd.DataFrame([[0.9], [float("nan")]], index=["b/T1/GM", "b/T2/GM"], columns=["a/T1/GM"])
    table = by_relation(truth)
    assert table.index.tolist() == ["b/T1/GM", "b/T2/GM"]
    assert table["same"].isna().tolist() == [False, True]


def test_relations_of_a_study(filled_store):
    table = relation_table(Results.read(filled_store), "head")
    # accuracy 0.5 + 0.1 s + 0.01 t + 0.01 (mean of the seeds): of a/T1/GM, a/T1/WM, a/T2/GM, b/T1/GM to b/T1/WM
    row = table.loc["b/T1/WM"]
    assert row["same"] == pytest.approx(0.62)
    assert row["other structure, same modality"] == pytest.approx((0.52 + 0.82) / 2)
    assert row["both other"] == pytest.approx(0.72)

from __future__ import annotations

import pandas as pd
import pytest

from medtrans.studies.findings.relations import by_relation, relation_table
from medtrans.studies.findings.results import Results
from medtrans.tasks.relations import domain_relation


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

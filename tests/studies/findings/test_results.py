from __future__ import annotations

import csv
import dataclasses
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from medtrans.config import StudyJob
from medtrans.errors import StudyError
from medtrans.studies.engine.pieces import Outcome
from medtrans.studies.engine.plan import plan
from medtrans.studies.engine.schema import PEOPLE_TABLES
from medtrans.studies.engine.store import TABLES, Store
from medtrans.studies.findings.exports import export_csv, export_parquet
from medtrans.studies.findings.results import Results
from tests.studies.conftest import METRICS, SOURCES, TARGETS, outcome_of

NAN = np.nan


@pytest.fixture
def results(filled_store: Path) -> Results:
    return Results.read(filled_store)


def is_target_by_source(table: pd.DataFrame) -> bool:
    return tuple(table.index) == TARGETS and tuple(table.columns) == SOURCES


def test_names_come_in_the_order_of_the_job(results: Results) -> None:
    assert (results.targets, results.sources) == (TARGETS, SOURCES)
    assert (results.modes, results.samplers, results.metrics) == (("head", "full"), ("boundary",), METRICS)
    assert results.filters == ("none", "default")
    assert set(results.frames) == {*TABLES, *PEOPLE_TABLES, "pieces"}


def test_truth_is_the_mean_over_the_seeds(results: Results) -> None:
    """Seeds 0 and 1 differ by 0.02; the last source is the first target's own task."""
    head = results.truth("head")
    assert is_target_by_source(head)
    expected = [[0.51, 0.61, 0.71, NAN], [0.52, 0.62, 0.72, 0.82], [0.53, 0.63, 0.73, 0.83]]
    assert_allclose(head, expected, rtol=1e-12)
    assert_allclose(results.truth("full"), np.array(expected) + 0.05, rtol=1e-12)


def test_truth_by_seed(results: Results) -> None:
    by_seed = results.truth_by_seed("head")
    assert list(by_seed) == [0, 1]
    assert all(map(is_target_by_source, by_seed.values()))
    assert_allclose(by_seed[0].loc["b/T2/WM"], [0.52, 0.62, 0.72, 0.82], rtol=1e-12)
    assert_allclose(by_seed[1].loc["b/T2/WM"], [0.54, 0.64, 0.74, 0.84], rtol=1e-12)


def test_truth_is_by_the_measure_of_the_study_or_another(results: Results) -> None:
    """mIoU is 1 - Dice here, pixel accuracy 0.9."""
    assert (results.measure, results.measure_name) == ("dice", "Dice")
    by_miou = dataclasses.replace(results, job=results.job.model_copy(update={"measure": "miou"}))
    assert (by_miou.measure, by_miou.measure_name) == ("miou", "mIoU")
    for found in (by_miou.truth("head"), results.truth("head", "miou")):
        assert_allclose(found, 1 - results.truth("head"), rtol=1e-12)
    assert_allclose(by_miou.truth("head", "dice"), results.truth("head"), rtol=0)
    assert_allclose(results.truth("full", measure="pixel_accuracy").loc["b/T2/WM"], 0.9, rtol=1e-12)
    assert_allclose(results.scratch("miou"), 1 - results.scratch(), rtol=1e-12)
    assert_allclose(results.fusions("miou"), 1 - results.fusions(), rtol=1e-12)
    with pytest.raises(StudyError, match="unknown measure 'iou' in this study; did you mean 'miou'"):
        results.truth("head", "iou")  # type: ignore[arg-type]


def test_scratch(results: Results) -> None:
    assert results.scratch().index.tolist() == list(TARGETS)
    assert_allclose(results.scratch(), [0.41, 0.41, 0.41], rtol=1e-12)


def test_scores_are_means_over_the_repetitions(results: Results) -> None:
    """h_score is s and s + 0.5 for source s; otce_sim is -s, and cannot be had for source 2."""
    assert is_target_by_source(results.scores("boundary", "h_score"))
    others = [0.25, 1.25, 2.25, 3.25]
    assert_array_equal(results.scores("boundary", "h_score"), [[0.25, 1.25, 2.25, NAN], others, others])
    others = [0, -1, NAN, -3]
    assert_array_equal(results.scores("boundary", "otce_sim"), [[0, -1, NAN, NAN], others, others])


def test_kept(results: Results) -> None:
    assert is_target_by_source(results.kept("default"))
    assert_array_equal(results.kept("default"), 3 * [[False, True, True, True]])
    assert_array_equal(results.kept("none"), 3 * [[True, True, True, True]])
    assert set(results.kept("default").dtypes) == {np.dtype(bool)}


def test_a_transfer_without_all_its_seeds_has_no_truth(tiny_job: StudyJob) -> None:
    with Store.open(tiny_job.store_path, tiny_job) as store:
        for piece in chain(*plan(tiny_job)):
            if piece.seed != 1 or piece.target != "b/T1/WM" or piece.mode == "full":
                store.record(piece, outcome_of(piece))
    results = Results.read(tiny_job.store_path)
    assert_array_equal(results.truth("head").isna(), [[False, False, False, True], 4 * [True], 4 * [False]])
    assert_allclose(results.truth_by_seed("head")[0].loc["b/T1/WM"], [0.51, 0.61, 0.71, 0.81], rtol=1e-12)
    assert results.truth("full").loc["b/T1/WM"].notna().all()
    assert results.scratch().index.tolist() == ["b/T1/GM", "b/T2/WM"]


def test_a_study_that_found_nothing_yet(tiny_job: StudyJob) -> None:
    Store.open(tiny_job.store_path, tiny_job).close()
    results = Results.read(tiny_job.store_path)
    assert results.modes == ()
    assert results.scratch().empty
    for table in (results.truth("head"), results.scores("boundary", "h_score")):
        assert is_target_by_source(table)
        assert table.isna().all(axis=None)
    assert results.kept("default").all(axis=None)


def test_unknown_names(results: Results) -> None:
    with pytest.raises(StudyError, match=r"unknown metric 'h_scor' in this study; did you mean 'h_score'\?"):
        results.scores("boundary", "h_scor")
    with pytest.raises(StudyError, match="unknown sampler 'uniform' in this study"):
        results.scores("uniform", "h_score")
    with pytest.raises(StudyError, match="unknown filter 'strict' in this study"):
        results.kept("strict")
    with pytest.raises(StudyError, match="unknown mode 'scratch' in this study"):
        results.truth("scratch")


def test_csv_reads_back_equal(results: Results, tmp_path: Path) -> None:
    export_csv(results, tmp_path / "new" / "csv")
    written = {path.name for path in (tmp_path / "new/csv").iterdir()}
    assert written == {f"{table}.csv" for table in (*TABLES, *PEOPLE_TABLES, "pieces")}
    with (tmp_path / "new/csv/transfers.csv").open(newline="", encoding="utf-8") as file:
        transfers = [(*row[:3], int(row[3]), *map(float, row[4:])) for row in list(csv.reader(file))[1:]]
    assert transfers == list(results.frames["transfers"].itertuples(index=False, name=None))
    assert len(transfers) == 50  # 11 pairs x 2 modes x 2 seeds, and 3 targets x 2 seeds from scratch


def test_parquet_reads_back_equal(results: Results, tmp_path: Path) -> None:
    export_parquet(results, tmp_path)
    for table in ("candidates", "scores", "pieces"):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{table}.parquet"), results.frames[table])


def test_parquet_needs_pyarrow(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StudyError, match=r"pip install medtrans\[parquet\]"):
        export_parquet(results, tmp_path / "parquet")
    assert not (tmp_path / "parquet").exists()


def test_an_export_that_cannot_be_written(results: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"sources\.csv: cannot be written"):
        export_csv(results, tmp_path / "file")


def test_an_export_in_the_way_of_a_folder_leaves_no_rest(results: Results, tmp_path: Path) -> None:
    (tmp_path / "sources.csv").mkdir()
    with pytest.raises(StudyError, match="cannot be written"):
        export_csv(results, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_unknown_accuracy_is_nan(tiny_job: StudyJob) -> None:
    piece = plan(tiny_job)[0][0]
    with Store.open(tiny_job.store_path, tiny_job) as store:
        store.record(piece, Outcome({"sources": [(piece.sources[0], None, None, None)]}, 0.0, {}))
    frame = Results.read(tiny_job.store_path).frames["sources"]
    assert frame["miou"].dtype == np.float64
    assert frame["miou"].isna().tolist() == [True]

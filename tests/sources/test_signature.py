"""Signatures: what is told comes back, what contradicts itself is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.data.statistics import MeanShape
from medtrans.errors import BundleError
from medtrans.sources import Signature
from medtrans.tasks import TaskName

TASK = TaskName("iseg", "T1", "CSF")
ONES = np.ones(4, dtype=np.bool_)


def features(n: int = 3, width: int = 2) -> Any:
    return np.arange(n * width, dtype=np.float32).reshape(n, width)


def labels(n: int = 3) -> Any:
    return np.zeros(n, dtype=np.uint8)


def shape(*size: int, value: float = 0.5) -> MeanShape:
    return MeanShape(np.full(size or (4, 4, 4), value, dtype=np.float32), ONES)


def full() -> Signature:
    return Signature(TASK, 2, features(), labels(), shape(), np.array([-1, 0, 3], dtype=np.float32))


@pytest.mark.parametrize(
    "signature",
    [
        full(),
        full().reduced(),
        Signature(TASK, 1),
        Signature(TASK, 1, shape=shape(4, 4)),
        Signature(TASK, 9, features(), labels()),
    ],
)
def test_what_is_told_comes_back(signature: Signature, tmp_path: Path) -> None:
    signature.save(tmp_path)
    loaded = Signature.load(tmp_path)
    assert (loaded.task, loaded.n_subjects) == (signature.task, signature.n_subjects)
    for name in ("features", "labels", "intensity_quantiles"):
        theirs, ours = getattr(loaded, name), getattr(signature, name)
        assert (theirs is None) == (ours is None)
        if ours is not None:
            np.testing.assert_array_equal(theirs, ours, strict=True)
    assert (loaded.shape is None) == (signature.shape is None)
    if loaded.shape is not None and signature.shape is not None:
        np.testing.assert_array_equal(loaded.shape.values, signature.shape.values, strict=True)
        np.testing.assert_array_equal(loaded.shape.observed, signature.shape.observed, strict=True)


@given(n=st.integers(1, 40), width=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_pixels_come_back_bit_for_bit(n: int, width: int, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(n, width)).astype(np.float32)
    classes = rng.integers(0, 4, n).astype(np.uint8)
    folder = tmp_path_factory.mktemp("signature")
    Signature(TASK, 1, drawn, classes).save(folder)
    loaded = Signature.load(folder)
    np.testing.assert_array_equal(loaded.features, drawn, strict=True)
    np.testing.assert_array_equal(loaded.labels, classes, strict=True)


def test_reduced_tells_nothing_of_single_pixels(tmp_path: Path) -> None:
    reduced = full().reduced()
    assert (reduced.features, reduced.labels) == (None, None)
    assert reduced.shape is not None
    reduced.save(tmp_path)
    with np.load(tmp_path / "signature/signature.npz") as arrays:
        assert set(arrays) == {"shape_values", "shape_observed", "intensity_quantiles"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"n_subjects": 0}, "0 subjects"),
        ({"features": features()}, "give both or neither"),
        ({"labels": labels()}, "give both or neither"),
        ({"features": features(3), "labels": labels(2)}, "differ in number"),
        ({"features": features(0), "labels": labels(0)}, r"features is float32 of shape \(0, 2\)"),
        ({"features": features().astype(np.float64), "labels": labels()}, "features is float64"),
        ({"features": features().ravel(), "labels": labels(6)}, r"of shape \(6,\)"),
        ({"features": features(), "labels": labels().astype(np.int64)}, "labels is int64"),
        ({"features": features() + np.inf, "labels": labels()}, "features holds NaN"),
        ({"shape": shape(4, 4, 5)}, "not a cube"),
        ({"shape": shape(5, 5, 5)}, "not a cube"),
        ({"shape": shape(4)}, r"shape_values is float32 of shape \(4,\)"),
        ({"shape": shape(value=1.5)}, "leaves the range 0 to 1"),
        ({"shape": shape(value=-0.5)}, "leaves the range 0 to 1"),
        ({"shape": shape(value=np.nan)}, "shape_values holds NaN"),
        ({"intensity_quantiles": np.array([1, 0], dtype=np.float32)}, "descend"),
        ({"intensity_quantiles": np.array([np.nan], dtype=np.float32)}, "intensity_quantiles holds NaN"),
    ],
)
def test_contradictions_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Signature(**({"task": TASK, "n_subjects": 1} | parts))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": features(), "labels": labels(2)}, "differ in number"),
        ({"features": features() * np.nan, "labels": labels()}, "features holds NaN"),
        ({"features": features().astype(np.float64), "labels": labels()}, "features claims to be float64"),
        ({"features": features().astype(">f4"), "labels": labels()}, "features claims to be >f4"),
        ({"features": features(0), "labels": labels(0)}, "features claims"),
        ({"shape_values": shape().values}, "belong together"),
        ({"something": labels()}, "unknown array 'something'"),
    ],
)
def test_files_that_contradict_themselves(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    full().save(tmp_path)
    np.savez(tmp_path / "signature/signature.npz", **arrays)
    with pytest.raises(BundleError, match=message) as caught:
        Signature.load(tmp_path)
    assert str(tmp_path / "signature") in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"format": 3}, "update medtrans"),
        ({"task": "CSF"}, "domain/modality/structure"),
        ({"task": 3}, "'task' is 3, not a text"),
        ({"n_subjects": -1}, "-1 subjects"),
        ({"n_subjects": 1.5}, "'n_subjects' is 1.5, not a whole number"),
    ],
)
def test_facts_that_are_wrong(tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    full().save(tmp_path)
    file = tmp_path / "signature/signature.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    with pytest.raises(BundleError, match=message):
        Signature.load(tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    full().save(tmp_path)
    file = tmp_path / "signature/signature.npz"
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(BundleError, match=r"not an \.npz file"):
        Signature.load(tmp_path)


@pytest.mark.parametrize(("module", "function"), [(np, "savez"), (Path, "write_text")])
def test_a_failing_write_leaves_the_old_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, function: str
) -> None:
    full().save(tmp_path)

    def fill_the_disk(file: Path, *_: Any, **__: Any) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(module, function, fill_the_disk)
    with pytest.raises(OSError, match="no space left"):
        Signature(TASK, 9).save(tmp_path)
    old = Signature.load(tmp_path)
    assert old.n_subjects == full().n_subjects
    np.testing.assert_array_equal(old.features, features())
    assert {file.name for file in (tmp_path / "signature").iterdir()} == {"signature.json", "signature.npz"}


def as_older(folder: Path) -> None:
    """As it was written before images were padded alike everywhere."""
    file = folder / "signature/signature.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))


def test_features_of_the_older_format_are_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    full().save(tmp_path)
    as_older(tmp_path)
    found = Signature.load(tmp_path)
    assert found.is_outdated
    assert found.features is None
    assert found.labels is None
    assert found.shape is not None
    assert found.intensity_quantiles is not None


def test_an_older_signature_without_features_is_as_good_as_a_new_one(tmp_path: Path) -> None:
    full().reduced().save(tmp_path)
    as_older(tmp_path)
    assert not Signature.load(tmp_path).is_outdated

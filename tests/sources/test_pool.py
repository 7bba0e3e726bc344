"""Pools: found at any depth, the broken ones named, the rest there."""

from __future__ import annotations

import errno
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medtrans.errors import BundleError, MedtransWarning
from medtrans.sources import Pool, Signature, Source, read_bundle
from medtrans.tasks import TaskName

NAMES = ("open-ms/FLAIR/lesion", "open-ms/T1/GM", "iseg/T1/CSF")


@pytest.fixture
def root(write: Callable[..., Source], tmp_path: Path) -> Path:
    for name in NAMES:
        write(TaskName.parse(name))
    return tmp_path / "pool"


def test_sources_by_name_in_order(root: Path) -> None:
    pool = Pool(root)
    assert pool.names == tuple(sorted(NAMES))
    assert [source.name for source in pool] == sorted(NAMES)
    assert len(pool) == 3
    assert pool["iseg/T1/CSF"].task == TaskName("iseg", "T1", "CSF")
    assert pool["iseg/T1/CSF"].path == root / "iseg/T1/CSF"
    assert not pool.broken


def test_no_warning_for_a_sound_pool(root: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pool(root)


def test_bundles_of_others_beside_ours(root: Path, zoo_bundle: Path) -> None:
    zoo_bundle.rename(root / "brats_mri_segmentation")
    assert Pool(root)["brats_mri_segmentation"].out_channels == 3


def test_broken_bundles_are_left_out_with_their_reasons(root: Path) -> None:
    (root / "iseg/T1/CSF/configs/metadata.json").unlink()
    (root / "open-ms/T1/GM/models/model.pt").unlink()
    with pytest.warns(MedtransWarning) as caught:
        pool = Pool(root)
    assert pool.names == ("open-ms/FLAIR/lesion",)
    assert set(pool.broken) == {"iseg/T1/CSF", "open-ms/T1/GM"}
    assert "metadata.json: missing" in pool.broken["iseg/T1/CSF"]
    assert "model.pt: missing" in pool.broken["open-ms/T1/GM"]
    assert ["'iseg/T1/CSF' is left out" in str(w.message) for w in caught] == [True, False]
    with pytest.raises(BundleError, match=r"is left out: .*model\.pt"):
        pool["open-ms/T1/GM"]


def test_an_unknown_name_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(BundleError, match="did you mean 'open-ms/T1/GM'"):
        Pool(root)["open-ms/T1/GN"]


def test_unfinished_training_is_no_source(root: Path) -> None:
    (root / "iseg/T1/CSF").rename(root / ".partial")
    (root / "open-ms/T1/GM").rename(root / "open-ms/T1/.GM.0123abcd")
    assert Pool(root).names == ("open-ms/FLAIR/lesion",)


def test_links_are_followed_to_a_bundle_and_no_further(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/linked").symlink_to(root / "iseg/T1/CSF")
    (tmp_path / "other/round").symlink_to(tmp_path / "other")
    assert Pool(tmp_path / "other").names == ("linked",)


def test_pools_that_are_none(tmp_path: Path, root: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        Pool(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="holds no MONAI bundles"):
        Pool(tmp_path / "empty")
    with pytest.raises(BundleError, match="is a bundle itself"):
        Pool(root / "iseg/T1/CSF")


@pytest.mark.filterwarnings("ignore::medtrans.errors.MedtransWarning")
def test_a_pool_of_broken_bundles_only(root: Path) -> None:
    for name in NAMES:
        (root / name / "models/model.pt").unlink()
    with pytest.raises(BundleError, match=r"none of its 3 bundles can be read; .*iseg/T1/CSF/models/model\.pt"):
        Pool(root)


def test_sixteen_sources_of_full_size_are_read_in_no_time(write: Callable[..., Source], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(16):
        task = TaskName("site", "T1", f"structure{i}")
        told = Signature(task, 1, rng.random((10_000, 16), dtype=np.float32), np.zeros(10_000, dtype=np.uint8))
        write(task, signature=told)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(Pool(tmp_path / "pool")) == 16
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 16 * 0.05


def test_a_link_to_itself_is_a_broken_bundle(root: Path) -> None:
    weights = root / "iseg/T1/CSF/models/model.pt"
    weights.unlink()
    weights.symlink_to(weights)
    with pytest.warns(MedtransWarning, match="a link that leads nowhere"):
        assert "iseg/T1/CSF" not in Pool(root).names


@pytest.mark.parametrize("spacing_mm", ["x", [1.0, 1.0, 1.0, 1.0], -1])
def test_preprocessing_that_makes_no_sense_is_a_broken_bundle(root: Path, spacing_mm: object) -> None:
    file = root / "iseg/T1/CSF/configs/metadata.json"
    metadata = json.loads(file.read_text())
    metadata["medtrans"]["preprocessing"]["spacing_mm"] = spacing_mm
    file.write_text(json.dumps(metadata))
    with pytest.warns(MedtransWarning, match=r"medtrans\.preprocessing"):
        assert "iseg/T1/CSF" not in Pool(root).names


def test_the_next_writer_removes_what_a_killed_one_left(root: Path, write: Callable[..., Source]) -> None:
    killed = root / "iseg/T1/.CSF.0123abcd"
    (killed / "models").mkdir(parents=True)
    others = root / "iseg/T1/.CSF2.0123abcd"
    others.mkdir()
    write(TaskName.parse("iseg/T1/CSF"))
    assert not killed.exists()
    assert others.exists()


def forbid(monkeypatch: pytest.MonkeyPatch, owner: Any, function: str, below: Path) -> None:
    """Lets a function fail there as for a user who may not read it; root, who runs tests in containers, always may."""
    allowed = getattr(owner, function)

    def guarded(path: Any, *args: Any, **options: Any) -> Any:
        if Path(path).is_relative_to(below):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return allowed(path, *args, **options)

    monkeypatch.setattr(owner, function, guarded)


@pytest.mark.parametrize(
    ("owner", "function", "below", "name"),
    [
        (Path, "exists", "iseg", "iseg"),
        (os, "scandir", "iseg", "iseg"),
        (Path, "exists", "iseg/T1/CSF/models", "iseg/T1/CSF"),
        (Path, "is_file", "iseg/T1/CSF", "iseg/T1/CSF"),
        (Path, "stat", "iseg/T1/CSF/configs", "iseg/T1/CSF"),
    ],
)
def test_a_folder_that_may_not_be_read_leaves_the_rest_of_the_pool(
    root: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, function: str, below: str, name: str
) -> None:
    forbid(monkeypatch, owner, function, root / below)
    with pytest.warns(MedtransWarning, match=f"'{name}' is left out: .*cannot be read"):
        pool = Pool(root)
    assert pool.names == ("open-ms/FLAIR/lesion", "open-ms/T1/GM")
    assert set(pool.broken) == {name}
    assert f"{root / below}" in pool.broken[name]
    assert "cannot be read (Permission denied)" in pool.broken[name]


def test_a_pool_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, os, "scandir", root)
    with pytest.warns(MedtransWarning), pytest.raises(BundleError, match=r"cannot be read \(Permission denied\)"):
        Pool(root)


@pytest.mark.parametrize(
    "error", [KeyError("a\nb"), MemoryError(), RecursionError("deep"), UnicodeDecodeError("utf-8", b"", 0, 1, "x")]
)
def test_whatever_a_bundle_raises_it_alone_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(folder: Path, name: str) -> Source:
        if name == NAMES[0]:
            raise error
        return read_bundle(folder, name)

    monkeypatch.setattr("medtrans.sources.pool.read_bundle", read)
    with pytest.warns(MedtransWarning, match="is left out"):
        pool = Pool(root)
    assert pool.names == tuple(sorted(NAMES[1:]))
    assert pool.broken[NAMES[0]].isprintable()
    assert type(error).__name__ in pool.broken[NAMES[0]]

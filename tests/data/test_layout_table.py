"""One table of layouts, which configuration and readers share and other packages join."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from medtrans.config import LAYOUTS, DataSettings, Layout, layout_named, layout_of
from medtrans.config import layouts as table
from medtrans.data import load_task, open_dataset
from medtrans.data.layouts.dataset import LABEL, CaseFiles, Dataset, ImageFile, Structure
from medtrans.errors import MedtransWarning
from tests.data.tiny_scans import tiny_head, tiny_label, write_nifti


def index(root: Path, part: str | None) -> Dataset:
    """A layout as another package would write it."""
    case = CaseFiles(part or "all", {"T1": ImageFile(root / "t1.nii.gz")}, {LABEL: root / "label.nii.gz"})
    return Dataset(root, (case,), {"ET": Structure((1,))}, {LABEL: ({0: 0, 1: 1, 2: 2, 4: 4},)})


MINE = Layout("mine", "scan", index)
TAKEN = Layout("iseg", "scan", index)


def join(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    points = [EntryPoint("it", f"{__name__}:{name}", table.ENTRY_POINT_GROUP)]
    monkeypatch.setattr(table, "entry_points", lambda group: points if group == table.ENTRY_POINT_GROUP else [])


def test_another_package_s_layout_is_configured_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    head = tiny_head()
    write_nifti(tmp_path / "t1.nii.gz", head)
    write_nifti(tmp_path / "label.nii.gz", tiny_label(1))
    join(monkeypatch, "MINE")
    assert DataSettings(format="mine", root=tmp_path).format == "mine"
    assert layout_of("mine-west") is MINE
    assert [case.id for case in open_dataset("mine-west", tmp_path).cases] == ["west"]
    task = load_task("mine-west/T1/ET", tmp_path)
    assert {case.kind for case in task.cases} == {"scan"}
    assert np.count_nonzero([case.label for case in task.cases])


def test_a_taken_name_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    join(monkeypatch, "TAKEN")
    with pytest.warns(MedtransWarning, match="'it' of medtrans.layouts left out: the name 'iseg' is taken"):
        assert table.available_layouts() == LAYOUTS


@pytest.mark.parametrize(
    ("layout", "domain", "part"),
    [
        ("fets", "fets-22", "22"),
        ("fets", "fets-2022-22", "2022-22"),
        ("fets", "fets2022-22", "22"),
        ("fets", "fets", None),
        ("cityscapes", "cityscapes-aachen", "aachen"),
        ("cityscapes", "town", None),
    ],
)
def test_a_domain_names_a_part_after_the_layout(layout: str, domain: str, part: str | None) -> None:
    assert layout_named(layout).part_of(domain) == part


def test_a_slice_without_a_height_is_no_photograph() -> None:
    from medtrans.tasks import Case

    label = np.zeros((4, 5), np.uint8)
    case = Case("a", label[None].astype(np.float32), label, (2.0, 2.0))
    assert not case.is_photograph
    assert case.unit == "mm"
    assert Case("a", case.image, label, (1.0, 1.0), kind="photograph").unit == "pixels"

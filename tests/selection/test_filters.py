from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtrans.config import FilterSettings
from medtrans.data.statistics import MeanShape, intensity_quantiles, mean_shape
from medtrans.selection.filters import (
    canonical_modality,
    filter_sources,
    modality_analysis,
    roi_analysis,
    shape_similarity,
)
from medtrans.sources import Signature, Source
from medtrans.tasks import Case, Task, TaskName


def volume(box: tuple[slice, ...], shift: float = 0.0) -> Case:
    """A 32^3 volume with a structure in ``box``; intensities 0.01 .. 1 plus ``shift``."""
    label = np.zeros((32, 32, 32), dtype=np.uint8)
    label[box] = 1
    image = np.linspace(0.01, 1, label.size, dtype=np.float32).reshape(1, *label.shape) + np.float32(shift)
    return Case("someone", image, label, (1.0, 1.0, 1.0))


LEFT, RIGHT = (slice(2, 14),) * 3, (slice(18, 30),) * 3
TARGET = Task(TaskName("here", "FLAIR", "tumour"), (volume(LEFT),), ("background", "tumour"))
BOTH = FilterSettings(modality=True, roi=True, max_modality_distance=0.5, min_shape_similarity=0.9, min_pool=1)


def source(name: str, modality: str | None, case: Case | None = None) -> Source:
    task = TaskName("there", modality or "?", "core")
    signature = case and Signature(task, 1, shape=mean_shape([case]), intensity_quantiles=intensity_quantiles([case]))
    return Source(name, Path(name), task, modality, 3, 1, 2, ("a", "b"), "softmax", {}, None, signature, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [("T1", "t1n"), ("T1POST", "T1CE"), ("t1c", "T1Gd"), ("T2w", "T2"), ("t2f", "FLAIR"), ("T2-FLAIR", "flair")],
)
def test_synonyms_of_a_contrast_are_one_modality(one, other):
    assert canonical_modality(one) == canonical_modality(other)


@pytest.mark.parametrize(("one", "other"), [("T1", "T1CE"), ("T2", "T2F"), ("CT", "T1"), ("T1+T2", "T1")])
def test_other_contrasts_are_not(one, other):
    assert canonical_modality(one) != canonical_modality(other)


def test_same_modality_passes_however_far_its_intensities_are():
    assert modality_analysis(TARGET, [source("a", "t2f", volume(LEFT, shift=9))], max_distance=0.5) == []


def test_another_modality_fails_beyond_the_distance_and_says_how_far():
    near, far = source("near", "T2", volume(LEFT, shift=0.4)), source("far", "T2", volume(LEFT, shift=0.75))
    (finding,) = modality_analysis(TARGET, [near, far], max_distance=0.5)
    assert finding.source == "far"
    assert finding.shortfall == pytest.approx(0.5, rel=1e-5)  # 0.75 is half the threshold beyond it
    assert "T2 is not FLAIR" in finding.text
    assert "0.75 standard deviations" in finding.text


def test_a_source_of_unnamed_modality_is_judged_by_distance():
    findings = modality_analysis(TARGET, [source("a", None, volume(LEFT, shift=3))], max_distance=0.5)
    assert findings[0].shortfall == pytest.approx(5, rel=1e-5)


def test_equal_shapes_have_similarity_one_and_shapes_far_apart_little():
    left, right = mean_shape([volume(LEFT)]), mean_shape([volume(RIGHT)])
    assert shape_similarity(left, left) == pytest.approx(1)
    assert shape_similarity(right, left) < 0.8
    assert roi_analysis(TARGET, [source("a", "T2", volume(LEFT))], min_similarity=0.9) == []
    (finding,) = roi_analysis(TARGET, [source("b", "T2", volume(RIGHT))], min_similarity=0.9)
    assert "core does not lie where tumour does" in finding.text


def test_planes_that_the_target_does_not_show_do_not_count():
    values = np.zeros((8, 8, 8), dtype=np.float32)
    values[..., 2] = 1
    other = values.copy()
    other[2:6, 2:6, 5] = 1
    only_two = np.arange(8) == 2
    assert shape_similarity(MeanShape(other, np.ones(8, bool)), MeanShape(values, only_two)) == pytest.approx(1)
    assert shape_similarity(MeanShape(other, np.ones(8, bool)), MeanShape(values, np.ones(8, bool))) < 1


def test_a_plane_that_the_source_leaves_out_is_met_by_its_neighbour():
    values = np.zeros((8, 8, 8), dtype=np.float32)
    values[2:6, 2:6, 3] = 1
    target = np.zeros_like(values)
    target[2:6, 2:6, 4] = 1
    thick = MeanShape(values, np.arange(8) % 3 == 0)
    assert shape_similarity(thick, MeanShape(target, np.arange(8) == 4)) == pytest.approx(1)


def test_both_filters_keep_and_drop_with_one_reason_each():
    good = source("good", "FLAIR", volume(LEFT))
    bad = source("bad", "T2", volume(RIGHT, shift=2))
    filtered = filter_sources(TARGET, [bad, good], BOTH)
    assert filtered.kept == (good,)
    (dropped,) = filtered.dropped
    assert dropped.source == "bad"
    assert "T2 is not FLAIR" in dropped.reason
    assert "does not lie where" in dropped.reason
    assert dropped.reason.endswith(".")
    assert filtered.notes == ()


def test_a_filter_that_is_off_drops_nothing():
    bad = source("bad", "T2", volume(RIGHT, shift=2))
    off = BOTH.model_copy(update={"modality": False, "roi": False, "min_pool": 1})
    assert filter_sources(TARGET, [bad, source("good", "FLAIR")], off).dropped == ()


def test_without_a_signature_a_source_stays_and_a_note_says_so():
    filtered = filter_sources(TARGET, [source("bare", "T2")], BOTH)
    assert [kept.name for kept in filtered.kept] == ["bare"]
    assert [note for note in filtered.notes if "intensities: bare" in note]
    assert [note for note in filtered.notes if "mean shape: bare" in note]


def test_a_shape_of_other_dimensions_cannot_be_compared():
    flat = source("flat", "FLAIR", volume(LEFT))
    photograph = MeanShape(np.ones((32, 32), np.float32), np.ones(32, bool))
    signature = Signature(TaskName("a", "b", "c"), 1, shape=photograph)
    object.__setattr__(flat, "signature", signature)
    filtered = filter_sources(TARGET, [flat], BOTH)
    assert filtered.kept == (flat,)
    assert "mean shape: flat" in filtered.notes[0]


def street(structure: str, *class_names: str) -> Task:
    label = np.indices((8, 8))[0].astype(np.uint8) // 4
    image = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    return Task(TaskName("town", "RGB", structure), (Case("a", image, label, (1.0, 1.0)),), class_names)


def test_a_target_without_a_background_has_no_region_to_compare():
    everything, sky = street("2-classes", "road", "sky"), street("sky", "background", "sky")
    source_of_sky = source("sky", "RGB", sky.cases[0])
    filtered = filter_sources(everything, [source_of_sky], BOTH)
    assert filtered.kept == (source_of_sky,)
    said = "Not filtered, because 2-classes has no background, and so no mean shape to compare: sky."
    assert filtered.notes == (said,)


def test_photographs_with_a_background_are_compared_by_where_the_structure_lies():
    sky, road = street("sky", "background", "sky"), street("road", "background", "road")
    road.cases[0].label[:] = 1 - road.cases[0].label
    findings = roi_analysis(
        sky, [source("a", "RGB", sky.cases[0]), source("b", "RGB", road.cases[0])], min_similarity=0.9
    )
    assert [finding.source for finding in findings] == ["b"]
    assert findings[0].shortfall is not None


def test_the_nearest_to_passing_come_back_up_to_the_smallest_pool():
    shifts = {"far": 3.0, "near": 0.6, "middle": 1.0}
    sources = [source(name, "T2", volume(LEFT, shift)) for name, shift in shifts.items()]
    filtered = filter_sources(TARGET, sources, BOTH.model_copy(update={"min_pool": 2}))
    assert [kept.name for kept in filtered.kept] == ["near", "middle"]  # in the order of the pool
    assert [dropped.source for dropped in filtered.dropped] == ["far"]
    assert any(note.startswith("near was kept so that at least 2 sources stay") for note in filtered.notes)


def test_a_pool_smaller_than_the_smallest_pool_is_kept_whole():
    filtered = filter_sources(TARGET, [source("a", "T2", volume(RIGHT, 3))], BOTH.model_copy(update={"min_pool": 4}))
    assert len(filtered.kept) == 1
    assert filtered.dropped == ()


@pytest.mark.parametrize("target_patient", ["patient07", "patient19"])
def test_on_real_scans_the_same_structure_of_another_patient_always_stays(shared_root, target_patient):
    """With four labelled slices, the other structures fall below the default threshold too."""
    from medtrans.data import load_task

    root = shared_root / "data/open-ms"
    source_patient = {"patient07": "patient19", "patient19": "patient07"}[target_patient]
    structures = ["CSF", "lesion"]
    there = {
        name: mean_shape(load_task(f"open-ms/T2/{name}", root, cases=[source_patient]).cases) for name in structures
    }
    for name in structures:
        here = mean_shape(load_task(f"open-ms/T2/{name}", root, cases=[target_patient], slices=4).cases)
        similarity = {other: shape_similarity(there[other], here) for other in structures}
        threshold = FilterSettings().min_shape_similarity
        assert {other for other, value in similarity.items() if value >= threshold} == {name}

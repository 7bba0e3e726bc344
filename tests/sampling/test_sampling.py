from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medtrans.config import SamplerSettings
from medtrans.errors import SamplingError
from medtrans.sampling import boundary_candidates, edge_distance_mm, sample_pixels, uniform_candidates
from medtrans.sampling.candidates import equal_quotas
from medtrans.tasks import IGNORE_LABEL, Case


def case_of(label, spacing_mm=None, name="a", subject="", image=None) -> Case:
    label = np.asarray(label, dtype=np.uint8)
    image = np.ones((1, *label.shape), np.float32) if image is None else np.asarray(image, np.float32)
    return Case(name, image, label, tuple(spacing_mm or (1.0,) * label.ndim), subject)


def rng(seed=0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- distance to the nearest edge ---


def test_distance_along_a_row_counts_from_the_face_between_two_pixels():
    # Centres at 0, 2, 4, 6, 8 mm; the edge lies at 5 mm.
    distance = edge_distance_mm(np.array([[0, 0, 0, 1, 1]], np.uint8), (1, 2))
    np.testing.assert_array_equal(distance, [[5, 3, 1, 1, 3]])
    assert distance.dtype == np.float32


def test_distance_in_anisotropic_spacing_is_to_the_nearest_point_of_the_face():
    # One pixel of 3 x 1 mm in the middle: its faces lie 1.5 mm away along the first axis and 0.5 mm along the second.
    label = np.zeros((3, 5), np.uint8)
    label[1, 2] = 1
    corner = math.hypot(1.5, 0.5)  # the diagonal neighbour sees a corner of the square
    far_corner = math.hypot(1.5, 1.5)
    expected = [
        [far_corner, corner, 1.5, corner, far_corner],
        [1.5, 0.5, 0.5, 0.5, 1.5],
        [far_corner, corner, 1.5, corner, far_corner],
    ]
    np.testing.assert_allclose(edge_distance_mm(label, (3, 1)), expected, rtol=1e-6)


def test_distance_in_3d_is_by_hand():
    # The upper two of four planes are class 1; planes are 2 mm apart. Nothing depends on the other axes.
    label = np.zeros((2, 3, 4), np.uint8)
    label[..., 2:] = 1
    expected = np.broadcast_to([3.0, 1.0, 1.0, 3.0], label.shape)
    np.testing.assert_array_equal(edge_distance_mm(label, (0.5, 7, 2)), expected)


def brute_force_distance(label, spacing, ignore) -> np.ndarray:
    """Distance of every pixel's centre to every face between two labels, as boxes that are flat along one axis."""
    centres = np.stack(np.indices(label.shape), axis=-1).reshape(-1, label.ndim) * np.array(spacing)
    nearest = np.full(len(centres), np.inf)
    for pixel in np.ndindex(label.shape):
        for axis in range(label.ndim):
            other = tuple(p + (a == axis) for a, p in enumerate(pixel))
            if other[axis] == label.shape[axis] or label[pixel] == label[other]:
                continue
            if ignore in (label[pixel], label[other]):
                continue
            middle = (np.array(pixel) + np.array(other)) / 2 * spacing
            half = np.where(np.arange(label.ndim) == axis, 0, np.array(spacing) / 2)
            outside = np.maximum(np.abs(centres - middle) - half, 0)
            nearest = np.minimum(nearest, np.sqrt((outside**2).sum(axis=1)))
    return nearest.reshape(label.shape)


label_maps = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7),
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4),
).flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 7, IGNORE_LABEL])))
spacings = st.lists(st.sampled_from([0.5, 0.9, 1.0, 2.5]), min_size=3, max_size=3)


@settings(max_examples=80, deadline=None)
@given(label_maps, spacings, st.sampled_from([0.6, 1.9, math.inf]), st.sampled_from([None, IGNORE_LABEL]))
def test_distance_equals_brute_force_over_all_faces(label, spacing, limit, ignore):
    spacing = spacing[: label.ndim]
    expected = brute_force_distance(label, spacing, ignore)
    found = edge_distance_mm(label, spacing, ignore, limit_mm=limit)
    near = expected < limit - 1e-6
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-5)
    assert np.isinf(found[expected > limit + 1e-6]).all()


@settings(max_examples=40, deadline=None)
@given(label_maps, spacings)
def test_a_finer_grid_of_the_same_labels_gives_the_same_distances(label, spacing):
    spacing = np.array(spacing[: label.ndim])
    fine = label
    for axis in range(label.ndim):
        fine = np.repeat(fine, 3, axis=axis)
    same_points = (slice(1, None, 3),) * label.ndim  # of three small pixels, the middle one has the old centre
    np.testing.assert_allclose(
        edge_distance_mm(fine, spacing / 3)[same_points], edge_distance_mm(label, spacing), rtol=1e-5
    )


def test_no_edge_at_the_border_of_an_ignored_region_unless_it_counts_as_a_class():
    label = np.array([[0, 0, IGNORE_LABEL, 1, 1, 2]], np.uint8)
    np.testing.assert_array_equal(edge_distance_mm(label, (1, 1)), [[4.5, 3.5, 2.5, 1.5, 0.5, 0.5]])
    np.testing.assert_array_equal(edge_distance_mm(label, (1, 1), None), [[1.5, 0.5, 0.5, 0.5, 0.5, 0.5]])


# --- who may be drawn ---


def test_band_holds_pixels_nearer_than_band_mm_whatever_the_spacing():
    # The edge lies in the middle of 24 mm. Within 4 mm: 4 pixels of 1 mm, or 2 of 2 mm, on either side.
    fine = case_of(np.repeat([[0, 1]], 12, axis=1))
    coarse = case_of(np.repeat([[0, 1]], 6, axis=1), spacing_mm=(2, 2))
    assert boundary_candidates([fine], band_mm=4).position[:, 1].tolist() == list(range(8, 16))
    assert boundary_candidates([coarse], band_mm=4).position[:, 1].tolist() == list(range(4, 8))


def test_edges_between_any_two_of_many_classes_count():
    label = np.repeat(np.arange(19, dtype=np.uint8), 3)[None]
    found = boundary_candidates([case_of(label)], band_mm=1)
    # Of three pixels in a row of 19 classes, the middle one touches no edge; nor do the two ends of the row.
    assert found.position[:, 1].tolist() == [i for i in range(57) if i % 3 != 1 and i not in (0, 56)]
    assert set(found.label.tolist()) == set(range(19))


def test_classes_0_to_254_are_classes_like_any_other():
    label = np.arange(255, dtype=np.uint8)[None]
    np.testing.assert_array_equal(edge_distance_mm(label, (1, 1)), np.full((1, 255), 0.5))


# Two classes, and four that meet in a point; X is ignored.
X = IGNORE_LABEL
MAPS = {
    # A stripe of ignored pixels parts 3 from 18: nobody knows where one ends and the other begins.
    "stripe": ([[3, 3, X, X, 18, 18]], [], [1, 4]),
    # The edge between 3 and 18 runs under the ignored region and comes out below it.
    "hidden": ([[3, 3, X, 18], [3, 3, X, 18], [3, 3, 18, 18]], [9, 10], [1, 3, 5, 7, 9, 10]),
    # An ignored border around the image, as cameras that are distorted leave it.
    "frame": ([[X, X, X, X], [X, 0, 1, X], [X, X, X, X]], [5, 6], [5, 6]),
    "corner": ([[0, 5], [18, 2]], [0, 1, 2, 3], [0, 1, 2, 3]),
    "one class": ([[7, X], [7, X]], [], [0, 2]),
}


@pytest.mark.parametrize("name", MAPS)
def test_edges_under_and_around_ignored_regions(name):
    """Flat indices of the pixels that touch an edge: without, and with the borders of ignored regions."""
    label, without, including = MAPS[name]
    case = case_of(label)
    for ignored_edges, expected in ((False, without), (True, including)):
        if not expected:
            with pytest.raises(SamplingError, match="none of 1 images has an edge"):
                boundary_candidates([case], band_mm=0.6, ignored_edges=ignored_edges)
            continue
        found = boundary_candidates([case], band_mm=0.6, ignored_edges=ignored_edges)
        assert np.ravel_multi_index(found.position.T, case.label.shape).tolist() == expected
        assert IGNORE_LABEL not in found.label
        sample = sample_pixels([case], band_mm=0.6, ignored_edges=ignored_edges, rng=rng())
        assert sample.position.tolist() == found.position.tolist()


def test_ignored_pixels_and_pixels_outside_the_body_are_never_drawn():
    label = np.array([[0, 0, 1, 1], [IGNORE_LABEL, 0, 1, IGNORE_LABEL]])
    image = np.array([[[0, 5, 5, 5], [5, 0, 5, 5]], [[0, 0, 5, 5], [5, 5, 0, 5]]])  # only (0, 0) is 0 in both channels
    expected = [[0, 1], [0, 2], [0, 3], [1, 1], [1, 2]]
    assert boundary_candidates([case_of(label, image=image)]).position.tolist() == expected
    assert uniform_candidates([case_of(label, image=image)]).position.tolist() == expected


def test_weights_fall_linearly_from_the_edge_to_the_rim_of_the_band():
    case = case_of(np.repeat([[0, 1]], 4, axis=1))
    found = boundary_candidates([case], band_mm=2.5, weighting="distance")
    # Distances 1.5, 0.5 | 0.5, 1.5: 1 - 1.5 / 2.5 = 0.4 and 1 - 0.5 / 2.5 = 0.8; the next, at 2.5, is out.
    np.testing.assert_allclose(found.weight, [0.4, 0.8, 0.8, 0.4], rtol=1e-6)
    assert (boundary_candidates([case], band_mm=2.5).weight == 1).all()


def test_slices_of_a_subject_are_one_stratum_and_classes_split_it():
    label = [[0, 1]]
    cases = [case_of(label, name=f"{s}/z{z}", subject=s) for s, z in [("p", 1), ("q", 1), ("p", 2)]]
    assert boundary_candidates(cases).stratum.tolist() == [0, 0, 1, 1, 0, 0]
    assert boundary_candidates(cases, balance_classes=True).stratum.tolist() == [0, 1, 2, 3, 0, 1]


# --- probabilities, derived by hand and checked by simulation ---

N_DRAWS = 4000
SIGMAS = 4.5  # two-sided 7e-6 per comparison: a correct sampler fails about one seed in ten thousand


def inclusion_frequency(found, n_pixels) -> np.ndarray:
    generator = rng(1)
    counts = np.zeros(len(found))
    for _ in range(N_DRAWS):
        counts[found.draw(n_pixels, generator)] += 1
    return counts / N_DRAWS


def assert_probabilities(frequency, expected) -> None:
    expected = np.asarray(expected, float)
    tolerance = SIGMAS * np.sqrt(expected * (1 - expected) / N_DRAWS)
    assert (np.abs(frequency - expected) <= tolerance + 1e-12).all(), (frequency, expected)


def test_uniform_weighting_draws_every_pixel_of_the_band_alike():
    # Six pixels within 3 mm, two are drawn: each with probability 2/6.
    found = boundary_candidates([case_of(np.repeat([[0, 1]], 6, axis=1))], band_mm=3)
    assert_probabilities(inclusion_frequency(found, 2), [1 / 3] * 6)


def test_distance_weighting_draws_one_pixel_in_proportion_to_its_weight():
    # Distances 0.5, 1.5, 2.5 mm on both sides in a band of 3 mm: weights 5/6, 3/6, 1/6, in sum 3.
    found = boundary_candidates([case_of(np.repeat([[0, 1]], 6, axis=1))], band_mm=3, weighting="distance")
    assert_probabilities(inclusion_frequency(found, 1), np.array([1, 3, 5, 5, 3, 1]) / 18)


def test_distance_weighting_draws_several_pixels_one_after_another():
    # Distances 2.5, 1.5, 0.5 | 0.5, 1.5 in a band of 3 mm: weights 1, 3, 5, 5, 3 of 17. Two draws, the second among
    # those left: P(i) = p_i + sum over j != i of p_j p_i / (1 - p_j).
    weights = np.array([1, 3, 5, 5, 3]) / 17
    label = [[IGNORE_LABEL, IGNORE_LABEL, IGNORE_LABEL, 0, 0, 0, 1, 1, IGNORE_LABEL]]
    found = boundary_candidates([case_of(label)], band_mm=3, weighting="distance")
    np.testing.assert_allclose(found.weight / found.weight.sum(), weights, rtol=1e-6)
    expected = [p + sum(q * p / (1 - q) for j, q in enumerate(weights) if j != i) for i, p in enumerate(weights)]
    assert math.isclose(sum(expected), 2)
    assert_probabilities(inclusion_frequency(found, 2), expected)


def test_every_pair_of_pixels_has_its_probability():
    # Weights 3, 5, 5 of 13: P({i, j}) = p_i p_j / (1 - p_i) + p_j p_i / (1 - p_j).
    found = boundary_candidates([case_of([[0, 0, 1, IGNORE_LABEL]])], band_mm=3, weighting="distance")
    p = np.array([3, 5, 5]) / 13
    pairs = list(itertools.combinations(range(3), 2))
    generator = rng(2)
    drawn = [tuple(found.draw(2, generator).tolist()) for _ in range(N_DRAWS)]
    frequency = np.array([drawn.count(pair) for pair in pairs]) / N_DRAWS
    assert_probabilities(frequency, [p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) for i, j in pairs])


def test_subjects_give_equally_many_pixels_however_large_they_are():
    # Two pixels of one subject, twelve of the other; two drawn: one each, with probabilities 1/2 and 1/12.
    small, large = case_of([[0, 1]], name="small"), case_of(np.repeat([[0, 1]], 6, axis=1), name="large")
    found = boundary_candidates([small, large], band_mm=100)
    assert_probabilities(inclusion_frequency(found, 2), [1 / 2] * 2 + [1 / 12] * 12)


def test_balanced_classes_give_equally_many_pixels():
    # Class 1 has one pixel, class 0 seven; three are drawn: all of class 1, and two of seven.
    found = boundary_candidates([case_of([[0] * 7 + [1]])], band_mm=100, balance_classes=True)
    assert_probabilities(inclusion_frequency(found, 3), [2 / 7] * 7 + [1])


def test_a_remainder_goes_to_no_stratum_in_particular():
    # Three subjects of two pixels each, four drawn: one each and one more, so 4/3 of 2.
    cases = [case_of([[0, 1]], name=name) for name in "abc"]
    assert_probabilities(inclusion_frequency(boundary_candidates(cases), 4), [2 / 3] * 6)


def test_uniform_sampler_draws_every_labelled_pixel_alike():
    found = uniform_candidates([case_of([[0, 0, 0, IGNORE_LABEL], [0, 0, 0, 1]])])
    assert_probabilities(inclusion_frequency(found, 3), [3 / 7] * 7)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 120), st.integers(0, 5))
def test_quotas_are_as_equal_as_capacities_allow(capacities, n_pixels, seed):
    capacities = np.array(capacities)
    quotas = equal_quotas(capacities, n_pixels, rng(seed))
    assert quotas.sum() == min(n_pixels, capacities.sum())
    assert (quotas <= capacities).all()
    not_full = quotas[quotas < capacities]
    if len(not_full):  # whoever has more to give gives as much as anybody, but for the remainder
        assert quotas.max() - not_full.min() <= 1


# --- repetitions over one set of pixels ---


def blobs(seed=0, shape=(40, 50), name="a") -> Case:
    generator = rng(seed)
    return case_of(np.kron(generator.integers(0, 3, (shape[0] // 10, shape[1] // 10)), np.ones((10, 10))), name=name)


@pytest.mark.parametrize("kind", ["boundary", "uniform"])
def test_repetitions_are_drawn_without_replacement_and_use_every_pixel_listed(kind):
    cases = [blobs(0, name="a"), blobs(1, name="b")]
    sample = sample_pixels(cases, kind=kind, n_pixels=200, repetitions=5, rng=rng())
    assert [len(np.unique(repetition)) for repetition in sample.repetitions] == [200] * 5
    assert all((np.diff(repetition) > 0).all() for repetition in sample.repetitions)
    assert set(np.concatenate(sample.repetitions).tolist()) == set(range(len(sample)))
    assert len(np.unique(np.column_stack([sample.case_index, sample.position]), axis=0)) == len(sample)
    for repetition in sample.repetitions:
        assert np.bincount(sample.case_index[repetition]).tolist() == [100, 100]
    for index, position, label in zip(sample.case_index, sample.position, sample.label, strict=True):
        assert cases[index].label[tuple(position)] == label
    assert sample.notes == ()


def test_repetitions_differ_and_the_seed_decides():
    first, again, other = (sample_pixels([blobs()], n_pixels=50, rng=rng(seed)) for seed in (3, 3, 4))
    for a, b in zip(first.repetitions, again.repetitions, strict=True):
        np.testing.assert_array_equal(first.position[a], again.position[b])
    assert not np.array_equal(first.position, other.position)
    assert not np.array_equal(first.repetitions[0], first.repetitions[1])


# --- what goes wrong, in one line ---


def test_fewer_pixels_than_asked_for_are_all_used_and_said():
    sample = sample_pixels([case_of([[0, 0, 1]])], n_pixels=10, repetitions=2, rng=rng())
    assert [repetition.tolist() for repetition in sample.repetitions] == [[0, 1, 2]] * 2
    assert sample.notes == ("Only 3 pixels can be drawn, 10 were asked for: every repetition uses all of them.",)


def test_exactly_as_many_pixels_as_asked_for_need_no_note():
    assert sample_pixels([case_of([[0, 0, 1]])], n_pixels=3, rng=rng()).notes == ()


def test_images_without_an_edge_give_no_pixels_and_are_counted():
    cases = [case_of([[0, 1]], name="p/z1", subject="p"), case_of([[0, 0]], name="p/z2", subject="p")]
    sample = sample_pixels(cases, n_pixels=2, rng=rng())
    assert set(sample.case_index.tolist()) == {0}
    assert sample.notes == ("1 of 2 images have no edge between two classes and give no pixels: p/z2.",)


def test_a_subject_too_small_for_its_share_is_said():
    cases = [case_of([[0, 1]], name="small"), blobs()]
    (note,) = sample_pixels(cases, n_pixels=10, rng=rng()).notes
    assert note == "1 of 2 subjects have fewer pixels than an equal share; the others give more."


@pytest.mark.parametrize(
    ("label", "image", "kind", "message"),
    [
        ([[1, 1]], None, "boundary", "none of 1 images has an edge"),
        ([[IGNORE_LABEL] * 2], None, "boundary", "label 255"),
        ([[IGNORE_LABEL] * 2], None, "uniform", "label 255"),
        ([[0, 1]], [[[0, 0]]], "boundary", "0 in all channels"),
        ([[0, 1]], [[[0, 0]]], "uniform", "0 in all channels"),
        ([[0, 1, 1, 1, 1, 1]], [[[0, 0, 0, 0, 0, 1]]], "boundary", "widen band_mm"),
    ],
)
def test_nothing_to_draw_is_an_error_that_says_why(label, image, kind, message):
    with pytest.raises(SamplingError, match=message) as caught:
        sample_pixels([case_of(label, image=image)], kind=kind, rng=rng())
    assert "\n" not in str(caught.value)


def test_a_band_narrower_than_half_a_pixel_is_an_error_that_names_the_spacing():
    volume = case_of([[[0, 1]]], spacing_mm=(3, 2, 2))
    with pytest.raises(SamplingError, match=r"inside the body is nearer than 0\.4 mm .* at least 1 mm away"):
        boundary_candidates([volume], band_mm=0.4)


@pytest.mark.parametrize(
    ("label", "settings", "message"),
    [
        ([[4, 4]], {}, "none of 1 images has an edge between two classes; check"),
        ([[4, X, 5]], {}, r"between two classes \(the border of an ignored region is none unless ignored_edges"),
        ([[X, X]], {}, r"all pixels of 1 images have the label 255 \(ignored\)"),
        ([[X, X]], {"kind": "uniform"}, r"all pixels of 1 images have the label 255 \(ignored\)"),
        ([[0, 1]], {"band_mm": 0.4}, r"no labelled pixel is nearer than 0\.4 pixels .* at least 0\.5 pixels away"),
    ],
)
def test_errors_on_photographs_speak_of_pixels_and_not_of_bodies(label, settings, message):
    with pytest.raises(SamplingError, match=message) as caught:
        sample_pixels([replace(case_of(label), kind="photograph")], rng=rng(), **settings)
    assert " mm" not in str(caught.value)
    assert "body" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "boundry"}, "did you mean 'boundary'"),
        ({"weighting": "distanse"}, "did you mean 'distance'"),
        ({"band_mm": 0.0}, r"band_mm is 0; give a positive width in millimetres \(photographs: pixels\)"),
        ({"band_mm": math.nan}, "band_mm is nan"),
        ({"n_pixels": 0}, "n_pixels is 0"),
        ({"repetitions": 0}, "repetitions is 0"),
    ],
)
def test_settings_without_sense_are_errors(wrong, message):
    with pytest.raises(SamplingError, match=message):
        sample_pixels([case_of([[0, 1]])], rng=rng(), **wrong)


@pytest.mark.parametrize("kind", ["boundary", "uniform"])
def test_no_cases_is_an_error(kind):
    with pytest.raises(SamplingError, match="there are no cases"):
        sample_pixels([], kind=kind, rng=rng())


def test_volumes_are_sampled_like_slices():
    label = np.zeros((6, 6, 6), np.uint8)
    label[..., 3:] = 1
    case = case_of(label, spacing_mm=(1, 1, 5))
    found = boundary_candidates([case], band_mm=4)
    assert set(found.position[:, 2].tolist()) == {2, 3}  # 2.5 mm from the edge; the next planes are 7.5 mm away
    balanced = boundary_candidates([case], band_mm=4, balance_classes=True)
    assert np.bincount(balanced.label[balanced.draw(20, rng())]).tolist() == [10, 10]


def test_a_street_scene_of_19_classes_is_sampled_in_less_than_a_second():
    classes = rng().integers(0, 19, (1024 // 16, 2048 // 16)).astype(np.uint8)
    label = np.kron(classes, np.ones((16, 16), np.uint8))
    label[900:] = IGNORE_LABEL
    case = case_of(label, image=np.ones((3, *label.shape)))
    start = time.process_time()
    sample = sample_pixels([case], n_pixels=10_000, rng=rng())
    assert time.process_time() - start < 1
    assert len(sample.repetitions[0]) == 10_000


# --- outside the body ---


def body_with_air(subject="a") -> Case:
    """Six columns of body, the right half of them class 1, then four columns of air."""
    image = np.zeros((1, 10, 10), np.float32)
    image[:, :, :6] = 1
    label = np.zeros((10, 10), np.uint8)
    label[:, 3:6] = 1
    return case_of(label, name=subject, image=image, subject=subject)


def test_a_share_of_each_sample_comes_from_outside_the_body():
    sample = sample_pixels([body_with_air()], n_pixels=20, repetitions=3, band_mm=9.0, outside=0.4, rng=rng())
    for chosen in sample.repetitions:
        columns = sample.position[chosen, 1]
        assert len(chosen) == len(np.unique(sample.position[chosen], axis=0)) == 20
        assert (columns >= 6).sum() == 8
        assert not sample.label[chosen][columns >= 6].any()


def test_the_share_stays_where_the_band_holds_fewer_pixels_than_asked_for():
    # 60 pixels inside: at a share of 0.25, 20 of the 40 outside join them.
    sample = sample_pixels([body_with_air()], n_pixels=1000, repetitions=2, band_mm=9.0, outside=0.25, rng=rng())
    for chosen in sample.repetitions:
        assert (sample.position[chosen, 1] >= 6).sum() == 20
        assert len(chosen) == 80
        np.testing.assert_array_equal(chosen, sample.repetitions[0])  # no repetition feigns to be another sample
    (note,) = sample.notes
    assert note.startswith("Only 60 pixels near edges can be drawn, where 750 of the 1000 should lie: ")


def test_the_defaults_are_those_of_a_configuration():
    parameters = signature(sample_pixels).parameters.values()
    defaults = {it.name: it.default for it in parameters if it.default is not it.empty}
    assert defaults == SamplerSettings().model_dump()


def test_images_without_an_outside_give_all_pixels_from_inside():
    label = np.zeros((10, 10), np.uint8)
    label[:, 5:] = 1
    drawn = [
        sample_pixels([case_of(label)], n_pixels=20, repetitions=1, outside=share, rng=rng()) for share in (0, 0.4)
    ]
    np.testing.assert_array_equal(drawn[0].position, drawn[1].position)


def test_labelled_or_ignored_pixels_outside_are_not_drawn():
    case = body_with_air()
    case.label[:5, 6:] = 1
    case.label[5:, 6:] = IGNORE_LABEL
    sample = sample_pixels([case], n_pixels=20, repetitions=1, band_mm=9.0, outside=0.4, rng=rng())
    assert sample.position[:, 1].max() < 6


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(SamplingError, match="outside is"):
        sample_pixels([body_with_air()], n_pixels=20, repetitions=1, outside=share, rng=rng())

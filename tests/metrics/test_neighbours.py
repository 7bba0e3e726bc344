"""Nearest neighbours and spanning trees, derived by hand and held against slow references of the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtrans.errors import MetricError
from medtrans.metrics.neighbours import grtd, knn, lbtc, topote

ONE = np.zeros(4, int)  # one subject
# On a line: two points of class 0, then two of class 1. The tree joins neighbours: lengths 1, 2, 1, the middle one
# between the classes. The median of the distances 1, 3, 4, 2, 3, 1 is 2.5.
LINE, LABELS = np.array([[0.0], [1.0], [3.0], [4.0]]), np.array([0, 0, 1, 1])


def test_neighbours_of_other_subjects_that_agree() -> None:
    features, labels, subjects = [[0.0], [10.0], [1.0], [11.0]], [0, 1, 0, 1], [0, 0, 1, 1]
    assert knn(features, labels, subjects, subjects, neighbours=1) == 1
    assert knn(features, [0, 1, 1, 0], subjects, subjects, neighbours=1) == 0


def test_of_one_subject_neighbours_are_of_other_images() -> None:
    # in their own image all would agree; those of the other one, at the same places, have the other label
    features = [[0.0], [0.1], [9.0], [9.1]] * 2
    assert knn(features, [0, 0, 1, 1, 1, 1, 0, 0], [0] * 8, [0] * 4 + [1] * 4, neighbours=2) == 0


def test_every_class_counts_alike() -> None:
    # Class 0: three pixels whose neighbour is right; class 1: one whose neighbour (of class 0, at 5) is wrong.
    features = np.array([[0.0], [1.0], [5.0], [0.0], [5.0]])
    labels, subjects = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1])
    # 0 and 1 find the other 0 (right), 5 finds the other 5 (class 1: wrong)
    # the other 0 finds 0 (right), 5 finds 5 (wrong)
    assert knn(features, labels, subjects, subjects, neighbours=1) == pytest.approx((3 / 4 + 0) / 2)


def test_a_single_image_has_no_neighbours_elsewhere() -> None:
    with pytest.raises(MetricError, match="target_images: there is one"):
        knn(LINE, LABELS, ONE, ONE)
    with pytest.raises(MetricError, match="fewer than 5 pixels are in other cases"):
        knn(LINE, LABELS, [0, 0, 1, 1], [0, 0, 1, 1])


def test_divergence_of_a_line() -> None:
    # Class 0 touches edges of 1 and 2, of which the second stays 2 (below 2.5): (3 - 2) / 3; class 1 likewise.
    assert grtd(LINE, LABELS, ONE) == pytest.approx(-1 / 3)


def test_long_edges_between_classes_count_as_the_median_distance() -> None:
    # 0, 1 and 11, 12: distances 1, 11, 12, 10, 11, 1, median 10.5, edges 1, 10, 1: (11 - 10) / 11
    assert grtd([[0.0], [1.0], [11.0], [12.0]], LABELS, ONE) == pytest.approx(-1 / 11)


def test_leakage_of_a_line() -> None:
    # Every patch holds all four points; one of three edges joins the classes.
    assert lbtc(LINE, LABELS, ONE) == pytest.approx(1 - 1 / 3)


def test_points_at_one_place_are_joined_too() -> None:
    assert lbtc([[0.0], [0.0], [1.0], [1.0]], LABELS, ONE) == pytest.approx(1 - 1 / 3)


def slow_tree(points: np.ndarray) -> list[tuple[int, int]]:
    """Prim's algorithm in plain loops."""
    joined, edges = {0}, []
    while len(joined) < len(points):
        pairs = [
            (np.linalg.norm(points[a] - points[b]), a, b) for a in joined for b in set(range(len(points))) - joined
        ]
        _, a, b = min(pairs)
        joined.add(b)
        edges.append((a, b))
    return edges


def published_grtd(points: np.ndarray, labels: np.ndarray, skipped: int | None) -> float:
    """The definition of the paper; the public code skips the edges of the point that its tree starts from, 0."""
    edges = [edge for edge in slow_tree(points) if skipped not in edge]
    lengths = {edge: float(np.linalg.norm(points[edge[0]] - points[edge[1]])) for edge in edges}
    n = len(points)
    far = float(np.median([np.linalg.norm(points[a] - points[b]) for a in range(n) for b in range(a)]))
    shares = []
    for c in np.unique(labels):
        touching = [edge for edge in edges if c in labels[list(edge)]]
        total = sum(lengths[edge] for edge in touching)
        semantic = sum(min(lengths[edge], far) for edge in touching if labels[edge[0]] != labels[edge[1]])
        shares.append((total - semantic) / total)
    return -float(np.mean(shares))


@given(st.integers(0, 2**32 - 1))
def test_the_published_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(14, 2)), np.tile([0, 1], 7)
    value = grtd(points, labels, np.zeros(14, int))
    assert -1 <= value <= 0
    assert value == pytest.approx(published_grtd(points, labels, skipped=None))
    edges = slow_tree(points)
    assert lbtc(points, labels, np.zeros(14, int)) == pytest.approx(  # 14 points are one patch
        1 - np.mean([labels[a] != labels[b] for a, b in edges])
    )


def test_the_edges_that_the_public_code_leaves_out_change_little() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 30)
    points = rng.normal(size=(60, 3)) + labels[:, None]
    public = published_grtd(points, labels, skipped=0)
    assert grtd(points, labels, np.zeros(60, int)) == pytest.approx(public, abs=0.02)
    assert grtd(points, labels, np.zeros(60, int)) != pytest.approx(public, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_moving_turning_and_scaling_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(20, 2)), np.tile([0, 1], 10)
    subjects = np.repeat([0, 1], 10)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for metric in (grtd, lbtc, lambda f, y, s: knn(f, y, s, s)):
        assert metric(3 * points @ turn + 5, labels, subjects) == pytest.approx(metric(points, labels, subjects))


def test_fusion() -> None:
    # One structure: LBTC alone, from 0 to 1. Three: alpha = tanh(log(3) / 2) = (3 - 1) / (3 + 1) = 1/2.
    assert topote([-0.5, -1.0, -0.75], [0.2, 0.6, 0.3], 1) == pytest.approx([0, 1, 0.25])
    assert topote([-0.5, -1.0, -0.75], [0.2, 0.6, 0.3], 3) == pytest.approx([0.5, 0.5, 0.375])
    assert topote([-0.5, -0.5], [0.2, 0.6], 3) == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: topote([0.1], [0.1, 0.2], 1), "of the same sources"),
        (lambda: topote([0.1, np.nan], [0.1, 0.2], 1), "finite"),
        (lambda: topote([0.1, 0.2], [0.1, 0.2], 0), "n_structures is 0"),
        (lambda: grtd(np.ones((4, 2)), LABELS, ONE), "no subject has two different points"),
        (lambda: grtd(LINE, np.zeros(4, int), ONE), "1 class occurs"),
        (lambda: lbtc(LINE, np.zeros(4, int), ONE), "1 class occurs"),
    ],
)
def test_what_has_no_value(call, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        call()

"""Agreement of labels with those of near features: nearest neighbours in other cases, and spanning trees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from medtrans.errors import MetricError
from medtrans.evenly import evenly
from medtrans.metrics.arrays import Floats, as_labels, labelled

PER_CLASS = 800  # points of a class in a spanning tree, as in the public code
ANCHORS = 50
PATCH = 16


def knn(
    target_features: Any, target_labels: Any, target_subjects: Any, target_images: Any, *, neighbours: int = 5
) -> float:
    r"""Balanced agreement of pixels with their k nearest neighbours in feature space, from other cases only.

    .. math:: \frac1K \sum_c \frac{1}{N_c} \sum_{i: y_i = c} \frac1k \sum_{j \in \mathcal{N}_k(i)} [y_j = c]

    The neighbours (Euclidean) of a pixel come from other subjects; of one subject, from its other images: pixels of one
    image lie so near each other that they would only find themselves. The mean is over classes first, as most pixels
    are background, and the paper's accuracy would tell of these alone.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,).
        target_subjects: integers, shape (N,): whose image the pixel is of.
        target_images: integers, shape (N,): which image.
        neighbours: k.

    Returns:
        0 to 1; 1 / K for features that tell nothing, if classes are sampled alike. Higher is better.

    Raises:
        MetricError: one image, one class, a case whose pixels have fewer than k others elsewhere, arrays that do not
            fit.

    Source: nearest neighbours as an estimate of transferability, arXiv 2503.18528.
    """
    features, labels, n_classes, _ = labelled(target_features, target_labels)
    subjects, n_subjects = as_labels(target_subjects, len(features), "target_subjects")
    images, n_images = as_labels(target_images, len(features), "target_images")
    cases = subjects if n_subjects > 1 else images
    if max(n_subjects, n_images) < 2:
        raise MetricError("target_images: there is one, and neighbours must come from another; label a second one")
    right = np.empty(len(features))
    for case in np.unique(cases):
        own = cases == case
        if np.count_nonzero(~own) < neighbours:
            raise MetricError(f"target_images: fewer than {neighbours} pixels are in other cases; sample more")
        found = NearestNeighbors(n_neighbors=neighbours).fit(features[~own]).kneighbors(features[own])[1]
        right[own] = (labels[~own][found] == labels[own][:, None]).mean(axis=1)
    return float(np.mean([right[labels == c].mean() for c in range(n_classes)]))


def grtd(target_features: Any, target_labels: Any, target_subjects: Any) -> float:
    r"""Global representation topology divergence, negated: how a tree of the features differs from one of the classes.

    Of the Euclidean minimum spanning tree of a subject's features, E_c are the edges that touch class c, w(e) their
    lengths, and :math:`w_{sem}(e)` is 0 within a class, else min(w(e), :math:`\lambda`), :math:`\lambda` the median
    distance of two points:

    .. math:: GRTD = -\frac1K \sum_c \frac{\sum_{e \in E_c} w(e) - w_{sem}(e)}{\sum_{e \in E_c} w(e)}

    mean over subjects. Where classes are apart almost every edge lies within one, and the score is near -1: whether
    higher means better is the paper's claim, to be seen in a study. At most
    ``PER_CLASS`` points of a class are taken, evenly spaced. The public code leaves out the edges of the first point of
    the tree, by an oversight that changes little; here they count.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,).
        target_subjects: integers, shape (N,): whose image the pixel is of.

    Returns:
        -1 to 0. Higher is better, by the paper.

    Raises:
        MetricError: one class, fewer than two different points, arrays that do not fit.

    Source: TopoTE, arXiv 2602.23916.
    """
    features, labels, n_classes, _ = labelled(target_features, target_labels)
    scores = []
    for rows in _by_subject(target_subjects, len(features)):
        few = np.concatenate([_spread(rows[labels[rows] == c], PER_CLASS) for c in range(n_classes)])
        score = _tree_divergence(features[few], labels[few])
        if score is not None:
            scores.append(score)
    if not scores:
        raise MetricError("target_features: no subject has two different points; the features are constant")
    return -float(np.mean(scores))


def lbtc(target_features: Any, target_labels: Any, target_subjects: Any) -> float:
    r"""Local boundary topological consistency: how seldom near pixels at a boundary are of different classes.

    Around each of ``ANCHORS`` pixels of a structure near its edge, the ``PATCH`` points of the subject nearest to it in
    feature space (Euclidean) are joined by a minimum spanning tree; :math:`\rho` is the share of its edges between
    classes. The score is 1 minus the mean :math:`\rho` over patches with two classes, mean over subjects. Anchors are
    evenly spaced among the sampled pixels of the structures, which the boundary sampler takes near edges; the public
    code draws them from the outermost pixels at random, and leaves out the edges of the first point of each tree.

    Args:
        target_features: floating, shape (N, D).
        target_labels: integers, shape (N,); 0 is the background.
        target_subjects: integers, shape (N,): whose image the pixel is of.

    Returns:
        0 to 1; 1 where no patch has two classes. Higher is better.

    Raises:
        MetricError: one class, no pixel of a structure, arrays that do not fit.

    Source: TopoTE, arXiv 2602.23916.
    """
    features, labels, _, _ = labelled(target_features, target_labels)
    structure = np.asarray(target_labels).ravel() != 0
    leaks = []
    for rows in _by_subject(target_subjects, len(features)):
        anchors = _spread(rows[structure[rows]], ANCHORS)
        if not len(anchors):
            continue
        near = NearestNeighbors(n_neighbors=min(PATCH, len(rows))).fit(features[rows])
        patches = rows[near.kneighbors(features[anchors], return_distance=False)]
        mixed = [patch for patch in patches if len(np.unique(labels[patch])) > 1]
        leaks.append(float(np.mean([_leakage(features[patch], labels[patch]) for patch in mixed])) if mixed else 0.0)
    if not leaks:
        raise MetricError("target_labels: no pixel is of a structure; sample some")
    return 1.0 - float(np.mean(leaks))


def topote(grtd_scores: Sequence[float], lbtc_scores: Sequence[float], n_structures: int) -> NDArray[np.float64]:
    r"""The fusion of `grtd` and `lbtc` of several sources for one target.

    .. math:: S = \alpha\, N(GRTD) + (1 - \alpha)\, N(LBTC), \qquad \alpha = \tanh(\tfrac12 \log |C|)

    N maps the lowest score of the sources to 0 and the highest to 1 (all to 0 where they are equal), :math:`|C|` is the
    number of structures: of a single one the fusion is LBTC alone.

    Args:
        grtd_scores: one for each source.
        lbtc_scores: likewise.
        n_structures: at least 1.

    Returns:
        float64, shape (n,), 0 to 1. Higher is better.

    Raises:
        MetricError: the scores are not of the same sources, or there is no structure.

    Source: TopoTE, arXiv 2602.23916.
    """
    both = [np.asarray(scores, dtype=np.float64) for scores in (grtd_scores, lbtc_scores)]
    if both[0].shape != both[1].shape or both[0].ndim != 1 or not np.isfinite(both).all():
        raise MetricError("grtd_scores, lbtc_scores: give one finite number for each of the same sources")
    if n_structures < 1:
        raise MetricError(f"n_structures is {n_structures}; a target has at least one")
    alpha = math.tanh(math.log(n_structures) / 2)
    first, second = (_from_0_to_1(scores) for scores in both)
    return np.asarray(alpha * first + (1 - alpha) * second)


def _from_0_to_1(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    span = np.ptp(scores)
    return np.asarray((scores - scores.min()) / (span if span > 1e-9 else 1.0))


def _tree_divergence(points: Floats, labels: NDArray[np.int64]) -> float | None:
    """Mean over classes of the share of the tree's length that classes explain; None without any length."""
    ends, lengths, distances = _spanning_tree(points)
    far = float(np.median(distances[np.triu_indices(len(points), 1)])) if len(points) > 1 else 0.0
    within = labels[ends[:, 0]] == labels[ends[:, 1]]
    semantic = np.where(within, 0.0, np.minimum(lengths, far if far > 0 else 1.0))
    shares = []
    for c in np.unique(labels):
        touches = (labels[ends] == c).any(axis=1)
        total = lengths[touches].sum()
        if total > 0:
            shares.append((total - semantic[touches].sum()) / total)
    return float(np.mean(shares)) if shares else None


def _leakage(points: Floats, labels: NDArray[np.int64]) -> float:
    """Share of the tree's edges that join different classes."""
    ends, _, _ = _spanning_tree(points)
    return float((labels[ends[:, 0]] != labels[ends[:, 1]]).mean())


def _spanning_tree(points: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Edges (E, 2) of the Euclidean minimum spanning tree, their lengths, and all distances.

    Prim's algorithm on the dense matrix: SciPy's sorts all N^2 edges, which takes ten times as long, and does not join
    points that lie at the same place.
    """
    distances = cdist(points, points)
    count = len(points)
    parent, shortest = np.zeros(count, dtype=np.int64), distances[0].copy()
    outside = np.ones(count, dtype=bool)
    outside[0] = False
    ends = np.empty((count - 1, 2), dtype=np.int64)
    for edge in range(count - 1):
        new = int(np.where(outside, shortest, np.inf).argmin())
        ends[edge] = parent[new], new
        outside[new] = False
        nearer = distances[new] < shortest
        parent[nearer], shortest[nearer] = new, distances[new][nearer]
    return ends, distances[ends[:, 0], ends[:, 1]], distances


def _by_subject(subjects: Any, n_pixels: int) -> list[NDArray[np.int64]]:
    codes, count = as_labels(subjects, n_pixels, "target_subjects")
    return [np.flatnonzero(codes == subject) for subject in range(count)]


def _spread(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most n of them, evenly spaced."""
    return rows[evenly(len(rows), n)]

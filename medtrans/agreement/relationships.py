"""What scores of many sources on many targets say about the relation of tasks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import linkage

from medtrans.errors import MetricError

WIN_FLOOR = 0.001  # Taskonomy's: no source beats another always


def cluster_sources(scores: ArrayLike) -> NDArray[np.float64]:
    """Hierarchical clustering of sources by their scores over targets: average linkage of Euclidean distances.

    Each target's scores are standardised first, since metrics differ in range from target to target; a target on which
    all sources tie tells nothing and counts 0.

    Args:
        scores: shape (S, T), S sources, at least 2, and T targets.

    Returns:
        SciPy's linkage matrix, shape (S - 1, 4), leaves in the order that keeps neighbours close; for
        ``scipy.cluster.hierarchy.dendrogram`` and ``fcluster``.

    Raises:
        MetricError: fewer than two sources, NaN or infinite values.
    """
    table = _table(scores, "scores")
    deviations = table - table.mean(axis=0)
    spread = deviations.std(axis=0)
    return np.asarray(linkage(deviations / np.where(spread > 0, spread, 1), "average", optimal_ordering=True))


def pairwise_wins(results: ArrayLike) -> NDArray[np.float64]:
    """Share of test images on which source i beats source j, shape (S, S); ties count half, the diagonal is 0.5.

    Args:
        results: shape (S, M): accuracy of each of S sources, at least 2, transferred to one target, on M test images
            (or seeds). Higher is better.

    Raises:
        MetricError: fewer than two sources, NaN or infinite values.
    """
    table = _table(results, "results")
    above = (table[:, None] > table[None]).mean(axis=2)
    return np.asarray((1 + above - above.T) / 2, dtype=np.float64)


def ordinal_affinities(results: ArrayLike) -> NDArray[np.float64]:
    r"""Taskonomy's ordinal normalisation: affinities of the sources to one target, from wins instead of accuracies.

    With the pairwise wins W, cut to 0.001 ... 0.999, the affinities are the principal eigenvector, with sum 1, of

    .. math:: W'_{ij} = W_{ij} / W_{ji}

    as in the analytic hierarchy process. Losses and accuracies of any scale become comparable between targets.

    Args:
        results: as in `pairwise_wins`.

    Returns:
        Shape (S,), positive, sum 1; higher is better.

    Raises:
        MetricError: fewer than two sources, NaN or infinite values.

    Source: Zamir et al., "Taskonomy: disentangling task transfer learning", CVPR 2018.
    """
    wins = np.clip(pairwise_wins(results), WIN_FLOOR, 1 - WIN_FLOOR)
    values, vectors = np.linalg.eig(wins / wins.T)
    principal = np.abs(vectors[:, values.real.argmax()].real)  # a positive matrix: its Perron vector has one sign
    return np.asarray(principal / principal.sum(), dtype=np.float64)


def _table(values: ArrayLike, name: str) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] == 0:
        raise MetricError(f"{name}: expected two or more rows, one per source, found shape {table.shape}")
    if not np.isfinite(table).all():
        raise MetricError(f"{name}: holds NaN or infinite values; leave those columns out")
    return table

"""The largest H-score that any feature of the data could have, and the share of it that a source's features reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from medtrans.errors import MetricError
from medtrans.metrics.arrays import as_array, as_features, as_labels, centred, one_hot, require_classes
from medtrans.metrics.h_scores import RANK_TOLERANCE, h_score

if TYPE_CHECKING:
    import torch

HIDDEN_WIDTH = 64
HELD_OUT_SHARE = 0.25
HELD_OUT_PER_CLASS = 10  # with fewer, chance alone gives a high H-score
TOLERATED_SHARE = 1.05


def normalized_h_score(
    target_features: Any, target_labels: Any, *, maximal: float, rng: np.random.Generator | None = None
) -> float:
    r"""The slides' transferability :math:`T(S, T) = H_T(f_S) / H_T(f_T)`: H-score over the largest possible one.

    It makes targets comparable: a hard target has a low H-score with every source.

    Numerator as `maximal_h_score_neural` measures its maximum: on pixels that nothing was fitted to. The pixels are
    divided at random into four quarters; the best linear functions of the features are fitted to three quarters (least
    squares on the class indicators), their H-score is taken on the fourth, and the mean over the four quarters counts.
    In sample, many useless features would reach any maximum.

    Args:
        target_features: floating, shape (N, D), N at least 40 K, for K classes.
        target_labels: integers, shape (N,), at least two classes.
        maximal: the target's maximal H-score, positive, best from the same pixels: by `maximal_h_score_neural`,
            held-out like the numerator; by `maximal_h_score_ace`, in-sample, hence too large by about
            (values of x - 1) (K - 1) / N, and the share too small; or the held-out H-score of a network trained on the
            target.
        rng: draws the quarters; ``numpy.random.default_rng(0)`` when None.

    Returns:
        Between 0 and 1, about (K - 1)^2 4 / N over the maximum for useless features. Higher is better.

    Raises:
        MetricError: fewer than two classes, fewer than 40 K samples, NaN; ``maximal`` is not positive, or is smaller
            than the H-score by more than its quarters vary, hence not the maximum. (The authors' code drops those.)

    Source: Bao et al., "An information-theoretic approach to transferability in task transfer learning", ICIP 2019.
    """
    if not (np.isfinite(maximal) and maximal > 0):
        raise MetricError(
            f"maximal: must be positive, found {maximal}; with 0 there is nothing to learn on this target"
        )
    features = as_features(target_features).astype(np.float64)
    labels, n_classes = as_labels(target_labels, len(features))
    n_held_out = _held_out(len(features), n_classes, "target_features", "target_labels")
    order = (np.random.default_rng(0) if rng is None else rng).permutation(len(features))
    quarters = [order[part * n_held_out : (part + 1) * n_held_out] for part in range(int(1 / HELD_OUT_SHARE))]
    standardised = _standardised(features)
    shares = np.array([_held_out_h_score(standardised, labels, quarter) for quarter in quarters]) / maximal
    if shares.mean() > TOLERATED_SHARE + 3 * shares.std():
        raise MetricError(
            f"maximal: the H-score is {shares.mean():.3f} of it, so it is no maximum; estimate it with more steps"
        )
    return float(min(shares.mean(), 1.0))


def _held_out_h_score(features: NDArray[np.float64], labels: NDArray[np.int64], held_out: NDArray[np.int64]) -> float:
    """H-score on some pixels of the linear functions that tell classes apart best on the others."""
    others = np.setdiff1d(np.arange(len(features)), held_out)
    indicators = one_hot(labels, labels.max() + 1).toarray()[:, 1:]  # the first class is what remains
    design = np.column_stack([features, np.ones(len(features))])
    weights, *_ = np.linalg.lstsq(design[others], indicators[others], rcond=RANK_TOLERANCE)
    return h_score(design[held_out] @ weights, labels[held_out])


def maximal_h_score_ace(x: Any, y: Any, *, n_functions: int | None = None) -> float:
    r"""Largest H-score of any ``n_functions`` features of a discrete x, for labels y.

    Alternating conditional expectations (ACE), :math:`f \leftarrow E[g | X], g \leftarrow E[f | Y]` with whitening, is
    subspace iteration on

    .. math:: \tilde B_{xy} = \frac{P(x, y) - P(x) P(y)}{\sqrt{P(x) P(y)}}, \qquad H^* = \sum_{i \le k} \sigma_i^2

    whose singular values are taken at once here. With all functions it is :math:`\chi^2 / N` of the table.

    Args:
        x: integers, shape (N,): the discrete variable (quantised pixels, the source's predicted classes ...).
        y: integers, shape (N,).
        n_functions: k; None for all, min(values of x, classes) - 1.

    Returns:
        In sample: between 0 (independent) and min(values of x, classes) - 1, and too large by about
        (values of x - 1) (classes - 1) / N, what chance alone gives. An x with a value of its own for every sample
        determines y and gives the upper end: quantise it first.

    Raises:
        MetricError: labels that are not whole numbers, arrays of different length, or ``n_functions`` below 1.

    Source: Bao et al., ICIP 2019; Breiman and Friedman, JASA 1985.
    """
    _check_n_functions(n_functions)
    n_samples = len(np.atleast_1d(as_array(x, "x")))
    values, n_values = as_labels(x, n_samples, "x")
    labels, n_classes = as_labels(y, n_samples, "y")
    joint = (one_hot(values, n_values).T @ one_hot(labels, n_classes)).toarray() / n_samples
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    singular = np.linalg.svd((joint - independent) / np.sqrt(independent), compute_uv=False)
    return float((singular[: min(n_values, n_classes) - 1][:n_functions] ** 2).sum())


def maximal_h_score_neural(
    x: Any,
    y: Any,
    *,
    n_functions: int | None = None,
    steps: int = 200,
    rng: np.random.Generator | None = None,
) -> float:
    r"""Largest H-score of any feature of a continuous x, for labels y, by a network trained on the soft-HGR objective.

    .. math:: \max_{f, g}\ E[f(X)^\top g(Y)] - \tfrac12 tr(cov f\, cov g), \qquad f, g\ \text{of zero mean}

    f is a network with two hidden layers of 64 units on standardised x, g a table with a row per class; at the maximum,
    twice the objective is the H-score of f. Three quarters of the samples train; the value is the largest H-score of f
    on the last quarter after any step, because on the training samples a network can always reach K - 1.

    Args:
        x: floating, shape (N, D), N at least 40 K, for K classes.
        y: integers, shape (N,), at least two classes.
        n_functions: width of f; None for classes - 1, which is enough for the maximum.
        steps: of L-BFGS, on all training samples at once.
        rng: split and initial weights; ``numpy.random.default_rng(0)`` when None.

    Returns:
        Held-out: between 0 and K - 1. An estimate: too few steps make it too small, few samples make it uncertain.

    Raises:
        MetricError: fewer than two classes, fewer than 40 K samples, NaN, or arrays of different length.

    Source: Wang et al., "An efficient approach to informative feature extraction from multimodal data", AAAI 2019.
    """
    import torch  # only here and below: it takes a second that no other metric needs
    from torch.nn.utils import parameters_to_vector, vector_to_parameters

    _check_n_functions(n_functions)
    features = as_features(x, "x").astype(np.float64)
    labels, n_classes = as_labels(y, len(features), "y")
    n_held_out = _held_out(len(features), n_classes, "x", "y")
    generator = np.random.default_rng(0) if rng is None else rng
    order = generator.permutation(len(features))
    inputs = torch.from_numpy(_standardised(features)[order])
    codes = torch.from_numpy(labels[order])
    network, table = _network(features.shape[1], n_functions or n_classes - 1, n_classes, generator)
    weights = [*network.parameters(), table]
    best = 0.0

    def loss(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        vector_to_parameters(torch.from_numpy(vector), weights)
        objective = -_soft_hgr(network(inputs[n_held_out:]), table[codes[n_held_out:]])
        gradients = torch.autograd.grad(objective, weights)
        return objective.item(), parameters_to_vector(gradients).numpy()

    def remember(vector: NDArray[np.float64]) -> None:
        nonlocal best
        vector_to_parameters(torch.from_numpy(vector), weights)
        with torch.no_grad():
            best = max(best, h_score(network(inputs[:n_held_out]), codes[:n_held_out]))

    # SciPy's optimiser: importing torch's changes the warnings filters
    start = parameters_to_vector(weights).detach().numpy()
    minimize(loss, start, jac=True, method="L-BFGS-B", callback=remember, options={"maxiter": steps})
    return best


def _held_out(n_samples: int, n_classes: int, name: str, labels_name: str) -> int:
    """How many samples are kept from training; raises MetricError where they are too few."""
    require_classes(n_classes, labels_name)
    n_held_out = int(n_samples * HELD_OUT_SHARE)
    if n_held_out < HELD_OUT_PER_CLASS * n_classes:
        raise MetricError(
            f"{name}: {n_samples} samples of {n_classes} classes are too few to learn on some and measure on the rest; "
            f"sample at least {int(HELD_OUT_PER_CLASS / HELD_OUT_SHARE)} per class"
        )
    return n_held_out


def _check_n_functions(n_functions: int | None) -> None:
    if n_functions is not None and n_functions < 1:
        raise MetricError(f"n_functions: must be at least 1, found {n_functions}")


def _standardised(features: NDArray[np.float64]) -> NDArray[np.float64]:
    deviations = centred(features)
    largest = np.abs(deviations).max(axis=0)
    deviations /= np.where(largest > 0, largest, 1)  # squares of 1e200 would overflow
    spread = deviations.std(axis=0)
    return np.asarray(deviations / np.where(spread > 0, spread, 1), dtype=np.float64)


def _network(
    n_inputs: int, n_functions: int, n_classes: int, generator: np.random.Generator
) -> tuple[torch.nn.Module, torch.nn.Parameter]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(generator.integers(2**31)))
        network = torch.nn.Sequential(
            torch.nn.Linear(n_inputs, HIDDEN_WIDTH),
            torch.nn.Tanh(),
            torch.nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH),
            torch.nn.Tanh(),
            torch.nn.Linear(HIDDEN_WIDTH, n_functions),
        )
        return network.double(), torch.nn.Parameter(torch.randn(n_classes, n_functions, dtype=torch.float64))


def _soft_hgr(f: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    f, g = f - f.mean(dim=0), g - g.mean(dim=0)
    degrees = len(f) - 1
    return (f * g).sum() / degrees - 0.5 * ((f.T @ f / degrees) * (g.T @ g / degrees)).sum()

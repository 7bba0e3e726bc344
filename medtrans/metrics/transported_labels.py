r"""OTCE: transferability from an optimal coupling of source and target features (Tan, Li, Huang, CVPR 2021).

A coupling $P$ of N source with M target pixels at squared Euclidean cost $c$ gives a joint distribution of labels,
$\hat P(y_s, y_t) = \sum_{i: y^s_i = y_s,\, j: y^t_j = y_t} P_{ij}$, and from it

$$W_D = \sum_{ij} P_{ij} c_{ij}, \qquad
W_T = H(Y_t \mid Y_s) = -\sum_{y_s, y_t} \hat P(y_s, y_t) \log \frac{\hat P(y_s, y_t)}{\hat P(y_s)}$$

The source model extracts the features of both data sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medtrans.errors import MetricError
from medtrans.metrics.arrays import Floats, as_features, as_labels, as_values
from medtrans.metrics.label_based import conditional_entropy
from medtrans.transport import (
    Arrays,
    Coupling,
    Doubles,
    check_settings,
    couple,
    joint_cost,
    scale_of,
    squared_euclidean,
    transport_cost,
)

DOMAIN_TOLERANCE = 1e-5
"""Of the marginals, for W_D: there a far pixel whose mass is a little off counts by its distance."""


class Coefficients(NamedTuple):
    """Of score = lambda_1 W_D + lambda_2 W_T + b."""

    lambda_1: float
    lambda_2: float
    b: float


@dataclass(frozen=True)
class OTCE:
    """What a coupling of source and target says.

    Attributes:
        domain_difference: W_D, in squared units of the features, >= 0; larger is less transferable.
        task_difference: W_T in nats, 0 to H(Y_t); larger is less transferable.
        score: higher is better; -W_T, or lambda_1 W_D + lambda_2 W_T + b where coefficients were given.
        converged: always True, since a solver that gives up raises ConvergenceError.
        n_iterations: of Sinkhorn; 0 for exact transport.
    """

    domain_difference: float
    task_difference: float
    score: float
    converged: bool
    n_iterations: int


def otce(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    epsilon: float = 0.1,
    cost_scale: str | None = "trimmed",
    solver: str = "sinkhorn",
    coefficients: tuple[float, float, float] | None = None,
) -> OTCE:
    r"""Domain difference W_D and task difference W_T of the module's equation, and the score made of them.

    Args:
        source_features: floating, shape (N, D). CUDA tensors are computed on their GPU.
        source_labels: integers, shape (N,).
        target_features: floating, shape (M, D).
        target_labels: integers, shape (M,).
        epsilon: weight of the plan's negative entropy, as a share of the cost scale.
        cost_scale: ``"trimmed"``: the mean cost between the 99 % of the pixels of each side that are nearest to the
            target's mean: of 100 or more no single one moves it; ``"mean"``: that of all pairs; ``"max"``: the largest,
            as in the public implementations, which one far pixel sets; None: 1, the cost as it is.
        solver: ``"sinkhorn"``, or ``"exact"`` for transport without the entropy (hundreds of times slower at
            10,000 pixels).
        coefficients: lambda_1, lambda_2, b from `learn_otce_coefficients`.

    Raises:
        MetricError: arrays that do not fit, NaN, unknown settings.
        ConvergenceError: Sinkhorn's marginals stay off (small epsilon); the message names the remedies.

    The plan is never formed. Sinkhorn stops when its marginals are right to 1e-5 (L1; for `otce_sim` to 1e-3 or 4e-3,
    by regularisation), and makes those of source classes and target pixels exact: both differences are right to 1e-3.
    It works in float32 on one BLAS thread; in float64 and to 1e-6 with up to a million pairs, or where regularisation
    is tiny. A kernel over 1 GiB is computed anew in each pass.

    Sources: Tan, Li, Huang, "OTCE: a transferability metric for cross-domain cross-task representations", CVPR 2021;
    for segmentation Tan, Li, Li, Zhang, ICIP 2023 (10,000 boundary pixels, Sinkhorn with epsilon 0.1; whether the cost
    is scaled, the papers do not say).
    """
    pixels = _Pixels.of(source_features, source_labels, target_features, target_labels)
    cost = squared_euclidean(pixels.source, pixels.target)
    settings = {**pixels.settings, "tolerance": DOMAIN_TOLERANCE}
    coupling = couple(cost, epsilon=epsilon, cost_scale=cost_scale, solver=solver, **settings)
    domain_difference, task_difference = transport_cost(coupling, cost), _task_difference(coupling, pixels)
    lambda_1, lambda_2, b = (0.0, -1.0, 0.0) if coefficients is None else coefficients
    score = lambda_1 * domain_difference + lambda_2 * task_difference + b
    return OTCE(domain_difference, task_difference, score, converged=True, n_iterations=coupling.n_iterations)


def otce_sim(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    epsilon: float = 0.1,
    cost_scale: str | None = "trimmed",
    solver: str = "sinkhorn",
) -> float:
    r"""-W_T of `otce`, without the domain difference and without the time that it takes.

    Also known as F-OTCE (Tan et al., "Transferability-guided cross-domain cross-task transfer learning", TNNLS 2024).
    Arguments and errors are those of `otce`.

    Returns:
        Nats, between -H(Y_t) and 0. Higher is better.
    """
    pixels = _Pixels.of(source_features, source_labels, target_features, target_labels)
    cost = squared_euclidean(pixels.source, pixels.target)
    coupling = couple(cost, epsilon=epsilon, cost_scale=cost_scale, solver=solver, **pixels.settings)
    return -_task_difference(coupling, pixels)


def jc_otce(
    source_features: Any,
    source_labels: Any,
    target_features: Any,
    target_labels: Any,
    *,
    gamma: float = 0.5,
    epsilon: float = 0.1,
    cost_scale: str | None = "trimmed",
    solver: str = "sinkhorn",
) -> float:
    r"""-W_T of a coupling whose cost also holds the distance between labels.

    .. math:: c_{ij} = \gamma \lVert x_i - y_j \rVert^2 + (1 - \gamma)\, S(\alpha_{y^s_i}, \alpha_{y^t_j}), \qquad
        S(\alpha, \beta) = W(\alpha, \beta) - \tfrac12 W(\alpha, \alpha) - \tfrac12 W(\beta, \beta)

    :math:`\alpha_y` is the empirical distribution of the features of class y, and W what transport makes least at
    squared Euclidean cost: :math:`\sum P c`, and for Sinkhorn
    :math:`\sum P (c + \lambda \log (P / \alpha \beta))`, with one :math:`\lambda`, that of `otce_sim`, for all classes.
    Without the self terms, which are 0 for ``solver="exact"``, a wide class would lie far from itself. So both
    terms have the same units and none is scaled; S >= 0, and 0 for equal classes. Unverified against the paper: whether
    W or its square root is meant, whether it is debiased, and whether the terms are scaled before they are added.

    gamma, 0 to 1, weighs the feature term; 1 gives `otce_sim`. The other arguments and the errors are those of `otce`.

    Returns:
        Nats, between -H(Y_t) and 0. Higher is better.

    Sources: Tan, Zhang, Li, Huang, Zhang, "Transferability-guided cross-domain cross-task transfer learning",
    TNNLS 2024, arXiv 2207.05510; for S Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn
    divergences", AISTATS 2019.
    """
    check_joint_settings(gamma, epsilon, cost_scale, solver)
    pixels = _Pixels.of(source_features, source_labels, target_features, target_labels)
    scale = scale_of(squared_euclidean(pixels.source, pixels.target), cost_scale)
    regularization = epsilon * scale or 1.0  # 0: all pixels coincide, and no regularisation matters
    distances = _label_distances(pixels, regularization, solver)
    cost = joint_cost(pixels.source, pixels.source_codes, pixels.target, pixels.target_codes, distances, gamma)
    coupling = couple(cost, epsilon=epsilon, cost_scale=cost_scale, solver=solver, **pixels.settings)
    return -_task_difference(coupling, pixels)


def check_joint_settings(gamma: float, epsilon: float, cost_scale: str | None, solver: str) -> None:
    """Raise MetricError for settings that `jc_otce` does not know."""
    if not 0 <= gamma <= 1:
        raise MetricError(f"gamma is {gamma}, but it is a weight: choose it between 0 and 1")
    check_settings(epsilon, cost_scale, solver)


def learn_otce_coefficients(differences: Any, accuracies: Any) -> Coefficients:
    r"""lambda_1, lambda_2 and b by least squares, from auxiliary tasks whose transfer accuracy is known.

    .. math:: \min_{\lambda_1, \lambda_2, b} \sum_i (\lambda_1 W_{D,i} + \lambda_2 W_{T,i} + b - accuracy_i)^2

    The paper standardises W_D and W_T first; with an intercept that changes the coefficients, not the scores.

    Args:
        differences: floating, shape (n, 2): W_D and W_T of each auxiliary transfer.
        accuracies: floating, shape (n,).

    Returns:
        Coefficients for `otce`; lambda_1 and lambda_2 should come out negative.

    Raises:
        MetricError: fewer than three transfers, or differences that do not vary independently.

    Source: Tan, Li, Huang, CVPR 2021.
    """
    values = as_features(differences, "differences").astype(np.float64)
    if values.shape[1] != 2:
        raise MetricError(f"differences: expected W_D and W_T, shape (n, 2), found {values.shape}")
    truth = as_values(accuracies, len(values), "accuracies")[:, 0]
    mean, spread = values.mean(axis=0), values.std(axis=0)
    standardised = (values - mean) / np.where(spread > 0, spread, 1)
    design = np.column_stack([standardised, np.ones(len(values))])
    solution, _, rank, _ = np.linalg.lstsq(design, truth, rcond=1e-10)
    if rank < 3:
        raise MetricError(
            f"differences: {len(values)} transfers do not fix three coefficients; add some whose W_D and W_T differ"
        )
    slopes = solution[:2] / spread
    return Coefficients(float(slopes[0]), float(slopes[1]), float(solution[2] - slopes @ mean))


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Checked features and label codes of both sides, source pixels sorted by class, and where to compute."""

    source: Floats
    source_codes: NDArray[np.int64]
    target: Floats
    target_codes: NDArray[np.int64]
    arrays: Arrays

    @classmethod
    def of(cls, source_features: Any, source_labels: Any, target_features: Any, target_labels: Any) -> _Pixels:
        source = as_features(source_features, "source_features")
        target = as_features(target_features, "target_features")
        if source.shape[1] != target.shape[1]:
            raise MetricError(
                f"source_features have {source.shape[1]} columns, target_features {target.shape[1]}; "
                "extract both with the source model"
            )
        source_codes, _ = as_labels(source_labels, len(source), "source_labels")
        target_codes, _ = as_labels(target_labels, len(target), "target_labels")
        device = getattr(target_features, "device", "cpu")
        arrays = Arrays.torch(device) if getattr(device, "type", "cpu") == "cuda" else Arrays.numpy()
        by_class = np.argsort(source_codes, kind="stable")
        return cls(source[by_class], source_codes[by_class], target, target_codes, arrays)

    @property
    def settings(self) -> dict[str, Any]:
        """Of `couple`: where to compute, and the source classes as groups of rows."""
        return {"arrays": self.arrays, "group_sizes": self.source_class_sizes}

    @property
    def source_class_sizes(self) -> list[int]:
        """Source pixels of each class, in the order they come in."""
        return [int(size) for size in np.bincount(self.source_codes)]


def _task_difference(coupling: Coupling, pixels: _Pixels) -> float:
    """Of a coupling whose groups are the source classes."""
    joint = coupling.group_masses @ np.eye(pixels.target_codes.max() + 1)[pixels.target_codes]
    return conditional_entropy(joint / joint.sum())


def _label_distances(pixels: _Pixels, regularization: float, solver: str) -> Doubles:
    """Sinkhorn divergence S between the features of each source class and each target class, (Ks, Kt)."""

    def transported(source: Floats, target: Floats) -> float:
        cost = squared_euclidean(source, target)
        if solver == "exact" and not cost.largest():  # any plan is as good
            return 0.0
        coupling = couple(cost, epsilon=regularization, cost_scale=None, solver=solver, arrays=pixels.arrays)
        return coupling.objective * cost.unit

    def self_terms(classes: list[Floats]) -> Doubles:
        return np.array([0.0 if solver == "exact" else transported(features, features) / 2 for features in classes])

    sources = [pixels.source[pixels.source_codes == code] for code in range(pixels.source_codes.max() + 1)]
    targets = [pixels.target[pixels.target_codes == code] for code in range(pixels.target_codes.max() + 1)]
    between = np.array([[transported(source, target) for target in targets] for source in sources])
    return np.maximum(between - self_terms(sources)[:, None] - self_terms(targets), 0)  # rounding can make it negative

"""Every metric by name: what it needs, its range, its cost and its paper. Others join by an entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from medtrans.errors import MetricError, did_you_mean
from medtrans.metrics.bhattacharyya import gbc
from medtrans.metrics.class_consistency import cc_fv
from medtrans.metrics.coding_rate import transrate
from medtrans.metrics.discriminants import lfc, ped, sfda
from medtrans.metrics.h_scores import h_score, shrinkage_h_score
from medtrans.metrics.label_based import leep, nce, zero_shot_dice
from medtrans.metrics.log_evidence import logme
from medtrans.metrics.metric import ARRAY_NAMES, Metric, Option
from medtrans.metrics.mixture_leep import nleep
from medtrans.metrics.neighbours import grtd, knn, lbtc
from medtrans.metrics.trained_head import check_descent, head_dice
from medtrans.metrics.transported_labels import check_joint_settings, jc_otce, otce_sim
from medtrans.metrics.whole_images import probe_dice, whole_zero_shot_dice
from medtrans.plugins import with_plugins
from medtrans.transport import check_settings

__all__ = ["ARRAY_NAMES", "METRICS", "Metric", "MetricChoice", "Option", "available", "choose_metrics", "get_metric"]

ENTRY_POINT_GROUP = "medtrans.metrics"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "h_score",
            h_score,
            range="0 to min(K - 1, D)",
            cost="N D^2",
            reference="Bao et al., ICIP 2019",
            summary="between-class scatter of the features, relative to their total scatter",
        ),
        Metric(
            "shrinkage_h_score",
            shrinkage_h_score,
            range="0 to (K - 1) N / (N - 1)",
            cost="N D^2",
            reference="Ibrahim et al., 2021, arXiv 2110.06893",
            summary="H-score with a shrunk covariance, for few pixels and many features",
        ),
        Metric(
            "nce",
            nce,
            range="-H(Y) to 0",
            cost="N",
            reference="Tran et al., ICCV 2019",
            summary="negative conditional entropy of target labels given the source's predictions",
        ),
        Metric(
            "leep",
            leep,
            range="-H(Y) to 0",
            cost="N C",
            reference="Nguyen et al., ICML 2020",
            summary="log expected empirical prediction from the source's probabilities",
        ),
        Metric(
            "nleep",
            nleep,
            range="-H(Y) to 0",
            cost="N D^2 + iterations N K d^2",
            reference="Li et al., CVPR 2021",
            summary="LEEP of a Gaussian mixture fitted to the features",
        ),
        Metric(
            "logme",
            logme,
            range="any real number",
            cost="N D^2",
            reference="You et al., ICML 2021",
            summary="largest evidence of Bayesian linear models from features to labels",
        ),
        Metric(
            "transrate",
            transrate,
            range="any real number",
            cost="N D^2",
            reference="Huang et al., ICML 2022",
            summary="coding rate of the features that the classes explain",
        ),
        Metric(
            "gbc",
            gbc,
            range="-K (K - 1) to 0",
            cost="N D^2 + K^2 D",
            reference="Pandy et al., CVPR 2022",
            summary="negative overlap of the classes, each taken as a Gaussian",
        ),
        Metric(
            "cc_fv",
            cc_fv,
            range="any real number",
            cost="N^2 D",
            reference="Yang et al., MICCAI 2023",
            summary="variety of the features over their inconsistency within classes",
        ),
        Metric(
            "knn",
            knn,
            range="0 to 1",
            cost="N log(N) D to N^2 D",
            reference="arXiv 2503.18528",
            summary="agreement with the labels of the nearest features in other cases",
        ),
        Metric(
            "lfc",
            lfc,
            range="0 to 1",
            cost="N D^2",
            reference="Deshpande et al., 2021, arXiv 2102.00084",
            summary="correlation of the features' Gram matrix with that of the labels",
        ),
        Metric(
            "sfda",
            sfda,
            range="0 to 1",
            cost="N D^2",
            reference="Shao et al., ECCV 2022",
            summary="confidence of a discriminant after unsure pixels were made harder",
        ),
        Metric(
            "ped",
            ped,
            range="as its base, logme",
            cost="N D^2",
            reference="Li et al., ICCV 2023",
            summary="logme after overlapping classes pushed each other apart",
        ),
        Metric(
            "lbtc",
            lbtc,
            range="0 to 1",
            cost="N D",
            reference="TopoTE, arXiv 2602.23916",
            summary="how seldom spanning trees of near features at boundaries join different classes",
        ),
        Metric(
            "grtd",
            grtd,
            range="-1 to 0",
            cost="K^2 D, of at most 800 pixels of each of K classes",
            reference="TopoTE, arXiv 2602.23916",
            summary="how far a spanning tree of the features is from one of the classes",
        ),
        Metric(
            "zero_shot_dice",
            zero_shot_dice,
            range="0 to 1",
            cost="N",
            reference="baseline",
            summary="Dice of the source's own predictions, without training",
        ),
        Metric(
            "whole_zero_shot_dice",
            whole_zero_shot_dice,
            range="0 to 1",
            cost="U",
            reference="baseline",
            summary="Dice of the source's own predictions on the whole labelled images",
        ),
        Metric(
            "probe_dice",
            probe_dice,
            range="0 to 1",
            cost="U D^2",
            reference="medtrans",
            summary="Dice on whole labelled images of a linear head, fitted on other cases",
        ),
        Metric(
            "head_dice",
            head_dice,
            range="0 to 1",
            cost="U D + steps K D",
            reference="medtrans",
            summary="Dice on whole labelled images of a linear head trained by descent, on other cases",
            check=check_descent,
        ),
        Metric(
            "otce_sim",
            otce_sim,
            range="-H(Y) to 0",
            cost="N^2 D",
            reference="Tan et al., arXiv 2109.15242",
            summary="negative conditional entropy of target labels given transported source labels",
            check=check_settings,
        ),
        Metric(
            "jc_otce",
            jc_otce,
            range="-H(Y) to 0",
            cost="N^2 D",
            reference="Tan et al., TNNLS 2024",
            summary="otce_sim with label distances in the transport cost",
            check=check_joint_settings,
        ),
    )
}
"""The metrics that ship with medtrans, by name."""


def available() -> dict[str, Metric]:
    """Built-in metrics and those of installed packages, by name; a broken one is left out with a MedtransWarning."""
    return with_plugins(METRICS, entry_points(group=ENTRY_POINT_GROUP), Metric)


def get_metric(name: str) -> Metric:
    """The metric of that name; raises MetricError with the nearest name when there is none."""
    if name in METRICS:
        return METRICS[name]
    metrics = available()
    if name not in metrics:
        raise MetricError(f"unknown metric '{name}'; {did_you_mean(name, metrics)}")
    return metrics[name]


MetricChoice = str | Metric | tuple[str, Mapping[str, Option]] | Mapping[str, Option]
"""A name, a metric, or a name with options: ``("otce_sim", {"epsilon": 0.05})``, or as in YAML in one dictionary."""


def choose_metrics(choices: MetricChoice | Sequence[MetricChoice]) -> tuple[Metric, ...]:
    """The metrics that a user asked for, in that order, each label once; a single one need not stand in a list.

    Raises:
        MetricError: there is none, no such metric, or it does not have such an option.
    """
    match choices:
        case str() | Metric() | (str(), Mapping()) | Mapping():
            chosen = [_choose(choices)]
        case Sequence():
            chosen = [_choose(choice) for choice in choices]
        case _:
            raise _no_metric(choices)
    if not chosen:
        raise MetricError("no metric to rank by; name at least one, for example h_score")
    by_label: dict[str, Metric] = {}
    for metric in chosen:
        if by_label.setdefault(metric.label, metric) != metric:
            raise MetricError(f"metrics: two different ones are called '{metric.label}'; give one another name")
    return tuple(by_label.values())


def _choose(choice: Any) -> Metric:
    match choice:
        case Metric():
            return choice
        case str():
            return get_metric(choice)
        case (str(name), Mapping() as options):
            return get_metric(name).with_options(options)
        case {"name": str(name)}:
            return get_metric(name).with_options({option: choice[option] for option in choice if option != "name"})
        case _:
            raise _no_metric(choice)


def _no_metric(choice: object) -> MetricError:
    return MetricError(
        f"metrics: {choice!r} is no metric; write a name, or both name and options: ('otce_sim', {{'epsilon': 0.05}})"
    )

"""Every metric by name: what it needs, its range, its cost and its paper. Others join by an entry point."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from typing import Any

from medtrans.errors import MetricError, did_you_mean
from medtrans.metrics.bhattacharyya import gbc
from medtrans.metrics.class_consistency import cc_fv
from medtrans.metrics.coding_rate import transrate
from medtrans.metrics.h_scores import h_score, shrinkage_h_score
from medtrans.metrics.label_based import leep, nce, zero_shot_dice
from medtrans.metrics.log_evidence import logme
from medtrans.metrics.mixture_leep import nleep
from medtrans.metrics.transported_labels import check_joint_settings, jc_otce, otce_sim
from medtrans.metrics.whole_images import probe_dice, whole_zero_shot_dice
from medtrans.plugins import with_plugins
from medtrans.tasks import metric_label
from medtrans.transport import check_settings

ENTRY_POINT_GROUP = "medtrans.metrics"

ARRAY_NAMES = (
    "target_features",
    "target_labels",
    "source_probs",
    "source_predictions",
    "source_features",
    "source_labels",
    "target_images",
    "target_subjects",
    "whole_features",
    "whole_labels",
    "whole_predictions",
    "whole_images",
    "whole_subjects",
    "whole_weights",
)
"""Arrays that a ranking can hand to a metric: of the sampled pixels, of the source's signature, of whole images."""


Option = str | int | float | bool | None
"""What an option of a metric can be set to."""


@dataclass(frozen=True)
class Metric:
    """A function of arrays that estimates transferability; higher is better.

    Third parties register theirs by an entry point of the group ``medtrans.metrics`` that loads to a `Metric`::

        [project.entry-points."medtrans.metrics"]
        my_metric = "my_package:MY_METRIC"

    Attributes:
        name: what users write.
        function: takes the arrays of `needs` by name, returns a float.
        range: smallest and largest value, in words; K classes, D features.
        cost: leading term for N pixels.
        reference: the paper, or "baseline".
        summary: one line.
        options: values for some of the function's parameters that are no arrays, in place of their defaults.
        check: raises MetricError for values of options that make no sense; called with all of them, None: nothing to
            check.
    """

    name: str
    function: Callable[..., float]
    range: str
    cost: str
    reference: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    check: Callable[..., None] | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.needs) - set(ARRAY_NAMES))
        if unknown:
            raise MetricError(
                f"metric '{self.name}': parameter '{unknown[0]}'; {did_you_mean(unknown[0], ARRAY_NAMES)}"
            )
        for option, value in self.options.items():
            if option not in self.option_names:
                known = did_you_mean(str(option), self.option_names) if self.option_names else "it has none"
                raise MetricError(f"metric '{self.name}' has no option '{option}'; {known}")
            self._check_kind(option, value)
        if self.options and self.check is not None:
            self.check(**{**self._defaults, **self.options})

    def _check_kind(self, option: str, value: object) -> None:
        """Raise MetricError where a value is of another kind than the option's default."""
        default = self._defaults[option]
        if isinstance(default, bool):
            fits, wanted = isinstance(value, bool), "true or false"
        elif isinstance(default, str):
            fits, wanted = isinstance(value, str | None), "a text"
        elif default is None:
            fits, wanted = isinstance(value, str | int | float | None), "a number or a text"
        else:
            fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
        if not fits:
            raise MetricError(f"metric '{self.name}': option '{option}' is {value!r}; give {wanted}")

    @property
    def _defaults(self) -> dict[str, Any]:
        """The options with their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        options = [it for it in parameters if it.default is not it.empty and it.name not in (*ARRAY_NAMES, "rng")]
        return {it.name: it.default for it in options}

    @property
    def label(self) -> str:
        """Its name with the options that it was given: what rankings and tables call it."""
        return metric_label(self.name, self.options)

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the options that it has; a random generator is none."""
        return tuple(self._defaults)

    def with_options(self, options: Mapping[str, Option]) -> Metric:
        """The metric with other options than the defaults; MetricError for one that it does not have."""
        return replace(self, options={**self.options, **options})

    def value(self, **arrays: Any) -> float:
        """The metric of these arrays, by name."""
        return self.function(**arrays, **self.options)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the arrays that the function requires: its parameters without a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty)

    @property
    def looks_at_whole_images(self) -> bool:
        """Whether it needs more than the sampled pixels."""
        return any(name.startswith("whole_") for name in self.needs)

    @property
    def accepts(self) -> tuple[str, ...]:
        """Names of the arrays that the function takes, those it can do without included."""
        return tuple(name for name in inspect.signature(self.function).parameters if name in ARRAY_NAMES)


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

"""What a metric is: a function of named arrays, its options, and what people should know of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medtrans.errors import MetricError, did_you_mean
from medtrans.tasks import metric_label

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

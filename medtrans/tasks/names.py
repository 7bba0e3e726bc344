"""What tasks, modalities and metrics are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medtrans.errors import ConfigError

RGB = "RGB"
"""The modality of colour photographs."""

ARCHITECTURE = "@"
"""Between the task and the architecture in the name of a source, where several are trained for one task."""

DRAW = "#"
"""Between the task and a number in the name of a target of a study that draws its labelled people several times."""

_SYNONYMS = {  # in lower case, without separators
    "T1": ("t1", "t1n", "t1w"),
    "T1CE": ("t1ce", "t1c", "t1gd", "t1post"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "t2flair"),
}
_CANONICAL = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms}


@dataclass(frozen=True, order=True)
class TaskName:
    """What is segmented, in which contrast, at which site: ``domain/modality/structure``.

    >>> TaskName.parse("fets-22/T1CE/ET").modality
    'T1CE'
    """

    domain: str
    modality: str
    structure: str

    @classmethod
    def parse(cls, text: str) -> TaskName:
        """Read ``domain/modality/structure``; raises ConfigError for anything else."""
        for sign, meaning in ((ARCHITECTURE, "the architecture of a source"), (DRAW, "the number of a draw")):
            if sign in text:
                raise ConfigError(f"task '{text}': '{sign}' stands between a task and {meaning}; rename it")
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            hint = f"; a slash in a name becomes a hyphen, {spelled('/'.join(parts[2:]))}" if len(parts) > 3 else ""
            raise ConfigError(
                f"task '{text}': write it as domain/modality/structure, for example open-ms/FLAIR/lesion{hint}"
            )
        if any(part.startswith(".") or not part.isprintable() for part in parts):  # a task is also a folder of a pool
            raise ConfigError(f"task '{text}': no part may start with a dot or hold control characters; rename it")
        return cls(*parts)

    @classmethod
    def of_source(cls, name: str) -> TaskName:
        """The task of a source of a study, whose name may end with ``@`` and its architecture.

        >>> str(TaskName.of_source("gta5/RGB/road+car@FCN8s"))
        'gta5/RGB/road+car'
        """
        return cls.parse(name.partition(ARCHITECTURE)[0])

    @classmethod
    def of_target(cls, name: str) -> TaskName:
        """The task of a target of a study, whose name may end with ``#`` and the number of a draw.

        >>> str(TaskName.of_target("a/T1/GM#2"))
        'a/T1/GM'
        """
        return cls.parse(name.partition(DRAW)[0])

    def __str__(self) -> str:
        return f"{self.domain}/{self.modality}/{self.structure}"


def spelled(name: str) -> str:
    """How the name of a structure or modality is written in a task: signs that mean something there become hyphens.

    >>> spelled("prostate/uterus"), spelled("traffic light")
    ('prostate-uterus', 'traffic-light')
    """
    return re.sub(r"[\s/\\@#\x00-\x1f\x7f]+|^\.", "-", name.strip())


def canonical_modality(name: str) -> str:
    """T1, T1CE, T2 or FLAIR for their names in different data sets (T1POST, t1gd, t2f ...), any other as it is.

    >>> canonical_modality("T2-FLAIR"), canonical_modality("T2*")
    ('FLAIR', 'T2*')
    """
    return _CANONICAL.get(without_separators(name), name)


def without_separators(name: str) -> str:
    """In lower case; other signs stay, as T2* is not T2, and T1+ not T1.

    >>> without_separators("dwi-b0") == without_separators("DWI B0")
    True
    """
    return re.sub(r"[\s_.-]+", "", name.lower())


def metric_label(name: str, options: Mapping[str, object]) -> str:
    """What a metric with options is called in tables.

    >>> metric_label("otce_sim", {"epsilon": 0.05, "cost_scale": "max"})
    'otce_sim(cost_scale=max, epsilon=0.05)'
    """
    told = ", ".join(f"{option}={options[option]}" for option in sorted(options))
    return f"{name}({told})" if told else name


def n_tasks(targets: Iterable[str]) -> int:
    """How many tasks there are among targets: several draws of labelled people are one.

    >>> n_tasks(["site-a/T1/WM#1", "site-a/T1/WM#2", "site-a/T1/GM#1"])
    2
    """
    return len({TaskName.of_target(target) for target in targets})

"""From YAML to checked settings: the blocks, the jobs made of them, and how a file is read."""

from __future__ import annotations

from medtrans.config.changes import differences
from medtrans.config.jobs import RankJob, TrainJob
from medtrans.config.layouts import LAYOUTS, Layout, layout_named, layout_of
from medtrans.config.load import checked, load_settings
from medtrans.config.settings import (
    MEASURE_NAMES,
    AccuracyMeasure,
    DataSettings,
    Device,
    FilterSettings,
    Metrics,
    MetricSettings,
    NetworkSettings,
    PreprocessingSettings,
    SamplerSettings,
    Settings,
    SignatureSettings,
    TrainingSettings,
    expand_braces,
    metric_choices,
)
from medtrans.config.study import (
    SCORING,
    ExecutorSettings,
    ManyToOneSettings,
    SourceGroup,
    StudyJob,
    TargetGroup,
    TaskGroup,
    TransferSettings,
)

__all__ = [
    "LAYOUTS",
    "MEASURE_NAMES",
    "SCORING",
    "AccuracyMeasure",
    "DataSettings",
    "Device",
    "ExecutorSettings",
    "FilterSettings",
    "Layout",
    "ManyToOneSettings",
    "MetricSettings",
    "Metrics",
    "NetworkSettings",
    "PreprocessingSettings",
    "RankJob",
    "SamplerSettings",
    "Settings",
    "SignatureSettings",
    "SourceGroup",
    "StudyJob",
    "TargetGroup",
    "TaskGroup",
    "TrainJob",
    "TrainingSettings",
    "TransferSettings",
    "checked",
    "differences",
    "expand_braces",
    "layout_named",
    "layout_of",
    "load_settings",
    "metric_choices",
]

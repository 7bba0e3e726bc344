"""All gradient descent: train a source, fine-tune it, retrain its head, fuse several; and how right the outcome is."""

from __future__ import annotations

from medtrans.learning.evaluate import (
    dice_score,
    largest_output,
    predict_labels,
    predict_outputs,
    segmentation_accuracy,
)
from medtrans.learning.loop import Descent
from medtrans.learning.measures import Accuracy, Table, accuracy_of_labels, accuracy_of_tables, subject_tables
from medtrans.learning.train import definition_for, make_signature, train_network, train_source, training_accuracy
from medtrans.learning.transfer.fine_tune import fine_tune, head_on_random_weights, train_head, with_head
from medtrans.learning.transfer.fusion import FusedNetwork, average_predictions, fuse_heads
from medtrans.progress import Progress

__all__ = [
    "Accuracy",
    "Descent",
    "FusedNetwork",
    "Progress",
    "Table",
    "accuracy_of_labels",
    "accuracy_of_tables",
    "average_predictions",
    "definition_for",
    "dice_score",
    "fine_tune",
    "fuse_heads",
    "head_on_random_weights",
    "largest_output",
    "make_signature",
    "predict_labels",
    "predict_outputs",
    "segmentation_accuracy",
    "subject_tables",
    "train_head",
    "train_network",
    "train_source",
    "training_accuracy",
    "with_head",
]

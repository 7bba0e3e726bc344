"""All gradient descent: train a source, fine-tune it, retrain its head, fuse several; and the Dice that comes of it."""

from __future__ import annotations

from medtrans.learning.evaluate import dice_of_labels, dice_score, largest_output, predict_labels, predict_outputs
from medtrans.learning.fine_tune import fine_tune
from medtrans.learning.fusion import FusedNetwork, average_predictions, fuse_heads
from medtrans.learning.loop import Descent, Progress
from medtrans.learning.train import definition_for, make_signature, train_network, train_source

__all__ = [
    "Descent",
    "FusedNetwork",
    "Progress",
    "average_predictions",
    "definition_for",
    "dice_of_labels",
    "dice_score",
    "fine_tune",
    "fuse_heads",
    "largest_output",
    "make_signature",
    "predict_labels",
    "predict_outputs",
    "train_network",
    "train_source",
]

"""All gradient descent: train a source, fine-tune it, retrain its head; and the Dice that comes of it."""

from __future__ import annotations

from medtrans.learning.evaluate import dice_score, predict_labels
from medtrans.learning.fine_tune import fine_tune
from medtrans.learning.loop import Descent, Progress
from medtrans.learning.train import make_signature, train_source

__all__ = [
    "Descent",
    "Progress",
    "dice_score",
    "fine_tune",
    "make_signature",
    "predict_labels",
    "train_source",
]

"""The one loop of gradient descent: training a source, fine-tuning and retraining a head all run through it."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.losses import DiceLoss
from torch import nn
from torch.nn import functional

from medtrans.config import TrainingSettings
from medtrans.errors import TrainingError
from medtrans.learning.batches import Batch, Batches
from medtrans.learning.checkpoint import Checkpoint
from medtrans.learning.examples import Examples
from medtrans.networks import draws_in_training, seeded, training_outputs
from medtrans.progress import Progress
from medtrans.schedule import warmed_cosine
from medtrans.tasks import IGNORE_LABEL


class Descent(NamedTuple):
    """How a training went: steps, mean loss over the last epoch, seconds (of all its runs, where it was resumed).

    ``threads`` are those of torch, a number for each run: the last bits of the weights depend on them.
    """

    steps: int
    final_loss: float
    seconds: float
    threads: tuple[int, ...]


def descend(
    network: nn.Module,
    task: Examples,
    training: TrainingSettings,
    *,
    divisor: int,
    device: torch.device,
    text: str,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Descent:
    """Train, in place, those parameters of a network that require a gradient, on a task's cases.

    AdamW on ``segmentation_loss``, with the rate of `warmed_cosine` in each step; in training mode the loss of an
    auxiliary head, where the network has one, is added with its weight. On a GPU the network runs in mixed precision.
    The network stays in the mode (training or evaluation) it comes in. ``text`` names the training in messages.

    With a ``checkpoint``, the state is kept after every epoch of ``steps_per_epoch`` steps, and training goes on where
    the last epoch ended. All chance in step t comes from (seed, t), so that a resumed training ends with the same
    weights as an undisturbed one: bit for bit, on CPUs and with the same number of threads. The caller's random state
    is left as it was.

    Raises:
        TrainingError: no case shows the structure; the loss is not finite; the checkpoint is damaged, belongs to
            another training, or cannot be written.
    """
    batches = Batches(task, training, divisor=divisor)
    state = _State(network.to(device), training, device, has_background=task.has_background)
    if checkpoint is not None:
        state.restore(checkpoint.read(device))
    if state.step < training.steps:
        state.threads += (torch.get_num_threads(),)
    while state.step < training.steps:
        began = time.perf_counter()
        losses = []
        for _ in range(min(training.steps_per_epoch, training.steps - state.step)):
            losses.append(state.take_step(batches))
            if not math.isfinite(losses[-1]):
                raise _diverged(text, state.step, training, checkpoint)
            if progress is not None:
                progress(state.step, training.steps, text)
        state.final_loss = math.fsum(losses) / len(losses)
        state.seconds += time.perf_counter() - began
        if checkpoint is not None:
            checkpoint.write(state.collect())
    return Descent(state.step, state.final_loss, state.seconds, state.threads)


def segmentation_loss(outputs: torch.Tensor, labels: torch.Tensor, *, has_background: bool) -> torch.Tensor:
    """Mean Dice loss of the classes, pooled over the batch, plus the mean cross-entropy; ignored pixels left out.

    Of the Dice loss, class 0 is left out if it is background, and so are classes that no pixel of the batch has: MONAI
    gives them a loss near 1 whatever the network says, so that with many classes little would be left of the others'
    gradient. Pooling keeps an element without a class from dominating in the same way. MONAI's DiceCELoss is the same
    sum but knows no ignored label.

    Shapes: outputs ``(B, K, *spatial)`` before softmax; labels ``(B, *spatial)``, int64.
    """
    dice = DiceLoss(
        include_background=not has_background,
        to_onehot_y=True,
        softmax=True,
        batch=True,
        reduction="none",
        ignore_index=IGNORE_LABEL,
    )
    by_class: torch.Tensor = dice(outputs, labels[:, None]).flatten()
    pixels = torch.bincount(labels.flatten(), minlength=IGNORE_LABEL + 1)
    there = pixels[int(has_background) : outputs.shape[1]] > 0
    loss = by_class[there].sum() / there.sum().clamp(min=1)
    return loss + functional.cross_entropy(outputs, labels, ignore_index=IGNORE_LABEL)


class _State:
    """All that changes from step to step, and so all that a checkpoint holds."""

    def __init__(
        self, network: nn.Module, training: TrainingSettings, device: torch.device, *, has_background: bool
    ) -> None:
        self.network = network
        self.training = training
        self.device = device
        self.has_background = has_background
        self.on_gpu = device.type == "cuda"
        self.draws = draws_in_training(network)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=training.learning_rate, weight_decay=training.weight_decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.on_gpu)
        self.step = 0
        self.final_loss = math.nan
        self.seconds = 0.0
        self.threads: tuple[int, ...] = ()

    def take_step(self, batches: Batches) -> float:
        """One step of gradient descent; returns the loss before it. A loss that is not finite changes no weight."""
        for group in self.optimizer.param_groups:
            group["lr"] = warmed_cosine(self.step, self.training.steps, self.training.learning_rate)
        with self._chance():
            loss = self._loss(batches.at(self.step))
            value = float(loss.detach())
            if math.isfinite(value):
                self.optimizer.zero_grad()
                torch.autograd.backward(self.scaler.scale(loss))
                self.scaler.step(self.optimizer)
                self.scaler.update()
        self.step += 1
        return value

    def _loss(self, batch: Batch) -> torch.Tensor:
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=self.on_gpu):
            outputs = training_outputs(self.network, images)
        losses = [
            weight * segmentation_loss(logits.float(), labels, has_background=self.has_background)
            for weight, logits in outputs
        ]
        return torch.stack(losses).sum()

    def _chance(self) -> AbstractContextManager[None]:
        """Dropout's random numbers come from (seed, step) inside; a network without dropout waits for no other."""
        if not self.draws:
            return nullcontext()
        drawn = np.random.SeedSequence((self.training.seed, self.step)).generate_state(1)
        return seeded(int(drawn[0]), self.device)

    def collect(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "final_loss": self.final_loss,
            "seconds": self.seconds,
            "threads": self.threads,
        }

    def restore(self, kept: dict[str, Any] | None) -> None:
        if kept is None:
            return
        self.network.load_state_dict(kept["network"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.scaler.load_state_dict(kept["scaler"])
        self.step, self.final_loss, self.seconds = kept["step"], kept["final_loss"], kept["seconds"]
        self.threads = tuple(kept.get("threads", ()))  # earlier checkpoints do not say


def _diverged(text: str, step: int, training: TrainingSettings, checkpoint: Checkpoint | None) -> TrainingError:
    """The error, after removing a checkpoint that nobody could go on from with other settings."""
    if checkpoint is not None:
        checkpoint.remove()
    return TrainingError(
        f"{text}: the loss is not finite at step {step}; lower training.learning_rate (now {training.learning_rate:g})"
    )

"""Torch's random numbers, for one who draws at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

_TURN = threading.RLock()
_CPU = torch.device("cpu")


@contextmanager
def seeded(seed: int, device: torch.device = _CPU) -> Iterator[None]:
    """Torch's random numbers come from the seed inside, and go on outside as if nothing was drawn.

    Initialisations and dropout draw from generators that all threads share: other threads wait here for their turn.
    """
    gpus = [device] if device.type == "cuda" else []
    with _TURN, torch.random.fork_rng(devices=gpus):
        # not torch.manual_seed: that one also seeds every GPU, which nobody puts back
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def draws_in_training(network: nn.Module) -> bool:
    """Whether a forward pass in training mode draws random numbers: dropout does."""
    return any(isinstance(layer, _DropoutNd) and layer.p > 0 for layer in network.modules())

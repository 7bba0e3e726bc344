"""Where networks run."""

from __future__ import annotations

import torch

from medtrans.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """``auto`` is the GPU if there is one, otherwise the CPU.

    Raises:
        ConfigError: a GPU is asked for and there is none, or torch knows no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device '{name}' is unknown; set the device to auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device '{name}': torch finds no GPU here; set the device to auto or cpu")
    return device

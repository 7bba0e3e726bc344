"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from medtrans.errors import ConfigError
from medtrans.networks import resolve_device


def test_devices_by_name() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="device 'gpu' is unknown"):
        resolve_device("gpu")
    if torch.cuda.is_available():
        assert resolve_device("auto").type == "cuda"
    else:
        assert resolve_device("auto") == torch.device("cpu")
        with pytest.raises(ConfigError, match="finds no GPU"):
            resolve_device("cuda")

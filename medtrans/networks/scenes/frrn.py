"""Full-resolution residual networks (Pohlen et al., CVPR 2017, arXiv 1611.08323)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.grid import cropped
from medtrans.networks.scenes.base import SceneNetwork, conv_norm_relu, doubled, initialise

Stages = tuple[tuple[int, int, int], ...]
"""Full-resolution residual units, their channels in multiples of the width, and pixels a cell; stage by stage."""

_ENCODER: Stages = ((3, 2, 2), (4, 4, 4), (2, 8, 8), (2, 8, 16))
_DECODER: Stages = ((2, 4, 8), (2, 4, 4), (2, 2, 2))


class FRRNA(SceneNetwork):
    """Two streams: residuals at full resolution that nothing shrinks, and maps that are pooled and enlarged again.

    Every unit reads both streams, hands its maps on to the next unit and adds to the residuals. The closing units read
    both streams at full resolution; the last 1 x 1 convolution reads their ``width`` channels. The residual stream has
    two thirds of the width (32 channels at full width, 48).

    This is the network of the authors' code, whose number of parameters is the paper's. The public PyTorch
    implementation hands every unit of a stage the same map, so that the work of all but the last is lost to the next.
    Poolings round up and enlarged maps are cropped, so that images may have any size.
    """

    encoder_stages: ClassVar[Stages] = _ENCODER
    decoder_stages: ClassVar[Stages] = _DECODER

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 48) -> None:
        super().__init__(spatial_dims, in_channels)
        lanes = max(2 * width // 3, 1)
        self.opening = nn.Sequential(
            *conv_norm_relu(in_channels, width, 5), *(_ResidualUnit(width, width) for _ in range(3))
        )
        self.split = nn.Sequential(nn.Conv2d(width, lanes, 1, bias=False), nn.BatchNorm2d(lanes))
        channels, stages = width, []
        for n_units, multiple, scale in (*self.encoder_stages, *self.decoder_stages):
            units = []
            for _ in range(n_units):
                units.append(_FullResolutionUnit(channels, multiple * width, lanes, scale))
                channels = multiple * width
            stages.append(nn.ModuleList(units))
        n_encoder = len(self.encoder_stages)
        self.down, self.up = nn.ModuleList(stages[:n_encoder]), nn.ModuleList(stages[n_encoder:])
        self.closing = nn.Sequential(
            _ResidualUnit(channels + lanes, width), _ResidualUnit(width, width), _ResidualUnit(width, width)
        )
        self.classifier = nn.Conv2d(width, out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """From images ``(B, in_channels, H, W)`` to logits ``(B, out_channels, H, W)``."""
        maps = self.opening(images)
        residuals = self.split(maps)
        sizes = []
        for stage in self.down:
            sizes.append(maps.shape[2:])
            maps, residuals = _through(stage, functional.max_pool2d(maps, 2, ceil_mode=True), residuals)
        for stage in self.up:
            maps, residuals = _through(stage, doubled(maps, sizes.pop()), residuals)
        maps = torch.cat([doubled(maps, sizes.pop()), residuals], dim=1)
        logits: Tensor = self.classifier(self.closing(maps))
        return logits


class FRRNB(FRRNA):
    """``FRRNA`` with one more pooling, to 1/32, and one more stage on the way back: for images of twice the size."""

    encoder_stages = (*_ENCODER, (2, 8, 32))
    decoder_stages = ((2, 4, 16), *_DECODER)


def _through(stage: Sequence[nn.Module] | nn.Module, maps: Tensor, residuals: Tensor) -> tuple[Tensor, Tensor]:
    for unit in stage:  # type: ignore[union-attr]
        maps, residuals = unit(maps, residuals)
    return maps, residuals


class _ResidualUnit(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the number of channels changes."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        last = conv_norm_relu(out_channels, out_channels)[:-1]
        self.convolutions = nn.Sequential(*conv_norm_relu(in_channels, out_channels), *last)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.convolutions(maps) + self.shortcut(maps)
        return found


class _FullResolutionUnit(nn.Module):
    """Two 3 x 3 convolutions on the maps and the pooled residuals; what they find is added to the residuals."""

    def __init__(self, in_channels: int, out_channels: int, lanes: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.convolutions = nn.Sequential(
            *conv_norm_relu(in_channels + lanes, out_channels), *conv_norm_relu(out_channels, out_channels)
        )
        self.to_residuals = nn.Conv2d(out_channels, lanes, 1)

    def forward(self, maps: Tensor, residuals: Tensor) -> tuple[Tensor, Tensor]:
        pooled = functional.max_pool2d(residuals, self.scale, ceil_mode=True)
        maps = self.convolutions(torch.cat([maps, pooled], dim=1))
        found = functional.interpolate(self.to_residuals(maps), scale_factor=self.scale, mode="nearest")
        return maps, residuals + cropped(found, residuals.shape[2:])

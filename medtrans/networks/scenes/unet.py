"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015, arXiv 1505.04597)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.grid import cropped
from medtrans.networks.scenes.base import SceneNetwork, initialise

_LEVELS = 5
_MARGIN = 92  # pixels that the unpadded convolutions take from each side
_STEP = 16  # outputs have 4 + 16 k pixels a side


class UNet(SceneNetwork):
    """Contracting and expanding path of unpadded 3 x 3 convolutions, with the finer maps cropped and joined.

    As in the paper, the image is continued by its mirror image as far as the convolutions reach (its overlap-tile
    strategy), here by 92 pixels and up to the next size that the poolings divide. The maps are cropped to the image
    before the last 1 x 1 convolution, which reads ``width`` channels at full resolution.

    Batch normalisation is in the contracting path only, as in the public implementation; the paper has none.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__(spatial_dims, in_channels)
        channels = [width * 2**level for level in range(_LEVELS)]
        before = [in_channels, *channels[:-1]]
        self.down = nn.ModuleList(_two_convolutions(*pair, norm=True) for pair in zip(before, channels, strict=True))
        finer = channels[-2::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, stride=2) for n in finer)
        self.join = nn.ModuleList(_two_convolutions(2 * n, n, norm=False) for n in finer)
        self.classifier = nn.Conv2d(width, out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """From images ``(B, in_channels, H, W)`` to logits ``(B, out_channels, H, W)``."""
        maps = _mirrored(images)
        levels = []
        for level, convolutions in enumerate(self.down):
            maps = convolutions(functional.max_pool2d(maps, 2) if level else maps)
            levels.append(maps)
        for up, join, finer in zip(self.up, self.join, levels[-2::-1], strict=True):
            maps = up(maps)
            maps = join(torch.cat([_centre(finer, maps.shape[2:]), maps], dim=1))
        logits: Tensor = self.classifier(cropped(maps, images.shape[2:]))
        return logits


def _two_convolutions(in_channels: int, out_channels: int, *, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (in_channels, out_channels):
        layers.append(nn.Conv2d(before, out_channels, 3))
        layers += [nn.BatchNorm2d(out_channels)] if norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _mirrored(images: Tensor) -> Tensor:
    """Images continued on all sides so far that the output covers them; a small image is mirrored again and again."""
    for axis in (2, 3):
        size = images.shape[axis]
        covered = 4 + _STEP * max(-(-(size - 4) // _STEP), 0)
        places = torch.arange(-_MARGIN, covered + _MARGIN, device=images.device)
        period = max(2 * (size - 1), 1)
        places = places.remainder(period)
        images = images.index_select(axis, torch.minimum(places, period - places) if size > 1 else places)
    return images


def _centre(maps: Tensor, size: torch.Size) -> Tensor:
    (top, left) = ((whole - part) // 2 for whole, part in zip(maps.shape[2:], size, strict=True))
    return maps[:, :, top : top + size[0], left : left + size[1]]

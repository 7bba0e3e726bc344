"""ResNet-101 (He et al., CVPR 2016, arXiv 1512.03385) at 1/8 of the resolution, as PSPNet has it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.scenes.base import conv_norm_relu

EXPANSION = 4
_BLOCKS = (3, 4, 23, 3)
_STRIDES = (1, 2, 1, 1)
_DILATIONS = (1, 1, 2, 4)  # in place of the strides that the last two stages do without


class ResNet101(nn.Module):
    """Three 3 x 3 convolutions, a max-pooling and four stages of bottlenecks, the last two dilated.

    Parameters are named as in the public implementation of PSPNet (hszhao/semseg), whose ImageNet weights fit.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1, _ = conv_norm_relu(in_channels, width, stride=2)
        self.conv2, self.bn2, _ = conv_norm_relu(width, width)
        self.conv3, self.bn3, _ = conv_norm_relu(width, 2 * width)
        before = 2 * width
        stages = []
        for level, (blocks, stride, dilation) in enumerate(zip(_BLOCKS, _STRIDES, _DILATIONS, strict=True)):
            inner = width * 2**level
            first = Bottleneck(before, inner, stride, dilation)
            before = EXPANSION * inner
            stages.append(nn.Sequential(first, *(Bottleneck(before, inner, 1, dilation) for _ in range(blocks - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """From images ``(B, channels, 8h + 1, 8w + 1)`` to the maps of the last two stages, ``(h + 1, w + 1)``."""
        maps = functional.relu(self.bn1(self.conv1(images)))
        maps = functional.relu(self.bn2(self.conv2(maps)))
        maps = functional.relu(self.bn3(self.conv3(maps)))
        maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return maps, self.layer4(maps)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    def __init__(self, in_channels: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        outer = EXPANSION * inner
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample = None
        if in_channels != outer:
            shortcut = nn.Conv2d(in_channels, outer, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outer))

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(B, in_channels, h, w)`` to ``(B, 4 * inner, h / stride, w / stride)``."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        maps = functional.relu(self.bn1(self.conv1(maps)))
        maps = functional.relu(self.bn2(self.conv2(maps)))
        return functional.relu(self.bn3(self.conv3(maps)) + shortcut)

"""PSPNet (Zhao et al., CVPR 2017, arXiv 1612.01105)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.grid import Grid, cropped
from medtrans.networks.scenes.base import Encoder, SceneNetwork, conv_norm_relu, initialise
from medtrans.networks.scenes.resnet import EXPANSION, ResNet101

AUXILIARY_WEIGHT = 0.4
"""Of the auxiliary head's loss, as in the paper."""

_BINS = (1, 2, 3, 6)


class PSPNet(SceneNetwork):
    """A dilated ResNet-101 at 1/8 of the resolution, whose last map is joined by its means over 1, 4, 9 and 36 regions.

    The classifier, a 1 x 1 convolution, reads ``8 * width`` channels at 1/8; its scores are interpolated bilinearly. A
    1 x 1 convolution and the interpolation commute, so the features interpolated to the image are what its logits are
    made of. Cells lie on every eighth pixel from the first on, since whatever has a stride here has an odd size;
    images are padded with zeros at the end to ``8 k + 1`` pixels a side, the sizes that the authors require.

    An auxiliary head on the last stage but one joins in the loss of training, and is not used otherwise.
    """

    auxiliary_names = ("auxiliary_classifier",)
    grid = Grid((8, 8), corners=True)
    encoder = Encoder("a ResNet-101 that begins with three convolutions, as in hszhao/semseg", {"encoder_layers.": ""})

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__(spatial_dims, in_channels)
        of_stage4, of_stage5 = 4 * EXPANSION * width, 8 * EXPANSION * width
        self.encoder_layers = ResNet101(in_channels, width)
        self.pyramid = nn.ModuleList(_region_means(of_stage5, of_stage5 // len(_BINS), bins) for bins in _BINS)
        self.neck = nn.Sequential(*conv_norm_relu(2 * of_stage5, 8 * width), nn.Dropout2d(0.1))
        self.classifier = nn.Conv2d(8 * width, out_channels, 1)
        self.auxiliary_neck = nn.Sequential(*conv_norm_relu(of_stage4, 4 * width), nn.Dropout2d(0.1))
        self.auxiliary_classifier = nn.Conv2d(4 * width, out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """From images ``(B, in_channels, H, W)`` to logits ``(B, out_channels, H, W)``."""
        return self._logits(self._stages(images)[1], images.shape[2:])

    def training_outputs(self, images: Tensor) -> list[tuple[float, Tensor]]:
        """The logits, and those of the auxiliary head."""
        size = images.shape[2:]
        stage4, stage5 = self._stages(images)
        auxiliary = self.auxiliary_classifier(self.auxiliary_neck(stage4))
        return [(1.0, self._logits(stage5, size)), (AUXILIARY_WEIGHT, self._at_pixels(auxiliary, size))]

    def _stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        bottom, right = ((1 - size) % 8 for size in images.shape[2:])
        stages: tuple[Tensor, Tensor] = self.encoder_layers(functional.pad(images, (0, right, 0, bottom)))
        return stages

    def _logits(self, stage5: Tensor, size: torch.Size) -> Tensor:
        cells = stage5.shape[2:]
        means = [
            functional.interpolate(level(stage5), size=cells, mode="bilinear", align_corners=False)
            for level in self.pyramid
        ]
        return self._at_pixels(self.classifier(self.neck(torch.cat([stage5, *means], dim=1))), size)

    def _at_pixels(self, scores: Tensor, size: torch.Size) -> Tensor:
        return cropped(self.grid.enlarge(scores), size)


def _region_means(in_channels: int, out_channels: int, bins: int) -> nn.Sequential:
    """Means over ``bins`` x ``bins`` regions that cover the map, whatever its size, through a 1 x 1 convolution."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(nn.AdaptiveAvgPool2d(bins), conv, _NormOfMeans(out_channels), nn.ReLU(inplace=True))


class _NormOfMeans(nn.BatchNorm2d):
    """Batch normalisation that takes its running statistics where a batch of one has a single mean a channel."""

    def forward(self, input: Tensor) -> Tensor:
        if input[:, 0].numel() > 1:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )

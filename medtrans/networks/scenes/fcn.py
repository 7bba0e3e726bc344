"""FCN-8s (Long, Shelhamer and Darrell, CVPR 2015, arXiv 1411.4038)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.grid import Grid, cropped
from medtrans.networks.scenes.base import Encoder, SceneNetwork, doubled, initialise
from medtrans.networks.scenes.vgg import channels_of_stages, vgg16_layers


class FCN8s(SceneNetwork):
    """VGG16 whose fully connected layers are convolutions, with class scores from three depths.

    The authors' network scores the classes by a 1 x 1 convolution on pool3 (1/8), pool4 (1/16) and fc7 (1/32), doubles
    the coarser scores by bilinear interpolation, whose weights they fix, and adds them up. A 1 x 1 convolution and
    the interpolation commute. So the sum equals one 1 x 1 convolution on pool3, pool4 doubled, and fc7 doubled twice,
    one beside the other: that is how it is written here, and these ``76 * width`` channels (256 + 512 + 4096 at full
    width) are the penultimate features, at 1/8 of the resolution.

    They pad the image by 100 pixels, so that fc6 needs no padding, and crop the scores where they then lie. Here fc6 is
    padded, and cells lie on the pixels that they take together; nothing is left to crop but what rounding up added.
    """

    grid = Grid((8, 8))
    encoder = Encoder(
        "torchvision's vgg16", {"features.": "features."}, {"fc6.": "classifier.0.", "fc7.": "classifier.3."}
    )

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__(spatial_dims, in_channels)
        *_, of_pool3, of_pool4, of_pool5 = channels_of_stages(width)
        of_fc = 64 * width
        self.features = vgg16_layers(in_channels, width, norm=False)
        self.fc6 = nn.Conv2d(of_pool5, of_fc, 7, padding=3)
        self.fc7 = nn.Conv2d(of_fc, of_fc, 1)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(of_pool3 + of_pool4 + of_fc, out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """From images ``(B, in_channels, H, W)`` to logits ``(B, out_channels, H, W)``."""
        pooled = []
        maps = images
        for layer in self.features:
            maps = layer(maps)
            if isinstance(layer, nn.MaxPool2d):
                pooled.append(maps)
        *_, pool3, pool4, pool5 = pooled
        maps = self.dropout(functional.relu(self.fc6(pool5)))
        maps = self.dropout(functional.relu(self.fc7(maps)))
        maps = torch.cat([pool4, doubled(maps, pool4.shape[2:])], dim=1)
        maps = torch.cat([pool3, doubled(maps, pool3.shape[2:])], dim=1)
        return cropped(self.grid.enlarge(self.classifier(maps)), images.shape[2:])

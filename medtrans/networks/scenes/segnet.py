"""SegNet (Badrinarayanan, Kendall and Cipolla, PAMI 2017, arXiv 1511.00561)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.scenes.base import Encoder, SceneNetwork, conv_norm_relu, initialise
from medtrans.networks.scenes.vgg import CONVOLUTIONS, channels_of_stages, vgg16_layers


class SegNet(SceneNetwork):
    """The convolutions of VGG16 and their mirror image, which unpools each map to where its maxima came from.

    The last convolution, 3 x 3 from ``width`` channels at full resolution to classes, is bare as in the authors' Caffe
    model: the public PyTorch implementation has a normalisation and a ReLU behind it, so that no logit is negative.
    """

    encoder = Encoder("torchvision's vgg16_bn", {"features.": "features."})

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__(spatial_dims, in_channels)
        self.features = vgg16_layers(in_channels, width, norm=True, return_indices=True)
        channels = channels_of_stages(width)
        self.decoder = nn.ModuleList(
            _decoder_stage(channels[stage], channels[stage - 1], CONVOLUTIONS[stage]) for stage in (4, 3, 2, 1)
        )
        self.decoder.append(_decoder_stage(width, width, 1))
        self.classifier = nn.Conv2d(width, out_channels, 3, padding=1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """From images ``(B, in_channels, H, W)`` to logits ``(B, out_channels, H, W)``."""
        maps, poolings = images, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                size = maps.shape[2:]
                maps, maxima = layer(maps)
                poolings.append((size, maxima))
            else:
                maps = layer(maps)
        for stage, (size, maxima) in zip(self.decoder, reversed(poolings), strict=True):
            maps = stage(functional.max_unpool2d(maps, maxima, [2, 2], output_size=list(size)))
        logits: Tensor = self.classifier(maps)
        return logits


def _decoder_stage(in_channels: int, out_channels: int, n_convolutions: int) -> nn.Sequential:
    """Convolutions of which the last one goes to the channels of the next finer stage."""
    layers: list[nn.Module] = []
    for _ in range(n_convolutions - 1):
        layers += conv_norm_relu(in_channels, in_channels, bias=True)
    return nn.Sequential(*layers, *conv_norm_relu(in_channels, out_channels, bias=True))

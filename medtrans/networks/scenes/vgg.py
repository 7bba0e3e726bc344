"""The convolutions of VGG16 (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556)."""

from __future__ import annotations

from torch import nn

from medtrans.networks.scenes.base import conv_norm_relu

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""In each of the five stages; a max-pooling ends each."""


def channels_of_stages(width: int) -> tuple[int, ...]:
    """Channels of the five stages.

    >>> channels_of_stages(64)
    (64, 128, 256, 512, 512)
    """
    return (width, 2 * width, 4 * width, 8 * width, 8 * width)


def vgg16_layers(in_channels: int, width: int, *, norm: bool, return_indices: bool = False) -> nn.Sequential:
    """The layers before the fully connected ones, numbered as in torchvision's ``vgg16`` (with norm: ``vgg16_bn``).

    Poolings round up, so that each cell of stage k takes 2^k pixels a side together, the last one what is left.
    """
    layers: list[nn.Module] = []
    before = in_channels
    for n_convolutions, channels in zip(CONVOLUTIONS, channels_of_stages(width), strict=True):
        for _ in range(n_convolutions):
            if norm:
                layers += conv_norm_relu(before, channels, bias=True)
            else:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
        layers.append(nn.MaxPool2d(2, ceil_mode=True, return_indices=return_indices))
    return nn.Sequential(*layers)

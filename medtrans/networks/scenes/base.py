"""What the networks for street scenes share: where classes are scored, public weights for encoders, small parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from medtrans.networks.grid import Grid, cropped


class Encoder(NamedTuple):
    """Which public weights fill which part of a network.

    Attributes:
        origin: whose weights, for messages.
        prefixes: how the names of these parameters begin, here and in the public file.
        optional: the same for parameters that stay as they are where the file does not have them.
    """

    origin: str
    prefixes: Mapping[str, str]
    optional: Mapping[str, str] = {}


class SceneNetwork(nn.Module):
    """A network for 2D images of any size that says itself which layer scores the classes.

    Images need not be padded: networks pad and crop inside, so that logits have the size of the image.

    Attributes:
        in_channels: channels of the images.
        classifier_name: the convolution that scores the classes; its input are the penultimate features.
        auxiliary_names: other convolutions that score the classes, in training only.
        grid: how the cells that the classifier reads and writes lie on the image.
        encoder: public weights that fit the first layers at full width; None: there are none.
    """

    classifier_name: ClassVar[str] = "classifier"
    auxiliary_names: ClassVar[tuple[str, ...]] = ()
    grid: ClassVar[Grid] = Grid((1, 1))
    encoder: ClassVar[Encoder | None] = None

    def __init__(self, spatial_dims: int, in_channels: int) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ValueError(f"it takes 2D images, not {spatial_dims}D")
        self.in_channels = in_channels

    def training_outputs(self, images: Tensor) -> list[tuple[float, Tensor]]:
        """What a step of training compares with the labels: logits at the size of the images, each with its weight."""
        return [(1.0, self(images))]


def auxiliary_layers(network: nn.Module) -> tuple[str, ...]:
    """Names of the convolutions that score the classes beside the last one, in training only."""
    return network.auxiliary_names if isinstance(network, SceneNetwork) else ()


def training_outputs(network: nn.Module, images: Tensor) -> list[tuple[float, Tensor]]:
    """Logits that a step of training compares with the labels, each with its weight in the loss.

    The network's own, with weight 1; in training mode also those of its auxiliary heads.
    """
    if isinstance(network, SceneNetwork) and network.training:
        return network.training_outputs(images)
    return [(1.0, network(images))]


def conv_norm_relu(
    in_channels: int, out_channels: int, size: int = 3, *, stride: int = 1, bias: bool = False
) -> list[nn.Module]:
    """A convolution that keeps the size (or divides it by the stride), batch normalisation and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=bias)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def doubled(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Twice as fine by bilinear interpolation between the centres of cells, cropped to a size."""
    return cropped(functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False), size)


def initialise(network: nn.Module) -> None:
    """Random weights that keep the variance from layer to layer under ReLU (He et al. 2015); biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

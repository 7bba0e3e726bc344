"""Six networks for street scenes, as their papers have them, with a width to scale them down."""

from __future__ import annotations

from medtrans.networks.scenes.base import SceneNetwork, auxiliary_layers, training_outputs
from medtrans.networks.scenes.fcn import FCN8s
from medtrans.networks.scenes.frrn import FRRNA, FRRNB
from medtrans.networks.scenes.pspnet import PSPNet
from medtrans.networks.scenes.segnet import SegNet
from medtrans.networks.scenes.unet import UNet

__all__ = [
    "FRRNA",
    "FRRNB",
    "FCN8s",
    "PSPNet",
    "SceneNetwork",
    "SegNet",
    "UNet",
    "auxiliary_layers",
    "training_outputs",
]

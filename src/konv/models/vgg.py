"""VGG: 3×3 convolutions in five stages between poolings, then three dense layers; `_bn` with batch normalisation."""

from torch import nn

from konv.core.options import Fraction
from konv.models._torchvision import torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 32  # pixels: five poolings by two
PAPER = "https://arxiv.org/abs/1409.1556"
WEIGHTS = "torchvision"
VARIANTS = {
    "vgg11": {"PARAMETERS": 132_863_336},
    "vgg11_bn": {"PARAMETERS": 132_868_840},
    "vgg13": {"PARAMETERS": 133_047_848},
    "vgg13_bn": {"PARAMETERS": 133_053_736},
    "vgg16": {"PARAMETERS": 138_357_544},
    "vgg16_bn": {"PARAMETERS": 138_365_992},
    "vgg19": {"PARAMETERS": 143_667_240},
    "vgg19_bn": {"PARAMETERS": 143_678_248},
}


def build(
    channels: int, space: tuple[int, ...], classes: int, *, variant: str, weights: str = "none", dropout: Fraction = 0.5
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); its dense layers hold 124 of its 138 million weights."""
    return torchvision_network(variant, channels, classes, dropout=dropout)

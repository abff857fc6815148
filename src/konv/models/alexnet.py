"""AlexNet: five convolutions and three dense layers, the network that won ImageNet 2012 (torchvision's one-column form)."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 7  # pixels with the small stem: below, the last pooling has nothing left
MINIMUM_SIDE_LARGE = 63
PARAMETERS = 61_100_840
PAPER = "https://arxiv.org/abs/1404.5997"
WEIGHTS = "torchvision"


def build(
    channels: int, space: tuple[int, ...], classes: int, *, weights: str = "none", stem: Stem = "auto", dropout: Fraction = 0.5
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K)."""
    small = is_small(stem, weights, space)
    network = torchvision_network("alexnet", channels, classes, small=small, dropout=dropout)
    return without(network, ["features.2"] if small else [])

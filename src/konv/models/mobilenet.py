"""MobileNet v2 and v3: inverted residual blocks of depthwise convolutions, made for telephones."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel
PAPER = "https://arxiv.org/abs/1905.02244"
WEIGHTS = "torchvision"
VARIANTS = {
    "mobilenet_v2": {"PARAMETERS": 3_504_872, "PAPER": "https://arxiv.org/abs/1801.04381"},
    "mobilenet_v3_small": {"PARAMETERS": 2_542_856},
    "mobilenet_v3_large": {"PARAMETERS": 5_483_032},
}


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    stem: Stem = "auto",
    dropout: Fraction = 0.2,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K)."""
    return torchvision_network(variant, channels, classes, small=is_small(stem, weights, space), dropout=dropout)

"""SqueezeNet: 1×1 convolutions squeeze the channels before 3×3 ones; AlexNet's accuracy with a fiftieth of its weights."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 4  # pixels with the small stem
PAPER = "https://arxiv.org/abs/1602.07360"
WEIGHTS = "torchvision"
VARIANTS = {
    "squeezenet1_0": {"PARAMETERS": 1_248_424, "MINIMUM_SIDE_LARGE": 21},
    "squeezenet1_1": {"PARAMETERS": 1_235_496, "MINIMUM_SIDE_LARGE": 17},
}


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    stem: Stem = "auto",
    dropout: Fraction = 0.5,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K) whose head is a 1×1 convolution averaged over the picture."""
    small = is_small(stem, weights, space)
    network = torchvision_network(variant, channels, classes, small=small, dropout=dropout)
    return without(network, ["features.2"] if small else [])

"""DenseNet: every layer of a block sees the outputs of all layers before it."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 8  # pixels with the small stem: three poolings by two
MINIMUM_SIDE_LARGE = 29
PAPER = "https://arxiv.org/abs/1608.06993"
WEIGHTS = "torchvision"
VARIANTS = {
    "densenet121": {"PARAMETERS": 7_978_856},
    "densenet161": {"PARAMETERS": 28_681_000},
    "densenet169": {"PARAMETERS": 14_149_480},
    "densenet201": {"PARAMETERS": 20_013_928},
}


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    stem: Stem = "auto",
    dropout: Fraction = 0.0,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); dropout is within the blocks, as in the paper without augmentation (0.2)."""
    small = is_small(stem, weights, space)
    network = torchvision_network(variant, channels, classes, small=small, drop_rate=dropout)
    return without(network, ["features.pool0"] if small else [])

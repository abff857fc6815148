"""ShuffleNet v2: half of the channels pass by, the others are filtered, then both are shuffled; made to be fast."""

from torch import nn

from konv.core.options import Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel
PAPER = "https://arxiv.org/abs/1807.11164"
WEIGHTS = "torchvision"
VARIANTS = {
    "shufflenet_v2_x0_5": {"PARAMETERS": 1_366_792},
    "shufflenet_v2_x1_0": {"PARAMETERS": 2_278_604},
    "shufflenet_v2_x1_5": {"PARAMETERS": 3_503_624},
    "shufflenet_v2_x2_0": {"PARAMETERS": 7_393_996},
}


def build(
    channels: int, space: tuple[int, ...], classes: int, *, variant: str, weights: str = "none", stem: Stem = "auto"
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K)."""
    small = is_small(stem, weights, space)
    return without(torchvision_network(variant, channels, classes, small=small), ["maxpool"] if small else [])

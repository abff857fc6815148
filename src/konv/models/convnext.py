"""ConvNeXt: a residual network modernised with 7×7 depthwise kernels, layer normalisation and few activations."""

from torch import nn

from konv.core.options import Stem
from konv.models._torchvision import is_small, torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 8  # pixels with the small stem: three halvings
MINIMUM_SIDE_LARGE = 32
PAPER = "https://arxiv.org/abs/2201.03545"
WEIGHTS = "torchvision"
VARIANTS = {
    "convnext_tiny": {"PARAMETERS": 28_589_128},
    "convnext_small": {"PARAMETERS": 50_223_688},
    "convnext_base": {"PARAMETERS": 88_591_464},
    "convnext_large": {"PARAMETERS": 197_767_336},
}


def build(
    channels: int, space: tuple[int, ...], classes: int, *, variant: str, weights: str = "none", stem: Stem = "auto"
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); the published stem cuts the picture into patches of 4×4."""
    return torchvision_network(variant, channels, classes, small=is_small(stem, weights, space))

"""ResNet, and its wider kin ResNeXt (grouped 3×3) and Wide ResNet: blocks that add what they find to what they got."""

from torch import nn

from konv.core.options import Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel: every layer pads, and the head averages what is left
PAPER = "https://arxiv.org/abs/1512.03385"
WEIGHTS = "torchvision"
VARIANTS = {
    "resnet18": {"PARAMETERS": 11_689_512},
    "resnet34": {"PARAMETERS": 21_797_672},
    "resnet50": {"PARAMETERS": 25_557_032},
    "resnet101": {"PARAMETERS": 44_549_160},
    "resnet152": {"PARAMETERS": 60_192_808},
    "resnext50_32x4d": {"PARAMETERS": 25_028_904, "PAPER": "https://arxiv.org/abs/1611.05431"},
    "resnext101_32x8d": {"PARAMETERS": 88_791_336, "PAPER": "https://arxiv.org/abs/1611.05431"},
    "resnext101_64x4d": {"PARAMETERS": 83_455_272, "PAPER": "https://arxiv.org/abs/1611.05431"},
    "wide_resnet50_2": {"PARAMETERS": 68_883_240, "PAPER": "https://arxiv.org/abs/1605.07146"},
    "wide_resnet101_2": {"PARAMETERS": 126_886_696, "PAPER": "https://arxiv.org/abs/1605.07146"},
}


def build(
    channels: int, space: tuple[int, ...], classes: int, *, variant: str, weights: str = "none", stem: Stem = "auto"
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); the small stem is that of the paper's networks for 32 pixels."""
    small = is_small(stem, weights, space)
    return without(torchvision_network(variant, channels, classes, small=small), ["maxpool"] if small else [])

"""RegNet: residual networks whose widths follow one line, found by search over design spaces; Y adds squeeze-excitation."""

from torch import nn

from konv.core.options import Stem
from konv.models._torchvision import is_small, torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel
PAPER = "https://arxiv.org/abs/2003.13678"
WEIGHTS = "torchvision"
VARIANTS = {
    "regnet_y_400mf": {"PARAMETERS": 4_344_144},
    "regnet_y_800mf": {"PARAMETERS": 6_432_512},
    "regnet_y_1_6gf": {"PARAMETERS": 11_202_430},
    "regnet_y_3_2gf": {"PARAMETERS": 19_436_338},
    "regnet_y_8gf": {"PARAMETERS": 39_381_472},
    "regnet_y_16gf": {"PARAMETERS": 83_590_140},
    "regnet_y_32gf": {"PARAMETERS": 145_046_770},
    "regnet_y_128gf": {"PARAMETERS": 644_812_894},
    "regnet_x_400mf": {"PARAMETERS": 5_495_976},
    "regnet_x_800mf": {"PARAMETERS": 7_259_656},
    "regnet_x_1_6gf": {"PARAMETERS": 9_190_136},
    "regnet_x_3_2gf": {"PARAMETERS": 15_296_552},
    "regnet_x_8gf": {"PARAMETERS": 39_572_648},
    "regnet_x_16gf": {"PARAMETERS": 54_278_536},
    "regnet_x_32gf": {"PARAMETERS": 107_811_560},
}


def build(
    channels: int, space: tuple[int, ...], classes: int, *, variant: str, weights: str = "none", stem: Stem = "auto"
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K)."""
    return torchvision_network(variant, channels, classes, small=is_small(stem, weights, space))

"""MNASNet: a mobile network found by search under a measured time on a telephone."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel
PAPER = "https://arxiv.org/abs/1807.11626"
WEIGHTS = "torchvision"
VARIANTS = {
    "mnasnet0_5": {"PARAMETERS": 2_218_512},
    "mnasnet0_75": {"PARAMETERS": 3_170_208},
    "mnasnet1_0": {"PARAMETERS": 4_383_312},
    "mnasnet1_3": {"PARAMETERS": 6_282_256},
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

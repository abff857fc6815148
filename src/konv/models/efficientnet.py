"""EfficientNet b0 to b7 and v2: depth, width and picture size grown together; each has a size of its own, 224 to 600."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network

DIMENSIONS = (2,)
MINIMUM_SIDE = 1  # pixel
PAPER = "https://arxiv.org/abs/1905.11946"
WEIGHTS = "torchvision"
VARIANTS = {
    "efficientnet_b0": {"PARAMETERS": 5_288_548},
    "efficientnet_b1": {"PARAMETERS": 7_794_184, "SETTING": (3, (240, 240), 1000)},
    "efficientnet_b2": {"PARAMETERS": 9_109_994, "SETTING": (3, (288, 288), 1000)},
    "efficientnet_b3": {"PARAMETERS": 12_233_232, "SETTING": (3, (300, 300), 1000)},
    "efficientnet_b4": {"PARAMETERS": 19_341_616, "SETTING": (3, (380, 380), 1000)},
    "efficientnet_b5": {"PARAMETERS": 30_389_784, "SETTING": (3, (456, 456), 1000)},
    "efficientnet_b6": {"PARAMETERS": 43_040_704, "SETTING": (3, (528, 528), 1000)},
    "efficientnet_b7": {"PARAMETERS": 66_347_960, "SETTING": (3, (600, 600), 1000)},
    "efficientnet_v2_s": {
        "PARAMETERS": 21_458_488,
        "SETTING": (3, (384, 384), 1000),
        "PAPER": "https://arxiv.org/abs/2104.00298",
    },
    "efficientnet_v2_m": {
        "PARAMETERS": 54_139_356,
        "SETTING": (3, (480, 480), 1000),
        "PAPER": "https://arxiv.org/abs/2104.00298",
    },
    "efficientnet_v2_l": {
        "PARAMETERS": 118_515_272,
        "SETTING": (3, (480, 480), 1000),
        "PAPER": "https://arxiv.org/abs/2104.00298",
    },
}


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    variant: str,
    weights: str = "none",
    stem: Stem = "auto",
    dropout: Fraction | None = None,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K); dropout left out is the published one, 0.2 for b0 to 0.5 for b7."""
    given = {} if dropout is None else {"dropout": dropout}
    return torchvision_network(variant, channels, classes, small=is_small(stem, weights, space), **given)

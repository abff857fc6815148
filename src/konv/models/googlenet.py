"""GoogLeNet (Inception v1): blocks of four parallel paths; `auxiliary` adds the two side heads of the paper."""

from torch import nn

from konv.core.options import Fraction, Stem
from konv.models._torchvision import is_small, torchvision_network, without

DIMENSIONS = (2,)
MINIMUM_SIDE = 4  # pixels with the small stem
MINIMUM_SIDE_LARGE = 15
PARAMETERS = 6_624_904  # without the side heads, as torchvision publishes it; 13,004,888 with them
PAPER = "https://arxiv.org/abs/1409.4842"
WEIGHTS = "torchvision"
MEAN = (0.5, 0.5, 0.5)  # the published weights come from TensorFlow, which took pictures from −1 to 1
STD = (0.5, 0.5, 0.5)


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    weights: str = "none",
    stem: Stem = "auto",
    auxiliary: bool = False,
    dropout: Fraction = 0.2,
) -> nn.Module:
    """Returns a network (N, C, H, W) → (N, K), in training with the scores of the side heads as `aux_…` beside them."""
    small = is_small(stem, weights, space)
    network = torchvision_network(
        "googlenet", channels, classes, small=small, aux_logits=auxiliary, dropout=dropout, init_weights=True
    )
    return without(network, ["maxpool1"] if small else [])

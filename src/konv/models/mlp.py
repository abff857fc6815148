"""Fully connected network: flat pixels through hidden layers with dropout, no notion of neighbourhood."""

from itertools import pairwise
from math import prod

from torch import nn

from konv.core.options import Activation, Fraction, Positive
from konv.models._layers import activation as make_activation

MINIMUM_SIDE = 1  # pixels
PARAMETERS = 235_146
SETTING = (1, (28, 28), 10)


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    hidden: tuple[Positive, ...] = (256, 128),
    dropout: Fraction = 0.2,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K); 784-256-128-10 for 28×28 grey pictures and ten classes."""
    widths = [channels * prod(space), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), make_activation(activation), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))

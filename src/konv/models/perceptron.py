"""Perceptron: one linear layer from pixels to scores (softmax regression); what no straight line parts, it cannot learn."""

from math import prod

from torch import nn

MINIMUM_SIDE = 1  # pixel
PARAMETERS = 7_850
SETTING = (1, (28, 28), 10)
PAPER = "https://doi.org/10.1037/h0042519"


def build(channels: int, space: tuple[int, ...], classes: int) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K) with C · prod(space) · K weights and K biases."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * prod(space), classes))

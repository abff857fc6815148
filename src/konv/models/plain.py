"""The fast default: conv-pool-norm-activation blocks that grow wider, then a small dense head."""

from collections import OrderedDict
from math import prod

from torch import nn

from konv.core.options import Activation, Fraction, Positive
from konv.models._layers import FlatBatchNorm, Flatten, batch_norm, convolution, max_pool
from konv.models._layers import activation as make_activation

MINIMUM_SIDE = 4  # pixels: two poolings by two
PARAMETERS = 207_098
SETTING = (1, (28, 28), 10)
SIDE_AT_HEAD = 8  # pixels: blocks are added until no side is longer, or one cannot be halved any more


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    width: Positive = 16,
    growth: Positive = 2,
    head: Positive = 128,
    dropout: Fraction = 0.0,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K): 16-32-128 for 28×28 pictures, one more block each time the side doubles.

    Each block is `growth` times as wide as the one before. Pooling stands before normalisation and activation, which then
    have a quarter of the work and the same result: a maximum commutes with anything that only rises.
    """
    dimensions = len(space)
    layers: list[tuple[str, nn.Module]] = []
    while len(layers) < 8 or (max(space) > SIDE_AT_HEAD and min(space) > 1):
        number = len(layers) // 4 + 1
        outputs = width * growth ** (number - 1)
        layers += [
            (f"conv{number}", convolution(dimensions, channels, outputs, 3, padding=1, bias=False)),
            (f"pool{number}", max_pool(dimensions, 2)),
            (f"norm{number}", batch_norm(dimensions, outputs)),
            (f"act{number}", make_activation(activation)),
        ]
        channels, space = outputs, tuple(side // 2 for side in space)
    layers += [
        ("flatten", Flatten()),
        ("fc1", nn.Linear(channels * prod(space), head, bias=False)),
        ("norm", FlatBatchNorm(head)),
        ("act", make_activation(activation)),
        ("dropout", nn.Dropout(dropout)),
        ("fc2", nn.Linear(head, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))

"""The CIFAR-10 course network: conv-BN-ReLU-pool blocks of 16 and 32 channels with dropout, then 128-classes."""

from collections import OrderedDict
from math import prod

from torch import nn

from konv.core.options import Activation, Fraction
from konv.models._layers import Flatten, batch_norm, convolution, max_pool
from konv.models._layers import activation as make_activation

MINIMUM_SIDE = 4  # pixels: two poolings by two
PARAMETERS = 268_746
SETTING = (3, (32, 32), 10)


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    dropout: Fraction = 0.25,
    head_dropout: Fraction = 0.5,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K); 2,048 flat features for 32×32 pictures: 32 · 8 · 8."""
    dimensions = len(space)
    layers: list[tuple[str, nn.Module]] = []
    for number, (inputs, outputs) in enumerate([(channels, 16), (16, 32)], start=1):
        layers += [
            (f"conv{number}", convolution(dimensions, inputs, outputs, 3, padding=1)),
            (f"norm{number}", batch_norm(dimensions, outputs)),
            (f"act{number}", make_activation(activation)),
            (f"pool{number}", max_pool(dimensions, 2)),
            (f"dropout{number}", nn.Dropout(dropout)),
        ]
    layers += [
        ("flatten", Flatten()),
        ("fc1", nn.Linear(32 * prod(side // 2 // 2 for side in space), 128)),
        ("act3", make_activation(activation)),
        ("dropout3", nn.Dropout(head_dropout)),
        ("fc2", nn.Linear(128, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))

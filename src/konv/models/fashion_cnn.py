"""The Fashion-MNIST course network: two conv-BN-ReLU-pool blocks of 32 and 64 channels, then 600-120-classes."""

from collections import OrderedDict
from math import prod

from torch import nn

from konv.core.options import Activation, Fraction
from konv.models._layers import Flatten, batch_norm, convolution, max_pool
from konv.models._layers import activation as make_activation
from konv.models._sequence import Sequence

MINIMUM_SIDE = 8  # pixels: the second block needs four of the first block's output
PARAMETERS = 1_475_338
SETTING = (1, (28, 28), 10)


def build(
    channels: int, space: tuple[int, ...], classes: int, *, dropout: Fraction = 0.25, activation: Activation = "relu"
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K); 2,304 flat features for 28×28 pictures: 64 · 6 · 6."""
    dimensions = len(space)
    after = [(side // 2 - 2) // 2 for side in space]  # pad 1, pool 2, no pad, pool 2
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", convolution(dimensions, channels, 32, 3, padding=1)),
        ("norm1", batch_norm(dimensions, 32)),
        ("act1", make_activation(activation)),
        ("pool1", max_pool(dimensions, 2)),
        ("conv2", convolution(dimensions, 32, 64, 3)),
        ("norm2", batch_norm(dimensions, 64)),
        ("act2", make_activation(activation)),
        ("pool2", max_pool(dimensions, 2)),
        ("flatten", Flatten()),
        ("fc1", nn.Linear(64 * prod(after), 600)),
        ("act3", make_activation(activation)),
        ("dropout", nn.Dropout(dropout)),
        ("fc2", nn.Linear(600, 120)),
        ("act4", make_activation(activation)),
        ("fc3", nn.Linear(120, classes)),
    ]
    return Sequence(OrderedDict(layers))

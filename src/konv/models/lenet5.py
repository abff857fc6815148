"""LeNet-5 in the layout of 1998: 6 and 16 kernels of 5×5, each averaged by two, then 120-84-classes with tanh."""

from collections import OrderedDict
from math import prod

from torch import nn

from konv.core.options import Activation
from konv.models._layers import Flatten, average_pool, convolution
from konv.models._layers import activation as make_activation

MINIMUM_SIDE = 12  # pixels: 12 → 6 → 2 → 1
SIDE_OF_PAPER = 32  # pixels: smaller pictures are padded by two, as the paper pads its 28×28 digits
PARAMETERS = 61_706
SETTING = (1, (32, 32), 10)
PAPER = "https://doi.org/10.1109/5.726791"


def build(channels: int, space: tuple[int, ...], classes: int, *, activation: Activation = "tanh") -> nn.Module:
    """Returns a network (N, C, *space) → (N, K); 400 flat features for digits of 28×28 or 32×32: 16 · 5 · 5.

    It differs from the paper, which has 60,000 weights, in four places. There each pooling has a trained gain and bias, the 16
    kernels see only some of the 6 maps (1,516 weights, not 2,416), tanh is stretched to 1.7159 · tanh(2x/3), and the last
    layer measures the distance to drawn digits where softmax regression stands here.
    """
    dimensions, padding = len(space), 2 if min(space) < SIDE_OF_PAPER else 0
    after = [((side + 2 * padding - 4) // 2 - 4) // 2 for side in space]
    layers: list[tuple[str, nn.Module]] = [
        ("c1", convolution(dimensions, channels, 6, 5, padding=padding)),
        ("act1", make_activation(activation)),
        ("s2", average_pool(dimensions, 2)),
        ("c3", convolution(dimensions, 6, 16, 5)),
        ("act3", make_activation(activation)),
        ("s4", average_pool(dimensions, 2)),
        ("flatten", Flatten()),
        ("c5", nn.Linear(16 * prod(after), 120)),
        ("act5", make_activation(activation)),
        ("f6", nn.Linear(120, 84)),
        ("act6", make_activation(activation)),
        ("output", nn.Linear(84, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))

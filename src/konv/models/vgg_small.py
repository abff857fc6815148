"""VGG for pictures of 32 pixels: thirteen 3×3 convolutions with batch normalisation and dropout, then 512-512-classes."""

from collections import OrderedDict

from torch import nn

from konv.core.options import Activation, Fraction, Positive
from konv.models._layers import FlatBatchNorm, Flatten, batch_norm, convolution, global_average_pool, max_pool
from konv.models._layers import activation as make_activation

MINIMUM_SIDE = 1  # pixel: a pooling takes what is left, so 28 pixels end at 1×1 as 32 do
PARAMETERS = 14_987_210
SETTING = (3, (32, 32), 10)
PAPER = "https://doi.org/10.1109/ACPR.2015.7486599"
STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels of each convolution, in widths


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    width: Positive = 64,
    dropout: Fraction = 0.4,
    head_dropout: Fraction = 0.5,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K); dropout stands between the convolutions of a stage.

    Larger pictures leave a larger map after the five poolings; its average enters the head, which is 512 wide for any size.
    """
    dimensions = len(space)
    layers: list[tuple[str, nn.Module]] = []
    for stage, widths in enumerate(STAGES, start=1):
        for place, factor in enumerate(widths, start=1):
            name, outputs = f"{stage}_{place}", factor * width
            layers += [
                (f"conv{name}", convolution(dimensions, channels, outputs, 3, padding=1, bias=False)),
                (f"norm{name}", batch_norm(dimensions, outputs)),
                (f"act{name}", make_activation(activation)),
            ]
            if place < len(widths):
                layers.append((f"dropout{name}", nn.Dropout(dropout)))
            channels = outputs
        layers.append((f"pool{stage}", max_pool(dimensions, 2, ceil_mode=True)))
    layers += [
        ("average", global_average_pool(dimensions)),
        ("flatten", Flatten()),
        ("dropout", nn.Dropout(head_dropout)),
        ("fc1", nn.Linear(channels, channels, bias=False)),
        ("norm", FlatBatchNorm(channels)),
        ("act", make_activation(activation)),
        ("dropout_fc", nn.Dropout(head_dropout)),
        ("fc2", nn.Linear(channels, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))

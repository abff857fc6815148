"""Depthwise-separable blocks as in MobileNet, in any dimension, with dilated kernels or 1×1 bottlenecks on request."""

from collections import OrderedDict
from typing import Literal

from torch import nn

from konv.core.options import Activation, Fraction, Positive
from konv.models._layers import activation as make_activation
from konv.models._layers import batch_norm, convolution, global_average_pool

MINIMUM_SIDE = 1  # pixel: every kernel pads
PARAMETERS = 141_706
SETTING = (3, (32, 32), 10)
PAPER = "https://arxiv.org/abs/1704.04861"


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    width: Positive = 32,
    stages: Positive = 3,
    blocks: Positive = 2,
    kernel: Literal[3, 5, 7] = 3,
    dilation: Positive = 1,
    depthwise: bool = True,
    bottleneck: Positive = 1,
    dropout: Fraction = 0.0,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K): a stem, `stages` of `blocks` that halve the size and double the width, an
    average.

    A block is a kernel that keeps the channels apart (with `depthwise`, else mixes them) and a 1×1 one that mixes them. With
    `bottleneck` b a 1×1 convolution first cuts the channels to one b-th. `dilation` spreads the kernel where the size is kept.
    """
    dimensions = len(space)
    layers: list[tuple[str, nn.Module]] = [("stem", _unit(dimensions, channels, width, 3, activation))]
    for stage in range(stages):
        outputs = width * 2 ** (stage + 1)
        for block in range(blocks):
            inputs, halved = (outputs // 2, True) if block == 0 else (outputs, False)
            layers.append(
                (
                    f"stage{stage + 1}_{block + 1}",
                    _block(dimensions, inputs, outputs, kernel, activation, dilation, depthwise, bottleneck, halved),
                )
            )
    layers += [
        ("average", global_average_pool(dimensions)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(dropout)),
        ("fc", nn.Linear(width * 2**stages, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))


def _block(
    dimensions: int,
    inputs: int,
    outputs: int,
    kernel: int,
    activation: Activation,
    dilation: int,
    depthwise: bool,
    bottleneck: int,
    halved: bool,
) -> nn.Module:
    middle = max(1, inputs // bottleneck)
    spread = 1 if halved else dilation  # a spread kernel with stride 2 would leave out pixels
    parts = OrderedDict[str, nn.Module]()
    if bottleneck > 1:
        parts["squeeze"] = _unit(dimensions, inputs, middle, 1, activation)
    parts["space"] = _unit(
        dimensions,
        middle,
        middle,
        kernel,
        activation,
        stride=2 if halved else 1,
        dilation=spread,
        groups=middle if depthwise else 1,
    )
    parts["mix"] = _unit(dimensions, middle, outputs, 1, activation)
    return nn.Sequential(parts)


def _unit(
    dimensions: int,
    inputs: int,
    outputs: int,
    kernel: int,
    activation: Activation,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Module:
    """Convolution, batch normalisation, activation; padded so that stride 1 keeps the size."""
    return nn.Sequential(
        convolution(
            dimensions,
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        batch_norm(dimensions, outputs),
        make_activation(activation),
    )

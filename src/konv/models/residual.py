"""A residual network for small pictures: three widths, shortcuts at the last two, and the maximum over all places as head."""

from collections import OrderedDict

from torch import Tensor, nn

from konv.core.options import Activation, Fraction, Positive
from konv.models._layers import activation as make_activation
from konv.models._layers import batch_norm, convolution, global_max_pool, max_pool

MINIMUM_SIDE = 4  # pixels: two poolings by two
PARAMETERS = 463_594
SETTING = (1, (28, 28), 10)
SIDE_AT_HEAD = 8  # pixels: stages are added until no side is longer, or one cannot be halved any more


class Residual(nn.Sequential):
    """Layers whose result is added to their input: (N, C, *space) → the same (arxiv.org/abs/1512.03385)."""

    def forward(self, features: Tensor) -> Tensor:
        changed = features
        for layer in self:
            changed = layer(changed)
        return features + changed


def build(
    channels: int,
    space: tuple[int, ...],
    classes: int,
    *,
    width: Positive = 32,
    blocks: Positive = 1,
    dropout: Fraction = 0.0,
    activation: Activation = "relu",
) -> nn.Module:
    """Returns a network (N, C, *space) → (N, K): 32-64-128 for 28×28 pictures, one more stage each time the side doubles.

    Every stage after the first doubles the width and ends with `blocks` shortcuts over two convolutions each; all but the
    second pool. Pooling stands before normalisation, which then has a quarter of the work.
    """
    dimensions = len(space)

    def layers(name: str, inputs: int, outputs: int, *, pool: bool) -> list[tuple[str, nn.Module]]:
        return [
            (f"conv{name}", convolution(dimensions, inputs, outputs, 3, padding=1, bias=False)),
            *([(f"pool{name}", max_pool(dimensions, 2))] if pool else []),
            (f"norm{name}", batch_norm(dimensions, outputs)),
            (f"act{name}", make_activation(activation)),
        ]

    def shortcut(width: int) -> nn.Module:
        return Residual(OrderedDict(layers("1", width, width, pool=False) + layers("2", width, width, pool=False)))

    body = layers("1", channels, width, pool=True)
    space, stage = tuple(side // 2 for side in space), 2
    while stage < 4 or (max(space) > SIDE_AT_HEAD and min(space) > 1):
        pool = stage > 2
        body += layers(str(stage), width, 2 * width, pool=pool)
        width, space = 2 * width, tuple(side // 2 for side in space) if pool else space
        body += [(f"residual{stage}_{number}", shortcut(width)) for number in range(1, blocks + 1)]
        stage += 1
    body += [
        ("pool", global_max_pool(dimensions)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(dropout)),
        ("fc", nn.Linear(width, classes)),
    ]
    return nn.Sequential(OrderedDict(body))

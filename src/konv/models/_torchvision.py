"""torchvision's networks made to fit: any channel count, any class count, and a stem for small pictures."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model

from konv.core.options import Stem

SMALL_SIDE = 64  # pixels: up to here the automatic stem keeps the size, where the published one divides it by two or four


def torchvision_network(variant: str, channels: int, classes: int, *, small: bool = False, **options: Any) -> nn.Module:
    """Returns torchvision's network of that name with the first layer for `channels` and the last for `classes`.

    With `small` its first convolution becomes 3×3 with stride 1; with it goes, by `without`, a pooling that follows.
    """
    network: nn.Module = get_model(variant, weights=None, num_classes=classes, **options)
    fit_first_layer(network, channels, small=small)
    return network


def is_small(stem: Stem, weights: str, space: tuple[int, ...]) -> bool:
    """True where the network begins with a 3×3 kernel and no pooling; published weights come with the published stem."""
    return stem == "small" or (stem == "auto" and weights == "none" and max(space) <= SMALL_SIDE)


def without(network: nn.Module, layers: Iterable[str]) -> nn.Module:
    """Returns the network with the named layers passing on what they get."""
    for name in layers:
        network.set_submodule(name, nn.Identity())
    return network


def first_layer(network: nn.Module) -> tuple[str, nn.Conv2d]:
    """Returns name and layer of the convolution that sees the picture: the first that was made."""
    return next((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))


def fit_first_layer(network: nn.Module, channels: int, *, small: bool) -> None:
    """Replaces the first convolution where channels or stem ask for it.

    The new kernels are normal with the spread of the old ones times √(old inputs / new inputs of a kernel), which keeps
    the size of the response to channels that are independent of each other.
    """
    name, old = first_layer(network)
    kernel, stride, padding = (3, 1, 1) if small else (old.kernel_size, old.stride, old.padding)
    new = nn.Conv2d(channels, old.out_channels, kernel, stride, padding, bias=old.bias is not None)  # type: ignore[arg-type]
    if (new.weight.shape, new.stride, new.padding) == (old.weight.shape, old.stride, old.padding):
        return
    ratio = old.weight[0].numel() / new.weight[0].numel()
    with torch.no_grad():
        new.weight.normal_().mul_(old.weight.std() * ratio**0.5)
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    network.set_submodule(name, new)

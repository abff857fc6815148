"""Network architectures, one file each: `build(channels, space, classes, *, options) → nn.Module`."""

from typing import Any

import torch
from torch import nn

from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.core.shelves import MODELS
from konv.models._check import check, logits_of, sized
from konv.models._own import build_from_source, digest, read_source

__all__ = ["build", "build_from_source", "check", "digest", "is_own", "logits_of", "read_source", "sized"]


def is_own(model: Choice) -> bool:
    """True for a person's own network: `my_net.py:Net`."""
    return ":" in model.name


def build(model: Choice, channels: int, space: tuple[int, ...], classes: int) -> nn.Module:
    """Returns the untrained network (N, C, *space) → (N, K); raises BadModel where the input does not fit it, and
    BadRecipe for an option the model does not have.

    Kernels for pictures lie with the channels last in memory, which is up to four times as fast on a processor. A person's
    own network stays as it was made: `x.view(len(x), -1)` in its forward would fail on features of that layout.
    """
    if is_own(model):
        path, wanted, source = read_source(model.name)
        offer = {"channels": channels, "space": space, "classes": classes}
        return sized(build_from_source(source, wanted, str(path), offer, model.options), (channels, *space))
    minimum = MODELS.entry(model.name).constants.get("MINIMUM_SIDE", 1)
    if min(space) < minimum:
        size = "×".join(map(str, space))
        raise BadModel(f"{model.name} needs inputs of at least {minimum} per side; these are {size}. Take larger ones, or mlp.")
    options = MODELS.check_options(model.name, model.options, "model")
    try:
        network: Any = MODELS.take(model.name).build(channels, space, classes, **options)
    except (RuntimeError, MemoryError) as error:  # options that ask for more memory than there is
        asked = ", ".join(f"{name} = {value}" for name, value in options.items())
        raise BadModel(
            f"{model.name} cannot be built with {asked}: {str(error).splitlines()[0]}; take smaller values."
        ) from error
    if not isinstance(network, nn.Module):
        raise BadModel(f"{model.name} gave a {type(network).__name__} instead of a network.")
    return network.to(memory_format=torch.channels_last) if len(space) == 2 else network

"""Network architectures, one file each: `build(channels, space, classes, *, options) → nn.Module`."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.core.shelf import Entry
from konv.core.shelves import MODELS, is_own_network
from konv.core.view import View
from konv.models._ends import auxiliary_of, logits_of, sized
from konv.models._own import build_from_source, digest, read_source
from konv.models._view import published_view
from konv.models._weights import names_file, pour

__all__ = [
    "auxiliary_of",
    "build",
    "build_from_source",
    "digest",
    "is_own",
    "logits_of",
    "minimum_side",
    "read_source",
    "sized",
    "view_of",
    "weights_file",
]


def is_own(model: Choice) -> bool:
    """True for a person's own network: `my_net.py:Net`."""
    return is_own_network(model.name)


def build(model: Choice, channels: int, space: tuple[int, ...], classes: int, *, pretrained: bool = True) -> nn.Module:
    """Returns the network (N, C, *space) → (N, K), untrained or with the option `weights` poured in; raises BadModel where the
    input does not fit it or the weights do not, and BadRecipe for an option the model does not have.

    Kernels for pictures lie with the channels last in memory, which is up to four times as fast on a processor. A person's
    own network stays as it was made: `x.view(len(x), -1)` in its forward would fail on features of that layout. Whoever has
    all weights at hand says `pretrained=False`: then none are looked for.
    """
    if is_own(model):
        path, wanted, source = read_source(model.name)
        offer = {"channels": channels, "space": space, "classes": classes}
        return sized(build_from_source(source, wanted, str(path), offer, model.options), (channels, *space))
    entry = MODELS.entry(model.name)
    options = MODELS.check_options(model.name, model.options, "model")
    _require_space(entry, space, options)
    network = _built(entry, channels, space, classes, options)
    weights = options.get("weights", "none")
    if pretrained and weights != "none":
        pour(network, entry, weights, space, classes)
    return network.to(memory_format=torch.channels_last) if len(space) == 2 else network


def minimum_side(model: Choice) -> int:
    """Returns the smallest side, in pixels, that the model takes with these options: a large stem needs more."""
    constants = MODELS.entry(model.name).constants
    large = model.options.get("stem") == "large" or model.options.get("weights", "none") != "none"
    side: int = constants.get("MINIMUM_SIDE", 1)
    return int(constants.get("MINIMUM_SIDE_LARGE", side)) if large and model.options.get("stem") != "small" else side


def weights_file(model: Choice) -> Path | None:
    """Returns the whole path of the file that the option `weights` names, whether it is there or not; None for a name."""
    weights = "none" if is_own(model) else str(model.options.get("weights", "none"))
    return Path(weights).expanduser().absolute() if names_file(weights) else None


def view_of(model: Choice, channels: int = 3) -> View | None:
    """Returns the View that the model's weights were trained with, for that many channels; None where it is not known."""
    if is_own(model):
        return None
    return published_view(MODELS.entry(model.name), model.options.get("weights", "none"), channels)


def _require_space(entry: Entry, space: tuple[int, ...], options: dict[str, Any]) -> None:
    dimensions = entry.constants.get("DIMENSIONS", (1, 2, 3))
    if len(space) not in dimensions:
        raise BadModel(
            f"{entry.name} takes pictures (N, C, H, W); these inputs have {len(space)} "
            f"dimension{'s' if len(space) > 1 else ''}. Take plain, residual, separable or mlp."
        )
    minimum = minimum_side(Choice(name=entry.name, **options))
    if min(space) < minimum:
        size = "×".join(map(str, space))
        raise BadModel(f"{entry.name} needs inputs of at least {minimum} per side; these are {size}. Take larger ones, or mlp.")


def _built(entry: Entry, channels: int, space: tuple[int, ...], classes: int, options: dict[str, Any]) -> nn.Module:
    try:
        network: Any = MODELS.take(entry.name).build(channels, space, classes, **entry.fixed, **options)
    except (RuntimeError, MemoryError) as error:  # options that ask for more memory than there is
        asked = ", ".join(f"{name} = {value}" for name, value in options.items())
        raise BadModel(
            f"{entry.name} cannot be built with {asked}: {str(error).splitlines()[0]}; take smaller values."
        ) from error
    if not isinstance(network, nn.Module):
        raise BadModel(f"{entry.name} gave a {type(network).__name__} instead of a network.")
    return network

"""The View that published weights were trained with."""

from collections.abc import Sequence
from typing import Any

from konv.core.shelf import Entry
from konv.core.view import View
from konv.models._weights import published


def published_view(entry: Entry, weights: str, channels: int) -> View | None:
    """Returns size, resize rule, interpolation, mean and std of torchvision's or timm's weights; None for others and for none.

    For fewer channels than the weights know, every channel gets the mean of theirs; for more, they are repeated in order.
    """
    if weights == "none":
        return None
    if entry.constants.get("WEIGHTS") == "timm":
        return _of_timm(entry, channels) if weights.upper() == "DEFAULT" else None
    found: Any = published(entry, weights)
    if found is None:
        return None
    preset = found.transforms()
    mean, std = entry.constants.get("MEAN", preset.mean), entry.constants.get("STD", preset.std)
    side, centre = preset.crop_size[0], preset.crop_size[0] / preset.resize_size[0]
    return _view((side, side), channels, mean, std, centre, preset.interpolation.value)


def _of_timm(entry: Entry, channels: int) -> View:
    from konv.models.timm import facts_of

    facts = facts_of(entry.fixed["variant"])
    bilinear = facts.interpolation == "bilinear"  # its others, such as random, are tried with bicubic
    interpolation = "bilinear" if bilinear else "bicubic"
    return _view(tuple(facts.input_size[1:]), channels, facts.mean, facts.std, facts.crop_pct, interpolation)


def _view(
    space: tuple[int, ...], channels: int, mean: Sequence[float], std: Sequence[float], centre: float, interpolation: str
) -> View:
    rule = {"centre": centre, "interpolation": interpolation}
    known = {"mean": _for(channels, mean), "std": _for(channels, std)}
    return View.model_validate({"space": space, "channels": channels, **rule, **known})


def _for(channels: int, values: Sequence[float]) -> tuple[float, ...]:
    if channels < len(values):
        return (sum(values) / len(values),) * channels
    return tuple(values[channel % len(values)] for channel in range(channels))

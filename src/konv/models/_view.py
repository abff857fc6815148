"""The View that published weights were trained with."""

from collections.abc import Sequence
from typing import Any

from konv.core.shelf import Entry
from konv.core.view import View
from konv.models._weights import published


def published_view(entry: Entry, weights: str, channels: int) -> View | None:
    """Returns size, resize rule, mean and std of torchvision's or timm's weights; None for others and for none.

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
    mean = entry.constants.get("MEAN", preset.mean)
    std = entry.constants.get("STD", preset.std)
    return _view((preset.crop_size[0],) * 2, channels, mean, std)


def _of_timm(entry: Entry, channels: int) -> View:
    from konv.models.timm import facts_of

    facts = facts_of(entry.fixed["variant"])
    return _view(tuple(facts.input_size[1:]), channels, facts.mean, facts.std)


def _view(space: tuple[int, ...], channels: int, mean: Sequence[float], std: Sequence[float]) -> View:
    return View(space=space, channels=channels, mean=_for(channels, mean), std=_for(channels, std))


def _for(channels: int, values: Sequence[float]) -> tuple[float, ...]:
    if channels < len(values):
        return (sum(values) / len(values),) * channels
    return tuple(values[channel % len(values)] for channel in range(channels))

"""Mirrors a sample with a given probability: left to right, or top to bottom."""

from typing import Literal

import torch
from torch import Tensor

from konv.core.options import Fraction
from konv.training.augmentations._draw import chance


def augment(
    inputs: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    axis: Literal["horizontal", "vertical"] = "horizontal",
    probability: Fraction = 0.5,
) -> tuple[Tensor, Tensor]:
    """Returns the batch with each sample mirrored or not; a signal has its one axis only."""
    dimension = -1 if axis == "horizontal" or inputs.ndim == 3 else -2
    return torch.where(chance(inputs, generator, probability), inputs.flip(dimension), inputs), labels

"""Turns, shifts, scales and shears pictures at random (bilinear; what comes in is zero)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from konv.core.errors import BadRecipe
from konv.core.options import Fraction, NonNegative
from konv.training.augmentations._draw import uniform


def augment(
    inputs: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    degrees: NonNegative = 10.0,
    shift: Fraction = 0.05,
    scale: Fraction = 0.1,
    shear: NonNegative = 0.0,
) -> tuple[Tensor, Tensor]:
    """Returns the batch (N, C, H, W) under one affine map per sample: up to ±degrees, ±shift of a side, 1 ± scale."""
    if inputs.ndim != 4:
        raise BadRecipe("fit.augment affine works on pictures (N, C, H, W); take crop, flip or erase for signals and volumes.")
    turn = _flat(inputs, generator, math.radians(degrees))
    slant = torch.tan(_flat(inputs, generator, math.radians(shear)))
    zoom = 1 + _flat(inputs, generator, scale)
    right, down = _flat(inputs, generator, 2 * shift), _flat(inputs, generator, 2 * shift)  # grid units: a side is 2
    aspect = inputs.shape[3] / inputs.shape[2]  # so that a turned picture keeps its shape
    cos, sin = turn.cos() / zoom, turn.sin() / zoom
    first = torch.stack([cos, (cos * slant - sin) / aspect, right], dim=1)
    second = torch.stack([sin * aspect, sin * slant + cos, down], dim=1)
    grid = F.affine_grid(torch.stack([first, second], dim=1), list(inputs.shape), align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(inputs, grid, mode="bilinear", padding_mode="zeros", align_corners=False), labels


def _flat(inputs: Tensor, generator: torch.Generator, reach: float) -> Tensor:
    return uniform(inputs, generator, -reach, reach).flatten()  # (N,)

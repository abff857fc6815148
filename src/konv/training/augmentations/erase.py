"""Blanks a random box of each sample with a given probability (random erasing, arxiv.org/abs/1708.04896)."""

import torch
from torch import Tensor

from konv.core.options import Fraction
from konv.training.augmentations._draw import chance, positions, uniform


def augment(
    inputs: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    probability: Fraction = 0.5,
    smallest: Fraction = 0.1,
    largest: Fraction = 0.4,
) -> tuple[Tensor, Tensor]:
    """Returns the batch with a box of `smallest`…`largest` of each side set to zero in some samples."""
    box = chance(inputs, generator, probability)
    for axis in range(2, inputs.ndim):
        side = inputs.shape[axis]
        length = uniform(inputs, generator, smallest * side, largest * side).round()
        start = (uniform(inputs, generator) * (side - length + 1)).floor()
        place = positions(inputs, axis)
        box = box & (place >= start) & (place < start + length)
    return inputs.masked_fill(box, 0.0), labels

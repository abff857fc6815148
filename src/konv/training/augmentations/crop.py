"""Shifts a sample by up to `padding` positions along each axis; what comes in is zero."""

import torch
from torch import Tensor

from konv.core.options import Positive
from konv.training.augmentations._draw import positions, uniform


def augment(inputs: Tensor, labels: Tensor, generator: torch.Generator, *, padding: Positive = 2) -> tuple[Tensor, Tensor]:
    """Returns the batch as if each sample had been padded with zeros and a random window of its own size cut out."""
    for axis in range(2, inputs.ndim):
        shift = uniform(inputs, generator, -padding, padding + 1).floor().long()  # each of −padding…padding alike
        source = positions(inputs, axis) + shift  # (N, 1, …, side, …, 1)
        inside = (source >= 0) & (source < inputs.shape[axis])
        taken = source.clamp(0, inputs.shape[axis] - 1).expand_as(inputs)
        inputs = inputs.gather(axis, taken) * inside
    return inputs, labels

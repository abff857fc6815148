"""Numbers drawn per sample, shaped to meet a batch (N, C, *space)."""

import torch
from torch import Tensor


def uniform(inputs: Tensor, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Returns one number per sample in low…high, (N, 1, 1…)."""
    values = torch.rand(len(inputs), generator=generator, device=inputs.device) * (high - low) + low
    return values.view(-1, *(1,) * (inputs.ndim - 1))


def chance(inputs: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    """Returns one True or False per sample, (N, 1, 1…)."""
    return uniform(inputs, generator) < probability


def positions(inputs: Tensor, axis: int) -> Tensor:
    """Returns 0…side−1 along one axis of the batch, broadcastable to it: (1, …, side, …, 1)."""
    shape = [1] * inputs.ndim
    shape[axis] = inputs.shape[axis]
    return torch.arange(inputs.shape[axis], device=inputs.device).view(shape)

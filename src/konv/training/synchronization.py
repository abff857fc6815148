"""Batch normalisation over the batch of all processes, on every kind of device (torch's SyncBatchNorm needs an accelerator)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronized(network: nn.Module) -> nn.Module:
    """Returns the network with each batch normalisation replaced by one that spans all processes; weights are kept."""
    if isinstance(network, _BatchNorm):
        return SynchronizedBatchNorm(network)
    for name, child in network.named_children():
        setattr(network, name, synchronized(child))
    return network


class SynchronizedBatchNorm(nn.Module):
    """Takes the place of a batch normalisation, with the same weights and buffers under the same names.

    In training, mean and variance are those of the inputs (N, C, *space) of all processes, and so are their gradients
    (arxiv.org/abs/1502.03167, over the whole batch); in evaluation it is an ordinary batch normalisation.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias  # None where the normalisation has none, as the buffers below
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def forward(self, features: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        values = features.float()
        axes = [0, *range(2, values.ndim)]
        shape = [1, -1] + [1] * (values.ndim - 2)
        count = _total(torch.tensor(float(values[:, 0].numel()), device=values.device))
        mean = _total(values.sum(dim=axes)) / count
        centred = values - mean.reshape(shape)
        variance = _total((centred**2).sum(dim=axes)) / count
        self._remember(mean, variance * count / (count - 1))
        normalised = centred * torch.rsqrt(variance + self.eps).reshape(shape)
        if self.weight is not None:
            normalised = normalised * self.weight.reshape(shape) + self.bias.reshape(shape)
        result: Tensor = normalised.to(features.dtype)
        return result

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics as nn.BatchNorm2d does, with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Total(torch.autograd.Function):
    """The sum over all processes; as each of them uses it, its gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(None, gradient.contiguous())


def _total(values: Tensor) -> Tensor:
    found: Tensor = _Total.apply(values)
    return found

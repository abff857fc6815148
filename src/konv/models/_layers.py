"""Layers by the number of space dimensions, so that signals, pictures and volumes share one network."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kinds = dict[int, Callable[..., nn.Module]]  # by the number of space dimensions

_CONVOLUTION: Kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_BATCH_NORM: Kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX_POOL: Kinds = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE_POOL: Kinds = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_GLOBAL_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_GLOBAL_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
_ACTIVATION: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def convolution(
    dimensions: int,
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Module:
    return _CONVOLUTION[dimensions](
        inputs, outputs, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias
    )


def batch_norm(dimensions: int, channels: int) -> nn.Module:
    return _BATCH_NORM[dimensions](channels)


class FlatBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of flat features (N, C) that takes a batch of one too: without a spread of its own, such a batch
    is normalised by the running mean and variance, and leaves them as they are.
    """

    def forward(self, features: Tensor) -> Tensor:
        if self.training and len(features) == 1:
            return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(features)


class Flatten(nn.Flatten):
    """nn.Flatten whose gradient comes back with the channels last where the features lay so; other layouts slow the layers
    before it. The numbers are the same.
    """

    def forward(self, features: Tensor) -> Tensor:
        if features.requires_grad and features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last):
            back = torch.channels_last
            features.register_hook(lambda gradient: gradient.contiguous(memory_format=back))  # type: ignore[no-untyped-call]
        return super().forward(features)


def max_pool(dimensions: int, window: int, *, ceil_mode: bool = False) -> nn.Module:
    return _MAX_POOL[dimensions](window, ceil_mode=ceil_mode)


def average_pool(dimensions: int, window: int) -> nn.Module:
    return _AVERAGE_POOL[dimensions](window)


def global_average_pool(dimensions: int) -> nn.Module:
    return _GLOBAL_AVERAGE[dimensions](1)


def global_max_pool(dimensions: int) -> nn.Module:
    return _GLOBAL_MAX[dimensions](1)


def activation(name: str) -> nn.Module:
    return _ACTIVATION[name]()

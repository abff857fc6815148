"""Sequence: an nn.Sequential that trains batch norm, ReLU and max pooling as one step on a processor.

Batch norm only shifts and scales a channel, so the largest value of a window stays the largest (where the scale is negative,
the smallest becomes it). Pooling can therefore stand first: normalisation and ReLU then run on a quarter of the values, and
what the separate layers would keep for the backward pass is never written. Results and gradients are those of the separate
layers up to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn

WINDOW = (2, [2, 2], (2, 2))  # how a 2×2 window may be written
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Sequence(nn.Sequential):
    """Layers in order. Evaluated, hooked, on an accelerator or below float32, every layer runs by itself."""

    def forward(self, values: Tensor) -> Tensor:
        layers = list(self)
        while layers:
            if self.training and _fits(layers[:3], values):
                values = self.fused(values, *layers[:3])
                del layers[:3]
            else:
                values = layers.pop(0)(values)
        return values

    def fused(self, values: Tensor, norm: nn.Module, _activation: nn.Module, _pool: nn.Module) -> Tensor:
        """Returns what the three layers give, as one step; a profile puts its clock here, as hooks would part them."""
        return _normalised_and_pooled(values, norm)


def _fits(layers: list[nn.Module], values: Tensor) -> bool:
    """True for (N, C, H, W) in float32 on a processor before batch norm, ReLU and 2×2 pooling that nobody watches."""
    if [type(layer) for layer in layers] != [nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]:
        return False
    norm, _, pool = layers
    whole = (norm.affine, norm.track_running_stats, norm.training, norm.momentum is not None)
    window = (pool.kernel_size in WINDOW, pool.stride in WINDOW, pool.padding in (0, (0, 0)), pool.dilation in (1, (1, 1)))
    seen = any(getattr(layer, name) for layer in layers for name in HOOKS)
    ready = values.ndim == 4 and values.device.type == "cpu" and values.dtype == torch.float32
    return ready and all(whole) and all(window) and not pool.ceil_mode and not pool.return_indices and not seen


def _normalised_and_pooled(values: Tensor, norm: Any) -> Tensor:
    norm.num_batches_tracked.add_(1)
    running = norm.running_mean, norm.running_var, norm.momentum, norm.eps
    result: Tensor = _NormReluPool.apply(values, norm.weight, norm.bias, *running)
    return result


class _NormReluPool(torch.autograd.Function):
    """(N, C, H, W) → (N, C, ⌊H/2⌋, ⌊W/2⌋): batch norm by the batch's statistics, ReLU, 2×2 max pooling.

    With x̂ = (x − mean) · inverse and g the gradient at the chosen places, the gradient of batch norm over m values is
    dx = weight · inverse · (g − Σg / m − x̂ · Σ(g · x̂) / m) (arxiv.org/abs/1502.03167): g is zero but at one place in four,
    and both sums need only the pooled values.
    """

    @staticmethod
    def forward(
        context: Any, values: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, momentum: float, eps: float
    ) -> Tensor:
        centre, spread = torch.batch_norm_update_stats(values, mean, variance, momentum)  # (C,) each, spread as a variance
        inverse = (spread + eps).rsqrt()
        scale = weight * inverse
        if bool((weight >= 0).all()):
            chosen, places = torch.ops.aten.max_pool2d_with_indices(values, [2, 2])
        else:  # a falling channel takes its smallest value
            sign = _by_channel(torch.where(weight < 0, -1.0, 1.0))
            chosen, places = torch.ops.aten.max_pool2d_with_indices(values * sign, [2, 2])
            chosen = chosen * sign
        shifted = torch.addcmul(_by_channel(bias - centre * scale), chosen, _by_channel(scale))
        result = shifted.clamp_(min=0)
        context.save_for_backward(values, chosen, places, result, centre, inverse, scale)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, chosen, places, result, centre, inverse, scale = context.saved_tensors
        passed = torch.ops.aten.threshold_backward(gradients[0], result, 0)
        count = values.numel() // values.shape[1]
        d_bias = passed.sum((0, 2, 3))
        d_weight = ((passed * chosen).sum((0, 2, 3)) - centre * d_bias) * inverse
        slope = -scale * inverse * d_weight / count
        offset = -scale * d_bias / count - slope * centre
        spread = torch.ops.aten.max_pool2d_with_indices_backward(
            passed * _by_channel(scale), values, [2, 2], [2, 2], [0, 0], [1, 1], False, places
        )
        d_values = spread.addcmul_(values, _by_channel(slope)).add_(_by_channel(offset))
        return d_values, d_weight, d_bias, None, None, None, None


def _by_channel(numbers: Tensor) -> Tensor:
    """(C,) → (1, C, 1, 1)"""
    return numbers.view(1, -1, 1, 1)

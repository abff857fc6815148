"""First values of kernels and weight matrices, chosen by the recipe."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from konv.classifier import normalised
from konv.core.errors import BadRecipe
from konv.core.recipe import Fit
from konv.core.view import View
from konv.datasets import Samples

PATCHES = 2**18  # looked at to find the main directions
FLOOR = 0.01  # added to a direction's variance, in squared standard deviations: keeps the faintest ones finite


def initialize(network: nn.Module, fit: Fit) -> None:
    """Fills every weight with two or more dimensions as fit.initialization says and sets the biases beside them to zero.

    Kaiming: arxiv.org/abs/1502.01852, for ReLU. Xavier: proceedings.mlr.press/v9/glorot10a. Changes the network.
    """
    if fit.initialization in ("default", "whitening"):
        return
    fill = _fills(fit)[fit.initialization]
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.ndim >= 2:
            fill(weight)
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                nn.init.zeros_(bias)


def _fills(fit: Fit) -> dict[str, Callable[[Tensor], object]]:
    return {
        "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "xavier": nn.init.xavier_uniform_,
        "normal": lambda weight: nn.init.normal_(weight, fit.init_mean, fit.init_std),
    }


# ---- whitening ----


def whiten(network: nn.Module, samples: Samples, view: View) -> None:
    """Gives the first convolution the main directions of the samples' patches, each with both signs, and fixes them.

    A direction is divided by its standard deviation, so that all answer equally strongly (arxiv.org/abs/2404.00498). Kernels
    beyond twice the number of directions stay as they are. Fixed kernels need no gradient, which is a quarter of a step of
    a small network. Raises BadRecipe where no convolution takes the inputs.
    """
    first: Any = next((layer for layer in network.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if first is None or first.in_channels != view.channels or first.groups != 1:
        raise BadRecipe(
            "fit.initialization = 'whitening' fills a convolution that takes the inputs, and this network begins with none; "
            "take 'default', or another model."
        )
    with torch.no_grad():
        directions = _directions(_patches(first, samples, view))[: first.out_channels // 2]
        kernels = torch.cat([directions, -directions])
        first.weight[: len(kernels)] = kernels.view(-1, *first.weight.shape[1:])
    first.weight.requires_grad_(False)


def _patches(layer: Any, samples: Samples, view: View) -> Tensor:
    """Returns what the kernels of a convolution meet, (places, C · kernel), in samples taken evenly from all."""
    wanted = min(len(samples), max(1, PATCHES // prod(view.space)))
    chosen = np.linspace(0, len(samples) - 1, wanted).astype(np.int64)
    inputs = normalised(torch.from_numpy(samples.take(chosen).inputs), view)
    if not isinstance(layer.padding, str):
        inputs = F.pad(inputs, [side for padding in reversed(layer.padding) for side in (padding, padding)])
    for axis, (size, stride) in enumerate(zip(layer.kernel_size, layer.stride, strict=True), start=2):
        inputs = inputs.unfold(axis, size, stride)  # (N, C, *places) → (N, C, *places, *kernel) at the end
    dimensions = len(layer.kernel_size)
    places = inputs.movedim(1, 1 + dimensions)  # (N, *places, C, *kernel)
    return places.reshape(-1, prod(places.shape[1 + dimensions :]))


def _directions(patches: Tensor) -> Tensor:
    """Returns the principal directions of patches (M, D), strongest first, each over its standard deviation: (D, D)."""
    spread = patches.T.double() @ patches.double() / len(patches)
    variances, vectors = torch.linalg.eigh(spread)
    scaled: Tensor = vectors / (variances + FLOOR).sqrt()
    return scaled.flip(1).T.float()

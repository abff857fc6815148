"""Optimizers by their names in a recipe; the rules themselves are torch.optim's."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from konv.core.recipe import Fit

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)  # have one kernel for all weights


def make_optimizer(network: nn.Module, fit: Fit) -> Optimizer:
    """Returns the optimizer over all trainable weights; only those with two or more dimensions decay."""
    kind, options = _kind_and_options(fit)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": fit.weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    if kind in FUSED and all(weight.device.type in ("cpu", "cuda") for weight in weights):
        options["fused"] = True
    optimizer: Optimizer = kind([group for group in groups if group["params"]], lr=fit.learning_rate, **options)
    return optimizer


def _kind_and_options(fit: Fit) -> tuple[Any, dict[str, Any]]:
    momentum = {"momentum": 0.9 if fit.momentum is None else fit.momentum}
    none_unless_said = {"momentum": fit.momentum or 0.0}
    table: dict[str, tuple[Any, dict[str, Any]]] = {
        "sgd": (torch.optim.SGD, none_unless_said),
        "momentum": (torch.optim.SGD, momentum),
        "nesterov": (torch.optim.SGD, {**momentum, "nesterov": True}),
        "adagrad": (torch.optim.Adagrad, {}),
        "adadelta": (torch.optim.Adadelta, {}),
        "rmsprop": (torch.optim.RMSprop, none_unless_said),
        "adam": (torch.optim.Adam, {}),
        "adamw": (torch.optim.AdamW, {}),
    }
    return table[fit.optimizer]

"""Optimizers by their names in a recipe; each update is one call of torch.optim's own function.

The functions are used without torch's Optimizer class: its first step imports torch's compiler, which costs every process a
second and 150 MiB that training does not need.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adadelta import adadelta
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from konv.core.recipe import Fit


@dataclass(frozen=True)
class Rule:
    """An update rule: the running tensors it keeps beside each weight, and the function that uses them."""

    slots: tuple[str, ...]
    update: Callable[["_Chosen", float, float], None]  # (what to update, learning rate, weight decay)
    fused: bool = False  # torch has one kernel for all weights at once


@dataclass
class _Chosen:
    """The weights of one call with their gradients, running tensors and step counts, in the same order."""

    weights: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    slots: dict[str, list[Tensor]] = field(default_factory=dict)
    steps: list[Tensor] = field(default_factory=list)
    fused: bool = False


class Optimizer:
    """Updates the trainable weights of a network by the recipe's rule; only those with two or more dimensions decay."""

    def __init__(self, network: nn.Module, fit: Fit) -> None:
        self.rule = _rule(fit)
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.decays = [fit.weight_decay if weight.ndim >= 2 else 0.0 for weight in self.weights]
        self.slots = {
            name: [torch.zeros_like(weight, requires_grad=False) for weight in self.weights] for name in self.rule.slots
        }
        self.fused = self.rule.fused and all(weight.device.type in ("cpu", "cuda") for weight in self.weights)
        self.steps = [torch.zeros((), device=weight.device if self.fused else "cpu") for weight in self.weights]

    def zero_grad(self) -> None:
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Updates every weight that has a gradient, at this learning rate."""
        for decay in dict.fromkeys(self.decays):
            chosen = self._chosen(decay)
            if chosen.weights:
                self.rule.update(chosen, rate, decay)

    def _chosen(self, decay: float) -> _Chosen:
        chosen = _Chosen(slots={name: [] for name in self.slots}, fused=self.fused)
        for index, weight in enumerate(self.weights):
            if weight.grad is not None and self.decays[index] == decay:
                chosen.weights.append(weight)
                chosen.gradients.append(weight.grad)
                chosen.steps.append(self.steps[index])
                for name, tensors in self.slots.items():
                    chosen.slots[name].append(tensors[index])
        return chosen

    # ---- to and from a checkpoint ----

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yields every running tensor with its name: `exp_avg.3` belongs to the fourth weight."""
        for name, tensors in {**self.slots, "step": self.steps}.items():
            yield from ((f"{name}.{index}", tensor) for index, tensor in enumerate(tensors))

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Copies running tensors back into place, so that they keep the memory layout of their weights."""
        for name, tensor in self.tensors():
            tensor.copy_(tensors[name])


def _rule(fit: Fit) -> Rule:
    momentum = 0.9 if fit.momentum is None else fit.momentum
    rules: dict[str, Callable[[], Rule]] = {
        "sgd": lambda: _sgd(fit.momentum or 0.0, nesterov=False),
        "momentum": lambda: _sgd(momentum, nesterov=False),
        "nesterov": lambda: _sgd(momentum, nesterov=True),
        "adagrad": lambda: Rule(("sum",), _adagrad, fused=True),
        "adadelta": lambda: Rule(("square_avg", "acc_delta"), _adadelta),
        "rmsprop": lambda: _rmsprop(fit.momentum or 0.0),
        "adam": lambda: Rule(("exp_avg", "exp_avg_sq"), partial(_adam, adam), fused=True),
        "adamw": lambda: Rule(("exp_avg", "exp_avg_sq"), partial(_adam, adamw), fused=True),
    }
    return rules[fit.optimizer]()


# Constants below are the defaults of the torch.optim class of the same name.


def _sgd(momentum: float, *, nesterov: bool) -> Rule:
    def update(chosen: _Chosen, rate: float, decay: float) -> None:
        buffers: list[Any] = chosen.slots.get("momentum_buffer", [None] * len(chosen.weights))
        options: dict[str, Any] = {"momentum": momentum, "dampening": 0.0, "nesterov": nesterov, "maximize": False}
        sgd(chosen.weights, chosen.gradients, buffers, fused=chosen.fused, weight_decay=decay, lr=rate, **options)

    return Rule(("momentum_buffer",) if momentum else (), update, fused=True)


def _rmsprop(momentum: float) -> Rule:
    def update(chosen: _Chosen, rate: float, decay: float) -> None:
        lists: tuple[list[Tensor], list[Tensor], list[Tensor]] = (
            chosen.slots["square_avg"],
            [],
            chosen.slots.get("momentum_buffer", []),
        )
        options: dict[str, Any] = {"alpha": 0.99, "eps": 1e-8, "momentum": momentum, "centered": False}
        rmsprop(chosen.weights, chosen.gradients, *lists, chosen.steps, weight_decay=decay, lr=rate, **options)

    return Rule(("square_avg", "momentum_buffer") if momentum else ("square_avg",), update)


def _adagrad(chosen: _Chosen, rate: float, decay: float) -> None:
    options: dict[str, Any] = {"lr_decay": 0.0, "eps": 1e-10, "maximize": False, "fused": chosen.fused}
    adagrad(chosen.weights, chosen.gradients, chosen.slots["sum"], chosen.steps, weight_decay=decay, lr=rate, **options)


def _adadelta(chosen: _Chosen, rate: float, decay: float) -> None:
    lists = chosen.slots["square_avg"], chosen.slots["acc_delta"], chosen.steps
    adadelta(chosen.weights, chosen.gradients, *lists, lr=rate, rho=0.9, eps=1e-6, weight_decay=decay, maximize=False)


def _adam(function: Callable[..., None], chosen: _Chosen, rate: float, decay: float) -> None:
    lists: Any = chosen.slots["exp_avg"], chosen.slots["exp_avg_sq"], [], chosen.steps
    options: dict[str, Any] = {
        "amsgrad": False,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "maximize": False,
        "fused": chosen.fused,
    }
    function(chosen.weights, chosen.gradients, *lists, weight_decay=decay, lr=rate, **options)

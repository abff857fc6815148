"""Optimizers: each is torch.optim's own rule, learns, and decays only where the recipe says."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import nn

from konv.core.recipe import Fit
from konv.training.optimizers import Optimizer

OPTIMIZERS = get_args(Fit.model_fields["optimizer"].annotation)
RATES = {"adadelta": 1.0, "sgd": 0.1, "adagrad": 0.1}

ORACLES: dict[tuple[str, float | None], Callable[..., torch.optim.Optimizer]] = {
    ("sgd", None): torch.optim.SGD,
    ("sgd", 0.3): lambda *given, **options: torch.optim.SGD(*given, momentum=0.3, **options),
    ("momentum", None): lambda *given, **options: torch.optim.SGD(*given, momentum=0.9, **options),
    ("momentum", 0.0): torch.optim.SGD,
    ("nesterov", None): lambda *given, **options: torch.optim.SGD(*given, momentum=0.9, nesterov=True, **options),
    ("nesterov", 0.3): lambda *given, **options: torch.optim.SGD(*given, momentum=0.3, nesterov=True, **options),
    ("adagrad", None): torch.optim.Adagrad,
    ("adadelta", None): torch.optim.Adadelta,
    ("rmsprop", None): torch.optim.RMSprop,
    ("rmsprop", 0.3): lambda *given, **options: torch.optim.RMSprop(*given, momentum=0.3, **options),
    ("adam", None): torch.optim.Adam,
    ("adamw", None): torch.optim.AdamW,
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return body.to(memory_format=torch.channels_last)


def train(body: nn.Module, zero: Callable[[], None], update: Callable[[], Any], steps: int) -> list[float]:
    inputs, labels = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(30) % 3
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(body(inputs), labels)
        zero()
        loss.backward()
        update()
        losses.append(loss.item())
    return losses


def test_there_are_eight() -> None:
    assert OPTIMIZERS == ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw")
    assert {name for name, _ in ORACLES} == set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "momentum"), ORACLES)
def test_each_is_the_rule_of_torch(name: str, momentum: float | None) -> None:
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, Fit(optimizer=name, momentum=momentum, weight_decay=0.1))
    heavy, light = ([weight for weight in theirs.parameters() if (weight.ndim >= 2) == wide] for wide in (True, False))
    groups = [{"params": heavy, "weight_decay": 0.1}, {"params": light, "weight_decay": 0.0}]
    oracle = ORACLES[name, momentum](groups, lr=0.01)
    assert train(ours, optimizer.zero_grad, lambda: optimizer.step(0.01), 5) == pytest.approx(
        train(theirs, oracle.zero_grad, oracle.step, 5), abs=1e-6
    )
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_lowers_the_loss(name: str) -> None:
    body, rate = network(), RATES.get(name, 0.01)
    optimizer = Optimizer(body, Fit(optimizer=name))
    losses = train(body, optimizer.zero_grad, lambda: optimizer.step(rate), 40)
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_weight_without_gradient_pull_shrinks_only_where_it_decays(name: str) -> None:
    layer = nn.Linear(2, 2)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    optimizer = Optimizer(layer, Fit(optimizer=name, weight_decay=0.5))
    for weight in layer.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step(0.1)
    assert (layer.weight < 1).all()
    assert (layer.bias == 1).all()


def test_a_weight_the_loss_does_not_reach_stays() -> None:
    layer = nn.Linear(2, 2)
    before = layer.bias.detach().clone()
    optimizer = Optimizer(layer, Fit(optimizer="adamw"))
    layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step(0.1)
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_restored_running_tensors_continue_the_same_road(name: str) -> None:
    ours, theirs = network(), network()
    first, second = (Optimizer(body, Fit(optimizer=name)) for body in (ours, theirs))
    train(ours, first.zero_grad, lambda: first.step(0.01), 3)
    theirs.load_state_dict(ours.state_dict())
    second.restore({key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in first.tensors()})
    for body, optimizer in ((ours, first), (theirs, second)):
        train(body, optimizer.zero_grad, lambda optimizer=optimizer: optimizer.step(0.01), 3)
    assert all(torch.equal(mine, other) for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_training_does_not_load_torchs_compiler() -> None:
    program = (
        "import sys, torch\n"
        "from torch import nn\n"
        "from konv.core.recipe import Fit\n"
        "from konv.training.optimizers import Optimizer\n"
        "layer = nn.Linear(2, 2)\n"
        "layer(torch.ones(1, 2)).sum().backward()\n"
        "Optimizer(layer, Fit()).step(0.1)\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

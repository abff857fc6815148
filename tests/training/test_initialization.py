"""First weights have the mean and spread their papers give."""

from math import sqrt

import pytest
import torch
from torch import nn

from konv.core.recipe import Fit
from konv.training.initialization import initialize


def network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"conv": nn.Conv2d(16, 64, 3), "norm": nn.BatchNorm2d(64), "fc": nn.Linear(400, 300)})


def made(**fit: object) -> nn.ModuleDict:
    body = network()
    initialize(body, Fit(**fit))
    return body


def spread(weight: torch.Tensor) -> tuple[float, float]:
    return weight.mean().item(), weight.std().item()


def test_default_leaves_the_network_as_its_author_made_it() -> None:
    for key, weight in network().state_dict().items():
        assert torch.equal(made(initialization="default").state_dict()[key], weight)


def test_kaiming_spreads_by_the_inputs() -> None:
    body = made(initialization="kaiming")
    assert spread(body["conv"].weight) == pytest.approx((0, sqrt(2 / (16 * 9))), rel=0.05, abs=0.003)
    assert spread(body["fc"].weight) == pytest.approx((0, sqrt(2 / 400)), rel=0.05, abs=0.003)


def test_xavier_is_uniform_by_inputs_and_outputs() -> None:
    weight = made(initialization="xavier")["fc"].weight
    bound = sqrt(6 / (400 + 300))
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert spread(weight) == pytest.approx((0, bound / sqrt(3)), rel=0.05, abs=0.003)


def test_normal_has_the_mean_and_deviation_of_the_recipe() -> None:
    body = made(initialization="normal", init_mean=0.4, init_std=0.05)
    for name in ("conv", "fc"):
        assert spread(body[name].weight) == pytest.approx((0.4, 0.05), rel=0.05)


@pytest.mark.parametrize("kind", ["kaiming", "xavier", "normal"])
def test_biases_start_at_zero_and_norms_stay(kind: str) -> None:
    body = made(initialization=kind)
    assert (body["conv"].bias == 0).all()
    assert (body["fc"].bias == 0).all()
    assert (body["norm"].weight == 1).all()

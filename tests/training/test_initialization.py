"""First weights have the mean and spread their papers give."""

from math import sqrt

import pytest
import torch
from torch import nn

from konv.classifier import normalised
from konv.core.errors import BadRecipe
from konv.core.recipe import DataOptions, Fit
from konv.datasets import Data, load
from konv.training.initialization import initialize, whiten


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


# ---- whitening ----


def drawn(dimensions: int = 2, channels: int = 1) -> Data:
    return load(DataOptions(source="shapes", dimensions=dimensions, channels=channels, pictures=60))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_kernels_answer_without_correlation_and_equally_strongly(dimensions: int, channels: int) -> None:
    data = drawn(dimensions, channels)
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    directions = channels * 3**dimensions
    body = nn.Sequential(kind(channels, 2 * directions, 3, padding=1, bias=False), nn.ReLU())
    whiten(body, data.train, data.view)
    inputs = normalised(torch.from_numpy(data.train.inputs), data.view)
    answers = body[0](inputs).movedim(1, -1).reshape(-1, 2 * directions).detach()
    assert torch.equal(answers[:, :directions], -answers[:, directions:])
    spread = answers[:, :directions].T @ answers[:, :directions] / len(answers)
    off = spread - torch.diag(spread.diag())
    assert off.abs().max() < 1e-3
    strong = spread.diag()[: directions // 4]  # the faintest are held down by the floor
    assert (strong > 0.8).all()
    assert (spread.diag() < 1 + 1e-3).all()


def test_whitened_kernels_are_fixed_and_everything_else_learns() -> None:
    body, data = network(), drawn(channels=16)
    before = {key: weight.clone() for key, weight in body.state_dict().items()}
    whiten(body, data.train, data.view)
    assert [key for key, weight in body.named_parameters() if not weight.requires_grad] == ["conv.weight"]
    assert [key for key, weight in body.state_dict().items() if not torch.equal(weight, before[key])] == ["conv.weight"]


def test_kernels_beyond_both_signs_of_every_direction_stay_as_they_are() -> None:
    data = drawn()
    body = nn.Sequential(nn.Conv2d(1, 40, 3))
    before = body[0].weight.detach().clone()
    whiten(body, data.train, data.view)
    same = (body[0].weight == before).flatten(1).all(dim=1)
    assert same.tolist() == [False] * 18 + [True] * 22


@pytest.mark.parametrize("body", [nn.Linear(4, 2), nn.Sequential(nn.Conv2d(5, 8, 3)), nn.Flatten()])
def test_a_network_that_does_not_begin_with_a_convolution_of_the_inputs_is_refused(body: nn.Module) -> None:
    data = drawn()
    with pytest.raises(BadRecipe, match=r"begins with none; take 'default', or another model\.$"):
        whiten(body, data.train, data.view)


def test_whitening_is_the_same_every_time() -> None:
    bodies = [nn.Sequential(nn.Conv2d(1, 18, 3)) for _ in range(2)]
    for body in bodies:
        data = drawn()
        whiten(body, data.train, data.view)
    assert torch.equal(bodies[0][0].weight, bodies[1][0].weight)

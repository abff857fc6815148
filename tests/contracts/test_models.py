"""What every model on the shelf keeps: shapes, gradients, a batch of one, its options."""

from itertools import product
from typing import get_args

import pytest
import torch

from konv.core.errors import BadModel
from konv.core.options import Activation
from konv.core.recipe import Choice
from konv.core.shelves import MODELS
from konv.models import build, check

ENTRIES = {entry.name: entry for entry in MODELS.entries()}
CASES = list(product(ENTRIES, (1, 2, 3), (1, 3, 5), (2, 7)))  # name, dimensions, channels, classes


def minimum(name: str) -> int:
    return ENTRIES[name].constants["MINIMUM_SIDE"]


@pytest.mark.parametrize(("name", "dimensions", "channels", "classes"), CASES)
def test_scores_and_gradients(name: str, dimensions: int, channels: int, classes: int) -> None:
    torch.manual_seed(0)
    space = (minimum(name),) * dimensions
    network = build(Choice(name=name), channels, space, classes)
    logits = network(torch.randn(2, channels, *space))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()
    logits.square().sum().backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None] == []
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("name", ENTRIES)
def test_a_larger_and_uneven_space_fits(name: str) -> None:
    space = (minimum(name) + 5, minimum(name) + 12)
    check(build(Choice(name=name), 3, space, 4), (3, *space), 4)


@pytest.mark.parametrize("name", ENTRIES)
def test_one_picture_is_answered_as_among_others(name: str) -> None:
    torch.manual_seed(0)
    space = (minimum(name) + 4,) * 2
    network = build(Choice(name=name), 1, space, 3).eval()
    inputs = torch.randn(5, 1, *space)
    with torch.no_grad():
        torch.testing.assert_close(network(inputs[2:3])[0], network(inputs)[2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ENTRIES)
def test_too_small_an_input_is_refused_with_the_minimum(name: str) -> None:
    if minimum(name) == 1:
        pytest.skip(f"{name} takes any size")
    with pytest.raises(BadModel, match=f"{name} needs inputs of at least {minimum(name)} per side"):
        build(Choice(name=name), 1, (28, minimum(name) - 1), 10)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network = build(Choice(name=name), 1, (12, 12), 3)
        weights.append(torch.cat([weight.detach().flatten() for weight in network.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        (name, kind)
        for name, entry in ENTRIES.items()
        for option in entry.options
        if option.name == "activation"
        for kind in get_args(Activation)
    ],
)
def test_every_activation_is_offered(name: str, activation: str) -> None:
    options = MODELS.check_options(name, {"activation": activation}, "model")
    network = build(Choice(name=name, **options), 1, (12, 12), 3)
    kinds = {type(layer).__name__.lower() for layer in network.modules()}
    assert activation.replace("_", "") in kinds
    assert network(torch.randn(2, 1, 12, 12)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, entry in ENTRIES.items() for option in entry.options], ids=str
)
def test_every_default_is_a_value_its_option_allows(name: str, option: object) -> None:
    assert MODELS.check_options(name, {option.name: option.default}, "model") == {option.name: option.default}


@pytest.mark.parametrize("name", ENTRIES)
def test_dropout_is_active_in_training_only(name: str) -> None:
    if "dropout" not in {option.name for option in ENTRIES[name].options}:
        pytest.skip(f"{name} has no dropout")
    torch.manual_seed(0)
    network, inputs = build(Choice(name=name, dropout=0.5), 1, (12, 12), 3), torch.randn(4, 1, 12, 12)
    with torch.no_grad():
        assert not torch.equal(network(inputs), network(inputs))
        network.eval()
        assert torch.equal(network(inputs), network(inputs))

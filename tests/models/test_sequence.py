"""Sequence trains norm, ReLU and pooling as one step; nobody may notice."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from konv.models._sequence import Sequence


def layers(channels: int, seed: int, falling: bool) -> list[nn.Module]:
    """conv-norm-ReLU-pool with gains of both signs where `falling`."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.weight, -1.0 if falling else 0.1, 1.0)
    nn.init.normal_(norm.bias)
    return [nn.Conv2d(2, channels, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2)]


def trained_once(network: nn.Module, inputs: Tensor, pull: Tensor) -> dict[str, Tensor]:
    """Outputs, every gradient and every buffer after one forward and backward pass."""
    given = inputs.clone().requires_grad_()
    output = network(given)
    (output * pull[:, :, : output.shape[2], : output.shape[3]]).sum().backward()
    found = {"output": output.detach(), "input": given.grad}
    found |= {name: weight.grad for name, weight in network.named_parameters()}
    return {name: value for name, value in {**found, **dict(network.named_buffers())}.items() if value is not None}


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**16),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(2, 9),
    st.integers(2, 9),
    st.booleans(),
    st.booleans(),
)
def test_the_same_results_and_gradients_as_the_layers_one_by_one(
    seed: int, pictures: int, channels: int, height: int, width: int, falling: bool, last: bool
) -> None:
    parts = layers(channels, seed, falling)
    layout = torch.channels_last if last else torch.contiguous_format
    apart = nn.Sequential(*parts).to(memory_format=layout)
    together = Sequence(*copy.deepcopy(parts)).to(memory_format=layout)
    inputs, pull = torch.randn(pictures, 2, height, width), torch.randn(pictures, channels, height // 2, width // 2)
    expected, found = trained_once(apart, inputs, pull), trained_once(together, inputs, pull)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


def test_gradients_hold_against_finite_differences_of_float64() -> None:
    parts = layers(3, 0, falling=True)
    exact = nn.Sequential(*copy.deepcopy(parts)).double()
    inputs = torch.randn(4, 2, 6, 6)
    pull = torch.randn(4, 3, 3, 3)
    found = trained_once(Sequence(*parts), inputs, pull)["input"]
    step = torch.zeros_like(inputs, dtype=torch.float64)
    step[1, 0, 2, 3] = 1e-6
    with torch.no_grad():
        ahead, behind = [float((exact(inputs.double() + sign * step) * pull).sum()) for sign in (1, -1)]
    assert float(found[1, 0, 2, 3]) == pytest.approx((ahead - behind) / 2e-6, rel=1e-3, abs=1e-4)


def test_equal_values_pass_their_gradient_to_the_first() -> None:
    parts = layers(2, 0, falling=False)[1:]
    inputs, pull = torch.ones(2, 2, 4, 4), torch.randn(2, 2, 2, 2)
    inputs[0] = 2.0
    expected = trained_once(nn.Sequential(*copy.deepcopy(parts)), inputs, pull)["input"]
    torch.testing.assert_close(trained_once(Sequence(*parts), inputs, pull)["input"], expected, rtol=1e-3, atol=1e-5)


def test_evaluated_it_is_the_layers_one_by_one_bit_for_bit() -> None:
    parts = layers(4, 1, falling=True)
    apart, together = nn.Sequential(*parts).eval(), Sequence(*parts).eval()
    inputs = torch.randn(3, 2, 8, 8)
    assert torch.equal(apart(inputs), together(inputs))


def test_a_watched_layer_runs_by_itself() -> None:
    network = Sequence(*layers(4, 1, falling=False)).train()
    seen: list[tuple[int, ...]] = []
    network[2].register_forward_hook(lambda _layer, _inputs, output: seen.append(tuple(output.shape)))
    network(torch.randn(3, 2, 8, 8))
    assert seen == [(3, 4, 8, 8)]


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(3, 2), nn.MaxPool2d(2, 1), nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(2, padding=1), nn.AvgPool2d(2)],
)
def test_other_windows_are_left_as_they_are(pool: nn.Module) -> None:
    parts = [*layers(4, 1, falling=False)[:3], pool]
    inputs = torch.randn(3, 2, 7, 7)
    apart, together = nn.Sequential(*copy.deepcopy(parts)).train(), Sequence(*parts).train()
    assert torch.equal(apart(inputs), together(inputs))


def test_what_is_not_a_number_stays_so() -> None:
    network = Sequence(*layers(2, 0, falling=False)).train()
    inputs = torch.zeros(2, 2, 4, 4)
    inputs[0, 0, 0, 0] = float("nan")
    assert network(inputs).isnan().any()

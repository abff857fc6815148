"""dissect: every step in order, with formulas that the real pass confirms, and a network left as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import konv
from konv import models
from konv.anatomy import attempt
from konv.core.anatomy import Anatomy, Layer


def layer_of(anatomy: Anatomy, name: str) -> Layer:
    return next(layer for layer in anatomy.layers if layer.name == name)


@pytest.fixture
def fashion() -> nn.Module:
    torch.manual_seed(0)
    return models.build(konv.Choice(name="fashion_cnn"), 1, (28, 28), 10)


def test_fashion_cnn_shows_why_fc1_has_2304_inputs(fashion: nn.Module) -> None:
    anatomy = konv.dissect(fashion, (1, 28, 28))
    conv2 = layer_of(anatomy, "conv2")
    assert (conv2.kind, conv2.input, conv2.output) == ("Conv2d", (32, 14, 14), (64, 12, 12))
    assert conv2.formula == "(14 − 3 + 2·0)/1 + 1 = 12"
    assert (conv2.parameters, conv2.parameters_formula) == (18496, "64·32·3·3 + 64")
    assert (conv2.multiply_adds, conv2.multiply_adds_formula) == (2654208, "64·12·12 · 32·3·3")
    assert (conv2.receptive_field, conv2.stride, conv2.offset) == ((8, 8), (2, 2), (2.5, 2.5))
    assert layer_of(anatomy, "flatten").formula == "64·6·6 = 2304"
    assert layer_of(anatomy, "fc1").parameters_formula == "600·2304 + 600"


def test_totals_are_the_sums_of_the_steps(fashion: nn.Module) -> None:
    anatomy = konv.dissect(fashion, (1, 28, 28))
    assert anatomy.parameters == anatomy.trainable == sum(layer.parameters for layer in anatomy.layers) == 1_475_338
    assert anatomy.multiply_adds == sum(layer.multiply_adds for layer in anatomy.layers)
    assert sum(layer.multiply_adds_share for layer in anatomy.layers) == pytest.approx(1)
    assert anatomy.parameter_bytes == 4 * 1_475_338
    assert anatomy.complete
    assert not anatomy.unused


def test_json_goes_out_and_comes_back(fashion: nn.Module) -> None:
    anatomy = konv.dissect(fashion, (1, 28, 28))
    assert Anatomy.model_validate_json(anatomy.model_dump_json()) == anatomy
    content = anatomy.model_dump(mode="json")
    assert {"layers", "parameters", "multiply_adds", "findings"} <= content.keys()
    wanted = {"name", "kind", "input", "output", "formula", "parameters", "multiply_adds", "receptive_field"}
    assert wanted <= content["layers"][0].keys()


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(8 * 6 * 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x))
        x = x + self.conv(y)
        x += y
        return self.head(torch.cat([x, y], dim=1).view(len(x), -1))


def test_functions_between_layers_are_steps_and_a_layer_called_twice_counts_its_parameters_once() -> None:
    network = Residual()
    anatomy = konv.dissect(network, (4, 6, 6))
    seen = [(layer.name, layer.kind, layer.module) for layer in anatomy.layers]
    assert seen == [
        ("conv", "Conv2d", True), ("relu", "relu", False), ("conv", "Conv2d", True), ("add", "add", False),
        ("add_2", "add", False), ("cat", "cat", False), ("view", "view", False), ("head", "Linear", True),
    ]  # fmt: skip
    first, second = (layer for layer in anatomy.layers if layer.name == "conv")
    assert (first.parameters, first.shared) == (148, False)
    assert (second.parameters, second.shared) == (0, True)
    assert layer_of(anatomy, "cat").formula == "4 + 4 = 8"
    assert layer_of(anatomy, "add").inputs == ((4, 6, 6), (4, 6, 6))
    assert layer_of(anatomy, "add").receptive_field == (5, 5)
    assert [layer.sources for layer in anatomy.layers] == [(-1,), (0,), (1,), (-1, 2), (1, 3), (1, 4), (5,), (6,)]
    assert anatomy.parameters == sum(weight.numel() for weight in network.parameters())


class Counting(nn.Module):
    """Draws random numbers, writes into a buffer, replaces another one, and fails when it is told to."""

    seen: Tensor
    last: Tensor

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 4 if fails else 2)
        self.out = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(5))
        self.register_buffer("last", torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x.mean(dim=0)
        self.last = x.detach().mean(dim=0)
        noise = torch.randn_like(x)
        result: Tensor = self.out(self.head(self.drop(self.norm(x + noise))))
        return result


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_and_the_random_state_are_as_before(fails: bool) -> None:
    network = Counting(fails)
    network.norm.eval()
    network.head.weight.grad = torch.ones_like(network.head.weight)
    called: list[str] = []
    hook = network.norm.register_forward_hook(lambda *_: called.append("hook"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    buffers = dict(network.named_buffers())
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    found = attempt(network, (5,))
    assert (found.failure is not None) == fails
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(buffer is buffers[key] for key, buffer in network.named_buffers())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(network.head.weight.grad, torch.ones(2 if not fails else 4, 5))
    assert all(weight.grad is None for name, weight in network.named_parameters() if name != "head.weight")
    assert list(network.norm._forward_hooks) == [hook.id]
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_failing_layer_is_told_with_the_steps_before_it() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(99, 2))
    found = attempt(network, (1, 8, 8), batch=3)
    assert found.failure is not None
    assert (found.failure.name, found.failure.module, found.failure.function) == ("2", network[2], None)
    assert found.failure.inputs[0].shape == (3, 144)
    assert "mat1" in str(found.failure.exception)
    assert not found.anatomy.complete
    assert [layer.kind for layer in found.anatomy.layers] == ["Conv2d", "Flatten"]
    with pytest.raises(konv.BadModel, match=r"layer 2 was given 2×144"):
        konv.dissect(network, (1, 8, 8))


def test_a_failing_function_between_layers_is_told_with_the_module_that_calls_it() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.conv(x) + x
            return result

    network = nn.Sequential(Odd())
    failure = attempt(network, (1, 8, 8)).failure
    assert failure is not None
    assert (failure.name, failure.module, failure.function) == ("0", network[0], "add")
    assert [tuple(part.shape) for part in failure.inputs] == [(2, 1, 6, 6), (2, 1, 8, 8)]


def test_parameters_no_step_touches_are_named() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.forgotten = nn.Linear(4, 2), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.used(x)
            return result

    anatomy = konv.dissect(Forgetful(), (4,))
    assert [(unused.name, unused.parameters) for unused in anatomy.unused] == [("forgotten.weight", 9), ("forgotten.bias", 3)]
    assert anatomy.parameters == 22


def test_time_is_measured_only_where_it_was_asked_for(fashion: nn.Module) -> None:
    assert all(layer.milliseconds is None for layer in konv.dissect(fashion, (1, 28, 28)).layers)
    timed = konv.dissect(fashion, (1, 28, 28), time=True)
    assert timed.milliseconds is not None
    assert all(layer.milliseconds is not None and layer.milliseconds > 0 for layer in timed.layers)


def test_lazy_layers_get_their_width_in_a_copy() -> None:
    network = nn.Sequential(nn.LazyBatchNorm1d(), nn.Flatten(), nn.LazyLinear(3))
    anatomy = konv.dissect(network, (2, 4))
    assert anatomy.parameters == 2 * 2 + 8 * 3 + 3
    assert isinstance(network[2], nn.LazyLinear)
    assert network[2].has_uninitialized_params()


def test_example_inputs_are_taken_as_they_are() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x @ y

    anatomy = konv.dissect(Two(), (torch.rand(5, 2, 3), torch.rand(5, 3, 4)))
    only = anatomy.layers[0]
    assert (only.kind, only.inputs, only.output, only.multiply_adds) == ("matmul", ((2, 3), (3, 4)), (2, 4), 2 * 3 * 4)

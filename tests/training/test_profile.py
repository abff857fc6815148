"""The profile of a training step: rows that add up, work by the formulas, and a process left as it was."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from konv.core.compose import check
from konv.core.profile import Profile
from konv.core.recipe import Recipe
from konv.datasets import load
from konv.training import profile as profiling
from konv.training.profile import least_bytes, measure, multiply_adds
from konv.training.roofline import Roofs, measure_roofs
from konv.training.stopwatch import CLOCKS, Call, Clocks, Stopwatch, leaves, tensors

Toy = Callable[..., Recipe]
CPU = torch.device("cpu")
PLAIN = {"name": "plain", "width": 4, "head": 8, "dropout": 0.5}
LAYERS = [
    *("conv1", "pool1", "norm1", "act1", "conv2", "pool2", "norm2", "act2"),
    *("flatten", "fc1", "norm", "act", "dropout", "fc2"),
]
OWN = """
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.never = nn.Linear(2, 2)
        self.head = nn.Linear(4, classes)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = x + F.relu(self.again(x), inplace=True)
        x = self.act(self.again(x))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
"""
ALONE = """
from torch import nn


class Alone(nn.Linear):
    def __init__(self, channels, classes, side=8):
        super().__init__(channels * side * side, classes)

    def forward(self, x):
        return super().forward(x.flatten(1))
"""


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of each kind, and roofs from five products of a small matrix: no test looks at a time."""
    monkeypatch.setattr(profiling, "BUDGET", 0.0)
    monkeypatch.setattr("konv.training.roofline.BUDGET", 0.0)
    monkeypatch.setattr("konv.training.roofline.SIDE", {"cpu": 32})
    monkeypatch.setattr("konv.training.roofline.COPIED", 2**16)


def own(folder: Path, text: str, name: str) -> dict[str, str]:
    (folder / "net.py").write_text(text, encoding="utf-8")
    return {"name": f"{folder / 'net.py'}:{name}"}


def parts(profile: Profile) -> dict[str, float]:
    return {part.name: part.milliseconds for part in profile.parts}


# ---- rows ----


def test_every_layer_has_a_row_in_the_order_it_runs(toy: Toy) -> None:
    profile = measure(toy(model=PLAIN))
    assert [layer.name for layer in profile.layers] == LAYERS
    assert [layer.kind for layer in profile.layers][:4] == ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]
    assert profile.layers[0].output == (16, 4, 8, 8)
    assert all(layer.calls == 1 for layer in profile.layers)
    assert all(layer.milliseconds_forward > 0 for layer in profile.layers)
    assert all(layer.milliseconds_backward > 0 for layer in profile.layers)
    assert (profile.model, profile.source, profile.batch_size, profile.threads) == ("plain", "shapes", 16, 1)
    assert (profile.precision, profile.device, profile.steps) == ("float32", "cpu", profiling.FEWEST)


def test_layers_and_parts_add_up_to_the_step(toy: Toy) -> None:
    profile = measure(toy(model=PLAIN))
    whole = sum(layer.milliseconds for layer in profile.layers) + sum(parts(profile).values())
    assert profile.milliseconds == pytest.approx(whole)
    assert set(parts(profile)) == {"inputs", "between", "loss", "gradient", "optimizer", "rest"}
    assert min(parts(profile).values()) >= 0
    assert profile.milliseconds_undisturbed > 0
    assert profile.spread >= 0
    assert profile.gflops == pytest.approx(1000 * profile.gflop / profile.milliseconds_undisturbed)
    assert profile.gemm_share == pytest.approx(profile.gflops / profile.gemm_gflops)
    assert profile.pictures_per_second == pytest.approx(1000 * 16 / profile.milliseconds_undisturbed)


def test_json_in_and_out(toy: Toy) -> None:
    profile = measure(toy())
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


@pytest.mark.parametrize(
    "fit",
    [
        {"batch_size": "all"},
        {"batch_size": 1, "optimizer": "sgd"},
        {"epochs": 1, "patience": 1, "augment": [{"name": "crop"}, {"name": "flip"}]},
        {"precision": "bfloat16", "clip_norm": 1.0},
        {"loss": "focal", "schedule": "plateau", "optimizer": "rmsprop", "class_weights": "balanced"},
    ],
    ids=" ".join,
)
def test_any_recipe_is_measured(toy: Toy, fit: dict[str, Any]) -> None:
    profile = measure(toy(model=PLAIN, **fit))
    assert [layer.name for layer in profile.layers] == LAYERS
    assert profile.precision == fit.get("precision", "float32")
    assert profile.batch_size == (len(load(toy().data).train) if fit.get("batch_size") == "all" else fit.get("batch_size", 16))


def test_the_running_mean_of_the_weights_is_a_part(toy: Toy) -> None:
    assert parts(measure(toy(weight_average=0.9)))["average"] > 0


@pytest.mark.parametrize("space", [(12,), (6, 6, 6)], ids=["signals", "volumes"])
def test_signals_and_volumes(tmp_path: Path, space: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", inputs=random.random((60, 1, *space), dtype=np.float32), labels=np.arange(60) % 3)
    given = {"data": {"source": str(tmp_path / "data.npz")}, "model": PLAIN, "fit": {"batch_size": 16}}
    profile = measure(check(given))
    assert [layer.name for layer in profile.layers] == LAYERS
    assert profile.layers[0].kind == f"Conv{len(space)}d"
    assert profile.layers[0].gflop == pytest.approx(2 * 2e-9 * 16 * 4 * 3 ** len(space) * np.prod(space))


def test_layers_that_run_as_one_step_have_one_row(toy: Toy) -> None:
    """fashion_cnn joins norm, ReLU and pooling in float32; clocks on each of them would part them."""
    together = measure(toy(model={"name": "fashion_cnn"}))
    names = ["conv1", "norm1…pool1", "conv2", "norm2…pool2", "flatten", "fc1", "act3", "dropout", "fc2", "act4", "fc3"]
    assert [layer.name for layer in together.layers] == names
    assert together.layers[1].kind == "BatchNorm2d, ReLU, MaxPool2d"
    assert together.layers[1].output == (16, 32, 4, 4)
    assert together.layers[1].milliseconds_backward > 0
    apart = measure(toy(model={"name": "fashion_cnn"}, precision="bfloat16"))
    assert [layer.name for layer in apart.layers][:4] == ["conv1", "norm1", "act1", "pool1"]


# ---- a person's own network ----


def test_functions_between_layers_have_a_row_and_shared_layers_one_each(toy: Toy, tmp_path: Path) -> None:
    profile = measure(toy(model=own(tmp_path, OWN, "Net")))
    assert [(layer.name, layer.calls) for layer in profile.layers] == [("stem", 1), ("act", 2), ("again", 2), ("head", 1)]
    assert parts(profile)["between"] > 0
    by_name = {layer.name: layer for layer in profile.layers}
    assert by_name["again"].gflop == pytest.approx(2 * 3 * 2e-9 * 16 * 64 * 4 * 4 * 9)  # two calls, three passes each


def test_a_network_that_is_one_layer(toy: Toy, tmp_path: Path) -> None:
    profile = measure(toy(model=own(tmp_path, ALONE, "Alone")))
    (layer,) = profile.layers
    assert (layer.name, layer.kind, layer.output) == ("Alone", "Alone", (16, len(load(toy().data).classes)))
    assert layer.gflop == pytest.approx(2 * 2e-9 * 16 * profile_weights(toy))


def profile_weights(toy: Toy) -> int:
    data = load(toy().data)
    return int(np.prod(data.view.shape)) * len(data.classes)


# ---- nothing outside changes ----


def test_the_process_stays_as_it_was(toy: Toy) -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    measure(toy(model=PLAIN, augment=[{"name": "flip"}]))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:]


def test_clocks_change_no_gradient_and_leave_no_hook() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 3))
    inputs = torch.randn(4, 1, 8, 8)
    network(inputs).square().sum().backward()
    wanted = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
    network.zero_grad()
    watch = Stopwatch(CPU)
    clocks = Clocks(network, watch)
    with clocks.running(("", "rest")):
        loss = network(inputs).square().sum()
        clocks.claim(loss, ("", "loss"))
        loss.backward()
    assert all(torch.equal(weight.grad, grad) for weight, grad in zip(network.parameters(), wanted, strict=True))
    assert {("0", "backward"), ("1", "backward"), ("3", "backward"), ("", "loss"), ("", "between")} <= watch.seconds.keys()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    with pytest.raises(RuntimeError), clocks.running(("", "rest")):
        network(inputs[:, :, 1:])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert not watch.running


# ---- the stopwatch ----


def test_every_moment_has_one_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 1000, 1))
    watch = Stopwatch(CPU)
    monkeypatch.setattr(watch, "now", lambda: next(times) ** 2)  # 0, 1, 4, 9, 16, …
    watch.start(("", "inputs"))
    watch.turn_to(("", "loss"))  # 1 for inputs
    watch.enter(("a", "forward"))  # 3 for loss
    with watch.of(CLOCKS):  # 5 for a, 7 for the clocks
        pass
    watch.leave()  # 9 for a
    watch.turn_to(("", "optimizer"), before=("", "gradient"))  # 11 for the gradient
    watch.stop()  # 13 for the optimizer
    assert watch.seconds == {
        ("", "inputs"): 1, ("", "loss"): 3, ("a", "forward"): 14, CLOCKS: 7, ("", "gradient"): 11, ("", "optimizer"): 13,
    }  # fmt: skip
    assert sum(watch.seconds.values()) == 7**2
    assert not watch.running


def test_tensors_are_found_in_nests() -> None:
    one, two = torch.zeros(1), torch.zeros(2)
    assert [len(tensor) for tensor in tensors(({"a": [two, 3]}, None, (one,)))] == [2, 1]


def test_leaves_are_the_layers_without_parts() -> None:
    layer = nn.Linear(1, 1)
    network = nn.Sequential(OrderedDict(a=nn.Sequential(layer, nn.ReLU()), b=layer))
    assert list(leaves(network)) == ["a.0", "a.1"]


# ---- work and roofs ----


@pytest.mark.parametrize("model", [PLAIN, {"name": "fashion_cnn"}, {"name": "mlp", "hidden": [16]}], ids=lambda m: m["name"])
def test_operations_are_those_torch_counts(toy: Toy, model: dict[str, Any]) -> None:
    """torch.utils.flop_counter counts what its operators do, forward and backward, without a network's layers."""
    recipe = toy(model=model)
    data = load(recipe.data)
    profile = measure(recipe)
    _, network = profiling.prepare(recipe, data.train, data.view, len(data.classes), CPU)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(16, *data.view.shape)).sum().backward()
    assert profile.gflop == pytest.approx(1e-9 * counter.get_total_flops())


def test_multiply_adds_of_functions_stand_apart() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)
            self.kernel = nn.Parameter(torch.ones(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.nn.functional.linear(self.layer(x), self.kernel)

    assert multiply_adds(Mixed(), (8,)) == {"layer": 32, profiling.BETWEEN_LAYERS: 12}


CALL = Call(100, 40, 7, (2, 5), input_gradient=True, weight_gradient=True, view=False)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (CALL, (100 + 7 + 40) + (40 + 100) + (7 + 100) + 7),
        (Call(100, 40, 7, (2, 5), input_gradient=False, weight_gradient=True, view=False), 147 + 140 + 7),
        (Call(100, 40, 7, (2, 5), input_gradient=True, weight_gradient=False, view=False), 147 + 140 + 107),
        (Call(100, 40, 7, (2, 5), input_gradient=False, weight_gradient=False, view=False), 147),
        (Call(100, 100, 0, (2, 5), input_gradient=True, weight_gradient=False, view=True), 0),
    ],
    ids=["all", "first layer", "frozen", "no gradient", "view"],
)
def test_least_bytes(call: Call, expected: int) -> None:
    assert least_bytes(call) == expected


def test_what_a_layer_moves_is_counted_from_its_tensors(toy: Toy) -> None:
    profile = measure(toy(model=PLAIN))
    rows = {layer.name: layer for layer in profile.layers}
    inputs, outputs, weights = 4 * 16 * 64, 4 * 16 * 4 * 64, 4 * 4 * 9
    assert rows["conv1"].megabytes == pytest.approx(1e-6 * (2 * (inputs + outputs) + 2 * weights))  # no gradient of inputs
    assert rows["act1"].megabytes == pytest.approx(1e-6 * 4 * 16 * 4 * 16 * 5)
    assert rows["dropout"].megabytes > 0


@pytest.mark.parametrize(
    ("gflop", "megabytes", "milliseconds", "expected"),
    [
        (1.0, 10.0, 20.0, ("arithmetic", 0.5)),  # 10 ms of arithmetic, 1 ms of memory
        (0.01, 100.0, 20.0, ("memory", 0.5)),
        (0.0, 100.0, 200.0, ("overhead", 0.05)),
        (0.0, 0.0, 1.0, ("overhead", 0.0)),
        (0.0, 0.0, 0.0, ("overhead", 0.0)),
        (0.0, 100.0, 5.0, ("memory", 2.0)),
    ],
)
def test_the_nearer_roof_is_named(gflop: float, megabytes: float, milliseconds: float, expected: tuple[str, float]) -> None:
    bound, share = Roofs(gemm_gflops=100.0, copy_gigabytes_per_second=10.0).judge(gflop, megabytes, milliseconds)
    assert (bound, pytest.approx(share)) == expected


def test_the_higher_of_two_measurements_is_the_roof() -> None:
    assert Roofs(30.0, 20.0).best(Roofs(90.0, 10.0)) == Roofs(90.0, 20.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_roofs_are_measured_without_torchs_random_state(dtype: torch.dtype) -> None:
    before = torch.get_rng_state()
    roofs = measure_roofs(CPU, dtype)
    assert roofs.gemm_gflops > 0
    assert roofs.copy_gigabytes_per_second > 0
    assert torch.equal(torch.get_rng_state(), before)

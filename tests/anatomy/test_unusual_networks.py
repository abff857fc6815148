"""Networks that are written in unusual ways are dissected too, and left as they were."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from konv.anatomy import attempt, dissect
from konv.core.anatomy import Anatomy
from konv.core.errors import BadModel


def kinds(anatomy: Anatomy) -> list[str]:
    return [layer.kind for layer in anatomy.layers]


class Functional(nn.Module):
    """Weights of its own, and not one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.matrix = nn.Parameter(torch.rand(4, 3, 3, 3)), nn.Parameter(torch.rand(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(F.max_pool2d(F.conv2d(x, self.kernel, stride=2, padding=1), 2), 1)
        return F.linear(x.flatten(1), self.matrix.t())


def test_functions_with_weights_of_the_network_itself() -> None:
    anatomy = dissect(Functional(), (3, 9, 9))
    assert kinds(anatomy) == ["conv2d", "max_pool2d", "adaptive_avg_pool2d", "flatten", "linear"]
    assert [layer.parameters_formula for layer in anatomy.layers] == ["4·3·3·3", "", "", "", "4·2"]
    assert anatomy.layers[0].formula == "(9 − 3 + 2·1)/2 + 1 = 5"
    assert anatomy.layers[1].formula == "⌊(5 − 2 + 2·0)/2⌋ + 1 = 2"
    assert not anatomy.unused


def test_a_weight_that_two_layers_share_counts_once() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    anatomy = dissect(network, (4,))
    assert [layer.parameters for layer in anatomy.layers] == [20, 0, 4]
    assert anatomy.parameters == 24


def test_what_a_person_catches_is_no_failure() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                x = torch.cat([x, x[:, :, :2]], dim=1)
            except RuntimeError:
                x = x + 1
            result: Tensor = self.conv(x)
            return result

    assert kinds(dissect(Careful(), (1, 6, 6))) == ["index", "add", "Conv2d"]


def test_a_loop_that_looks_at_values_runs_as_it_would() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3 if bool((x >= 0).all()) else 1):
                x = self.conv(x)
            return x

    anatomy = dissect(Loop(), (2, 5, 5))
    assert kinds(anatomy).count("Conv2d") == 3
    assert anatomy.layers[-1].receptive_field == (7, 7)


def test_checkpointed_layers_and_outputs_in_a_dict() -> None:
    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": checkpoint(self.conv, x, use_reentrant=False)}

    assert kinds(dissect(Saving(), (2, 5, 5))) == ["Conv2d"]


MADE: list[tuple[str, Callable[[], nn.Module], str, int]] = [
    ("weight norm", lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), "Conv2d", 3 * 2 * 9 + 3 + 3),
    ("spectral norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)), "Conv2d", 3 * 2 * 9 + 3),
    ("half precision", lambda: nn.Conv2d(2, 3, 3).to(torch.bfloat16), "Conv2d", 57),
    ("double precision", lambda: nn.Conv2d(2, 3, 3).double(), "Conv2d", 57),
    ("nothing to train", lambda: nn.Conv2d(2, 3, 3).requires_grad_(False), "Conv2d", 57),
]


@pytest.mark.parametrize(("make", "kind", "parameters"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_layers_that_were_made_differently(make: Callable[[], nn.Module], kind: str, parameters: int) -> None:
    network = nn.Sequential(make())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    anatomy = dissect(network, (2, 6, 6))
    assert (kinds(anatomy), anatomy.parameters) == ([kind], parameters)
    assert anatomy.layers[0].multiply_adds == 3 * 16 * 2 * 9
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_scripted_network_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadModel, match=r"TorchScript module cannot be watched.*give the nn\.Module"):
        dissect(torch.jit.script(nn.Sequential(nn.Conv2d(2, 3, 3))), (2, 6, 6))


def test_a_network_without_weights_or_with_one_sample_only() -> None:
    assert dissect(nn.Sequential(nn.ZeroPad2d((1, 2, 3, 4)), nn.PixelShuffle(2)), (4, 5, 5)).layers[-1].output == (1, 24, 16)
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    assert attempt(flat, (3, 4, 4), batch=1).anatomy.backward_bytes is None  # no training pass with a batch of one
    assert dissect(flat, (3, 4, 4)).backward_bytes is not None


def test_what_a_network_raises_is_told_with_the_module_it_came_from() -> None:
    class Fussy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("colour")

    network = nn.Sequential(nn.Conv2d(1, 1, 3), Fussy())
    failure = attempt(network, (1, 5, 5)).failure
    assert failure is not None
    assert (failure.name, failure.module, failure.function) == ("1", network[1], None)
    assert isinstance(failure.exception, KeyError)


def test_backward_memory_is_what_autograd_keeps_and_counts_a_tensor_once() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), nn.Dropout(0.5))
    first, relu, second, dropout = dissect(network, (4,)).layers
    assert first.backward_bytes == 0  # keeps the input itself, which is no output of a step
    assert (relu.backward_bytes, second.backward_bytes) == (32, 0)  # one tensor serves both
    assert dropout.backward_bytes is not None
    assert dropout.backward_bytes > 0  # the mask: training mode

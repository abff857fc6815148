"""Formulas against torch's own layers, over random kernels, strides, paddings, dilations, groups and ceil mode."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from konv.anatomy import dissect
from konv.core.anatomy import Layer

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAXIMA = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGES = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
UNPOOLED = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}

dimensions = st.integers(1, 3)


def sides(count: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * count)


def only(layer: nn.Module, shape: tuple[int, ...]) -> Layer:
    """Returns the one step of a layer; where torch refuses the input, the example is dropped."""
    network = nn.Sequential(layer)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(2, *shape))
    except RuntimeError:
        assume(False)
    return dissect(network, shape).layers[0]


def holds(formula: str) -> bool:
    """Works a formula out as a reader would, and compares it with the number it ends in."""
    for part in formula.split(", "):
        words, _, end = re.sub(r"^[DHWL]: ", "", part).rpartition(" = ")
        python = words.replace("−", "-").replace("·", "*").replace("⌊", "math.floor(").replace("⌈", "math.ceil(")
        python = python.replace("⌋", ")").replace("⌉", ")")
        value: Any = eval(python, {"math": __import__("math")})
        if value != int(end):
            return False
    return True


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@settings(max_examples=60, deadline=None)
@given(st.data(), dimensions)
def test_convolutions(data: st.DataObject, count: int) -> None:
    groups = data.draw(st.integers(1, 3))
    kernel, stride = data.draw(sides(count, 1, 4)), data.draw(sides(count, 1, 3))
    padding = data.draw(st.one_of(sides(count, 0, 3), st.just("valid"), st.just("same")))
    dilation = data.draw(sides(count, 1, 3))
    if padding == "same":
        stride = (1,) * count
    shape = (2 * groups, *data.draw(sides(count, 3, 11)))
    layer = CONVOLUTIONS[count](2 * groups, 3 * groups, kernel, stride, padding, dilation, groups, data.draw(st.booleans()))
    step = only(layer, shape)
    assert step.output == tuple(layer(torch.zeros(1, *shape)).shape[1:])
    assert holds(step.formula)
    assert (
        step.parameters
        == sum(weight.numel() for weight in layer.parameters())
        == eval(step.parameters_formula.replace("·", "*"))
    )
    assert step.multiply_adds == eval(step.multiply_adds_formula.replace("·", "*"))


@settings(max_examples=60, deadline=None)
@given(st.data(), dimensions)
def test_transposed_convolutions(data: st.DataObject, count: int) -> None:
    groups = data.draw(st.integers(1, 2))
    kernel, stride = data.draw(sides(count, 1, 4)), data.draw(sides(count, 1, 3))
    padding, dilation, extra = data.draw(sides(count, 0, 2)), data.draw(sides(count, 1, 3)), data.draw(sides(count, 0, 2))
    shape = (2 * groups, *data.draw(sides(count, 2, 6)))
    layer = TRANSPOSED[count](2 * groups, 3 * groups, kernel, stride, padding, extra, groups, True, dilation)
    step = only(layer, shape)
    assert step.output == tuple(layer(torch.zeros(1, *shape)).shape[1:])
    assert holds(step.formula)
    assert step.multiply_adds == eval(step.multiply_adds_formula.replace("·", "*"))


@settings(max_examples=60, deadline=None)
@given(st.data(), dimensions, st.booleans(), st.booleans())
def test_poolings(data: st.DataObject, count: int, ceil: bool, maximum: bool) -> None:
    kernel, stride = data.draw(sides(count, 1, 4)), data.draw(sides(count, 1, 4))
    padding = tuple(data.draw(st.integers(0, side // 2)) for side in kernel)
    shape = (2, *data.draw(sides(count, 2, 12)))
    if maximum:
        layer: nn.Module = MAXIMA[count](kernel, stride, padding, data.draw(sides(count, 1, 3)), ceil_mode=ceil)
    else:
        layer = AVERAGES[count](kernel, stride, padding, ceil_mode=ceil)
    step = only(layer, shape)
    assert step.output == tuple(layer(torch.zeros(1, *shape)).shape[1:])
    assert holds(step.formula)
    assert ("⌈" not in step.formula) or ceil
    assert (step.parameters, step.multiply_adds) == (0, 0)


@settings(max_examples=30, deadline=None)
@given(st.data(), dimensions)
def test_adaptive_pooling(data: st.DataObject, count: int) -> None:
    shape = (2, *data.draw(sides(count, 1, 9)))
    wanted = data.draw(sides(count, 1, 9))
    step = only(ADAPTIVE[count](wanted), shape)
    assert step.output == (2, *wanted)
    assert all(" < " in part or holds(part) for part in step.formula.split(", ") if "⌈(i" not in part and "⌊i" not in part)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_return_indices_and_unpooling(count: int) -> None:
    class Round(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.unpool = MAXIMA[count](3, 2, return_indices=True), UNPOOLED[count](3, 2)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.unpool(*self.pool(x))
            return result

    pool, unpool = dissect(Round(), (4, *[9] * count)).layers
    assert pool.outputs == ((4, *[4] * count), (4, *[4] * count))
    assert unpool.output == (4, *[9] * count)
    assert unpool.formula == "(4 − 1)·2 − 2·0 + 3 = 9"


def test_axes_that_differ_are_named_and_floor_is_shown_where_it_bites() -> None:
    step = only(nn.Conv2d(1, 1, (3, 4), (2, 1)), (1, 8, 9))
    assert step.formula == "H: ⌊(8 − 3 + 2·0)/2⌋ + 1 = 3, W: (9 − 4 + 2·0)/1 + 1 = 6"
    assert only(nn.Conv2d(1, 1, 3, dilation=2), (1, 8, 8)).formula == "(8 − 2·(3 − 1) − 1 + 2·0)/1 + 1 = 4"
    assert only(nn.MaxPool2d(2, ceil_mode=True), (1, 5, 5)).formula == "⌈(5 − 2 + 2·0)/2⌉ + 1 = 3"


def test_a_named_output_size_of_a_transposed_convolution_is_honoured() -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(2, 3, 3, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.up(x, output_size=(10, 10))
            return result

    step = dissect(Sized(), (2, 4, 4)).layers[0]
    assert (step.output, step.formula) == ((3, 10, 10), "(4 − 1)·2 − 2·0 + 3 + 1 = 10")


RECURRENT: list[tuple[nn.Module, int]] = [  # (layer, multiply-adds of five steps of 4 features)
    (nn.RNN(4, 6, batch_first=True), 5 * (6 * 4 + 6 * 6)),
    (nn.GRU(4, 6, batch_first=True), 5 * 3 * (6 * 4 + 6 * 6)),
    (nn.LSTM(4, 6, num_layers=2, batch_first=True), 5 * 4 * (6 * 4 + 6 * 6 + 6 * 6 + 6 * 6)),
    (nn.LSTM(4, 6, bidirectional=True, batch_first=True), 2 * 5 * 4 * (6 * 4 + 6 * 6)),
    (nn.LSTM(4, 6, proj_size=3, batch_first=True), 5 * (4 * (6 * 4 + 6 * 3) + 3 * 6)),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("layer", "cost"), RECURRENT)
def test_recurrent_layers(layer: nn.Module, cost: int) -> None:
    step = only(layer, (5, 4))
    assert step.output == tuple(layer(torch.zeros(1, 5, 4))[0].shape[1:])
    assert step.multiply_adds == cost == eval(step.multiply_adds_formula.replace("·", "*"))
    assert step.parameters == sum(weight.numel() for weight in layer.parameters())


NORMS: list[tuple[nn.Module, str, int]] = [
    (nn.BatchNorm2d(4), "(x − μ)/√(σ² + 1e-05)·γ + β", 8),
    (nn.BatchNorm2d(4, affine=False), "(x − μ)/√(σ² + 1e-05)", 0),
    (nn.InstanceNorm2d(4), "(x − μ)/√(σ² + 1e-05)", 0),
    (nn.GroupNorm(2, 4), "(x − μ)/√(σ² + 1e-05)·γ + β", 8),
    (nn.LayerNorm([4, 5, 5], bias=False), "(x − μ)/√(σ² + 1e-05)·γ", 100),
]


@pytest.mark.parametrize(("layer", "formula", "parameters"), NORMS)
def test_normalisations_keep_the_shape(layer: nn.Module, formula: str, parameters: int) -> None:
    step = only(layer, (4, 5, 5))
    assert (step.output, step.formula, step.parameters) == ((4, 5, 5), formula, parameters)


def test_embedding_and_attention() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(20, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            x = self.words(x)
            result: Tensor = self.attention(x, x, x)[0]
            return result

    words, attention = dissect(Reader(), (5,)).layers
    assert (words.output, words.parameters_formula) == ((5, 8), "20·8")
    assert attention.multiply_adds == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 == eval(attention.multiply_adds_formula.replace("·", "*"))
    assert attention.parameters == 4 * 64 + 32


def test_a_subclass_that_computes_something_else_is_told_by_its_real_output() -> None:
    class Padded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(nn.functional.pad(x, (2, 2, 2, 2)))

    step = only(Padded(1, 2, 3), (1, 6, 6))
    assert (step.output, step.formula, step.multiply_adds) == ((2, 8, 8), "1×6×6 → 2×8×8", 2 * 64 * 9)


def test_a_formula_that_disagrees_with_the_real_pass_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from konv.anatomy import _windows

    monkeypatch.setattr(_windows.Window, "size", lambda self, length: 7)
    with pytest.raises(AssertionError, match=r"konv's formula for 0 \(Conv2d\) gives \(2, 2, 7, 7\), the layer gave"):
        dissect(nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 6, 6))


# ---- receptive fields, against the gradients of the real layers --------------------------------------------------


def seen(network: nn.Module, side: int) -> tuple[int, float]:
    """Returns how many inputs the middle output depends on, first to last, and their centre minus the first output's."""
    values = torch.rand(1, 1, side, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(1)
    out = network.double().eval()(values)
    out[0, :, out.shape[-1] // 2].sum().backward()
    assert values.grad is not None
    touched = values.grad[0, 0].nonzero().flatten()
    return int(touched[-1] - touched[0]) + 1, float(touched[-1] + touched[0]) / 2


Block = Callable[[], nn.Module]
windows = st.builds(
    lambda kernel, stride, dilation, padding: nn.Conv1d(1, 1, kernel, stride, min(padding, kernel // 2), dilation),
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2),
)  # fmt: skip
averages = st.builds(nn.AvgPool1d, st.integers(1, 3), st.integers(1, 2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(windows, averages), min_size=1, max_size=4))
def test_receptive_field_stride_and_offset_are_what_gradients_say(layers: list[nn.Module]) -> None:
    network = nn.Sequential(*layers)
    step = dissect(network, (1, 331)).layers[-1]
    size, centre = seen(network, 331)
    assert step.receptive_field == (size,)
    assert step.offset is not None
    assert step.stride is not None
    assert centre == step.offset[0] + step.stride[0] * (step.output[1] // 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
def test_the_widest_field_of_a_transposed_convolution(kernel: int, stride: int, dilation: int, padding: int) -> None:
    network = nn.Sequential(nn.ConvTranspose1d(1, 1, kernel, stride, padding, dilation=dilation))
    step = only(network[0], (1, 41))
    values = torch.rand(1, 1, 41, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        network[0].weight.fill_(1)
    out = network.double()(values)
    widest = 0
    for place in range(out.shape[-1]):
        gradient = torch.autograd.grad(out[0, 0, place], values, retain_graph=True)[0][0, 0].nonzero().flatten()
        widest = max(widest, int(gradient[-1] - gradient[0]) + 1 if len(gradient) else 0)
    assert step.receptive_field == (widest,)


def test_branches_take_the_widest_and_a_gate_from_global_pooling_sees_everything() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 7, padding=3)
            self.gate, self.after = nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            both = torch.cat([self.narrow(x), self.wide(x)], dim=1)
            both = self.after(both)
            return both * self.gate(both)

    steps = {step.name: step for step in dissect(Branches(), (1, 20, 20)).layers}
    assert steps["cat"].receptive_field == (7, 7)
    assert steps["after"].receptive_field == (9, 9)
    assert steps["gate"].receptive_field == (26, 26)
    assert steps["mul"].receptive_field == (26, 26)
    assert steps["mul"].stride == (1, 1)


def test_what_cannot_be_followed_is_not_guessed() -> None:
    class Rolled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.roll(x, 3, dims=2)

    assert dissect(nn.Sequential(Rolled(), nn.Conv2d(1, 1, 3)), (1, 8, 8)).layers[-1].receptive_field is None


def test_an_odd_operation_never_breaks_a_network_that_runs() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.fft.rfft(x).abs() + x.amax(dim=(2, 3), keepdim=True) + torch.einsum("nchw->nc", x)[..., None, None]
            x = x.reshape(-1)[:0].reshape(0, 3).sum() + x.sort(dim=-1).values + torch.cumsum(x, 2)
            return torch.stack([x, x.flip(2)]).unbind(0)[0].movedim(1, -1).std(dim=-1)

    anatomy = dissect(nn.Sequential(nn.Conv2d(2, 3, 3), Odd()), (2, 8, 8))
    assert anatomy.complete
    assert anatomy.layers[-1].output == (6, 4)

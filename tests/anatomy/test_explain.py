"""explain: one layer at length; the value worked out by hand is torch's, the table of arguments is computed."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import konv
from konv import models
from konv.anatomy import explain
from konv.core.anatomy import Explanation


def explained(layer: nn.Module, shape: tuple[int, ...]) -> Explanation:
    return explain(nn.Sequential(layer), shape, "0")


def test_a_convolution_is_worked_out_product_by_product() -> None:
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    found = explained(layer, (2, 9, 9))
    first, second = found.worked
    assert (first.place, second.place) == ((0, 0), (0, 1))
    assert first.window[0] == (0.0, 0.0, 0.0)
    assert second.window[1][0] == first.window[1][2]  # the window has moved by two
    for worked in found.worked:
        for window, kernel, products in zip(worked.window, worked.kernel, worked.products, strict=True):
            assert products == pytest.approx([value * weight for value, weight in zip(window, kernel, strict=True)])
        assert worked.numbers["sum"] == pytest.approx(sum(map(sum, worked.products)))
        assert worked.result == pytest.approx(worked.torch, abs=1e-5)
        assert worked.kernel == tuple(tuple(row) for row in layer.weight[0, 0].double().tolist())
        assert list(worked.numbers) == ["sum", "channels", "bias"]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from(["conv", "max", "avg"]))
def test_every_convolution_and_pooling_agrees_with_torch(data: st.DataObject, count: int, kind: str) -> None:
    kernel, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    padding, dilation = data.draw(st.integers(0, kernel // 2)), data.draw(st.integers(1, 2))
    shape = (4, *[data.draw(st.integers(3, 8))] * count)
    ceil: Any = {"ceil_mode": data.draw(st.booleans())}
    if kind == "conv":
        layer: nn.Module = getattr(nn, f"Conv{count}d")(
            4, 4, kernel, stride, padding, dilation, data.draw(st.sampled_from([1, 2, 4]))
        )
    elif kind == "max":
        layer = getattr(nn, f"MaxPool{count}d")(kernel, stride, padding, dilation, **ceil)
    else:
        layer = getattr(nn, f"AvgPool{count}d")(kernel, stride, padding, **ceil, count_include_pad=data.draw(st.booleans()))
    try:
        layer(torch.zeros(1, *shape))
    except RuntimeError:
        assume(False)
    found = explained(layer, shape)
    assert found.worked
    assert all(worked.result == pytest.approx(worked.torch, abs=1e-5) for worked in found.worked)


def test_batch_norm_and_linear_are_worked_out_too() -> None:
    norm = nn.BatchNorm2d(3)
    norm(torch.rand(8, 3, 5, 5))
    worked = explained(norm, (3, 5, 5)).worked[0]
    assert list(worked.numbers) == ["x", "mean", "variance", "epsilon", "gamma", "beta"]
    assert worked.result == pytest.approx(worked.torch, abs=1e-5)
    worked = explained(nn.Linear(8, 2), (8,)).worked[0]
    assert list(worked.numbers) == ["sum", "features", "bias"]
    assert worked.result == pytest.approx(worked.torch, abs=1e-5)


def test_each_argument_is_changed_alone_and_the_result_is_computed() -> None:
    found = explained(nn.Conv2d(4, 8, 3, padding=1), (4, 10, 10))
    assert found.variants[0].argument == ""
    assert found.variants[0].output == (8, 10, 10)
    rows = {(row.argument, row.value): row for row in found.variants}
    assert rows["stride", "2"].output == (8, 5, 5)
    assert rows["padding", "0"].output == (8, 8, 8)
    assert rows["dilation", "2"].receptive_field == (5, 5)
    assert rows["groups", "4"].parameters == 8 * 1 * 9 + 8
    assert rows["bias", "False"].parameters == 8 * 4 * 9
    assert rows["kernel_size", "5"].multiply_adds == 8 * 8 * 8 * 4 * 25
    assert ("stride", "1") not in rows
    plain = {(row.argument, row.value): row for row in explained(nn.BatchNorm2d(3), (3, 4, 4)).variants}["affine", "False"]
    assert (plain.output, plain.parameters) == ((3, 4, 4), 0)


def test_an_argument_that_does_not_fit_has_no_output() -> None:
    rows = {(row.argument, row.value): row for row in explained(nn.Conv2d(1, 1, 3), (1, 4, 4)).variants}
    assert rows["kernel_size", "7"].output is None
    assert rows["dilation", "3"].output is None


def test_the_explained_network_is_left_alone() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    explain(network, (2, 5, 5), "0")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert network[0].training
    assert network[0].weight.dtype == torch.float32


def test_an_unknown_layer_is_told_with_its_nearest() -> None:
    network = models.build(konv.Choice(name="fashion_cnn"), 1, (28, 28), 10)
    with pytest.raises(konv.UnknownName, match=r"no layer named 'conv3', did you mean conv2\? Layers: conv1, norm1"):
        explain(network, (1, 28, 28), "conv3")


def test_layers_without_an_example_are_still_explained() -> None:
    found = explained(nn.ReLU(), (3, 4, 4))
    assert (found.layer.kind, found.worked, found.variants) == ("ReLU", (), ())

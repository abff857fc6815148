"""The networks on the shelf, counted by hand."""

import pytest
import torch
from torch import nn

from konv.core.errors import BadModel, UnknownName
from konv.core.recipe import Choice
from konv.doctor import check
from konv.models import build
from konv.models._layers import Flatten

GREY_28 = (1, (28, 28), 10)


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_mlp_is_784_256_128_10() -> None:
    network = build(Choice(name="mlp"), *GREY_28)
    assert [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)] == [256, 128, 10]
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.2]
    assert parameters(network) == (784 * 256 + 256) + (256 * 128 + 128) + (128 * 10 + 10) == 235_146


def test_fashion_cnn_has_2304_flat_features() -> None:
    network = build(Choice(name="fashion_cnn"), *GREY_28)
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
    assert first.in_features == 64 * 6 * 6 == 2_304
    convolutions = (1 * 9 * 32 + 32) + (32 * 9 * 64 + 64)
    norms = 2 * 32 + 2 * 64  # gain and shift of each channel
    dense = (2_304 * 600 + 600) + (600 * 120 + 120) + (120 * 10 + 10)
    assert parameters(network) == convolutions + norms + dense == 1_475_338


def test_plain_is_16_32_128() -> None:
    network = build(Choice(name="plain"), *GREY_28)
    blocks = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert blocks == [16, 32]
    convolutions = 1 * 9 * 16 + 16 * 9 * 32
    dense = 32 * 7 * 7 * 128 + (128 * 10 + 10)
    assert parameters(network) == convolutions + 2 * (16 + 32) + dense + 2 * 128 == 207_098


def test_a_perceptron_is_one_matrix() -> None:
    assert parameters(build(Choice(name="perceptron"), *GREY_28)) == 784 * 10 + 10


@pytest.mark.parametrize("side", [28, 32])
def test_lenet5_has_400_flat_features_for_digits_of_both_sizes(side: int) -> None:
    network = build(Choice(name="lenet5"), 1, (side, side), 10)
    convolutions = (25 * 6 + 6) + (6 * 25 * 16 + 16)
    dense = (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10)
    assert parameters(network) == convolutions + dense == 61_706
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in network.modules()) == 2
    assert sum(isinstance(layer, nn.Tanh) for layer in network.modules()) == 4


def test_cifar_cnn_is_3_16_32_and_2048_128_10() -> None:
    network = build(Choice(name="cifar_cnn"), 3, (32, 32), 10)
    assert [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)] == [16, 32]
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(2_048, 128), (128, 10)]
    assert {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)} == {0.25, 0.5}
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 2


@pytest.mark.parametrize("side", [28, 32, 48])
def test_vgg_small_has_thirteen_convolutions_and_a_head_of_512(side: int) -> None:
    network = build(Choice(name="vgg_small"), 3, (side, side), 10)
    kernels = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in kernels] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(512, 512), (512, 10)]
    convolutions = sum(layer.in_channels * 9 * layer.out_channels + 2 * layer.out_channels for layer in kernels)
    assert parameters(network) == convolutions + 512 * 512 + 2 * 512 + 512 * 10 + 10 == 14_987_210
    assert network.eval()(torch.zeros(1, 3, side, side)).shape == (1, 10)


@pytest.mark.parametrize(("side", "blocks"), [(8, 2), (32, 2), (35, 2), (36, 3), (64, 3), (224, 5)])
def test_plain_adds_a_block_each_time_the_side_doubles(side: int, blocks: int) -> None:
    network = build(Choice(name="plain", width=2, head=4), 3, (side, side), 2)
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == blocks


@pytest.mark.parametrize("space", [(4, 100), (100, 4), (8, 33), (5, 90, 17)])
def test_plain_takes_long_and_narrow_inputs(space: tuple[int, ...]) -> None:
    check(build(Choice(name="plain", width=2), 1, space, 3), (1, *space), 3)


def test_hidden_layers_and_dropout_are_options() -> None:
    network = build(Choice(name="mlp", hidden=(5, 4, 3), dropout=0.5, activation="tanh"), 2, (3,), 2)
    assert [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)] == [5, 4, 3, 2]
    assert sum(isinstance(layer, nn.Tanh) for layer in network.modules()) == 3
    straight = build(Choice(name="mlp", hidden=()), 2, (3,), 2)  # softmax regression
    assert parameters(straight) == 6 * 2 + 2


def test_pooling_before_the_norm_gives_the_same_as_after_it() -> None:
    """What plain's docstring claims: a maximum commutes with a function that only rises."""
    torch.manual_seed(0)
    pool, norm, x = nn.MaxPool2d(2), nn.BatchNorm2d(3).eval(), torch.randn(2, 3, 8, 8)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    torch.testing.assert_close(norm(pool(x)).relu(), pool(norm(x).relu()))


def test_an_unknown_model_is_guessed() -> None:
    with pytest.raises(UnknownName, match="did you mean fashion_cnn"):
        build(Choice(name="fasion_cnn"), *GREY_28)


def test_inputs_that_are_too_small_are_named_with_the_minimum() -> None:
    with pytest.raises(
        BadModel, match=r"^fashion_cnn needs inputs of at least 8 per side; these are 28×7\. Take larger ones, or mlp\.$"
    ):
        build(Choice(name="fashion_cnn"), 1, (28, 7), 10)


def test_flattening_keeps_values_and_brings_the_gradient_back_in_the_layout_of_the_features() -> None:
    features = torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    moved = features * 1
    flat = Flatten()(moved)
    assert torch.equal(flat, features.flatten(1))
    came_back: list[torch.Tensor] = []
    moved.register_hook(came_back.append)
    weights = torch.randn(flat.shape)
    (flat * weights).sum().backward()
    assert torch.equal(features.grad, weights.view(3, 4, 5, 6))
    assert came_back[0].is_contiguous(memory_format=torch.channels_last)

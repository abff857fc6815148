"""The residual network: what a shortcut is, and how the stages follow the picture."""

import torch
from torch import nn

from konv.core.recipe import Choice
from konv.models import build
from konv.models.residual import Residual


def widths(network: nn.Module) -> list[int]:
    return [layer.out_channels for name, layer in network.named_children() if name.startswith("conv")]


def test_a_shortcut_adds_its_input_to_what_its_layers_give() -> None:
    inner = nn.Conv2d(3, 3, 1)
    features = torch.randn(2, 3, 4, 4)
    assert torch.equal(Residual(inner)(features), features + inner(features))


def test_28_by_28_pictures_meet_three_stages_and_two_shortcuts() -> None:
    network = build(Choice(name="residual"), 1, (28, 28), 10)
    assert widths(network) == [32, 64, 128]
    shortcuts = 2 * (64 * 64 * 9) + 2 * (128 * 128 * 9)
    stages = 32 * 9 + 64 * 32 * 9 + 128 * 64 * 9
    norms = 2 * (32 + 3 * 64 + 3 * 128)
    assert sum(weight.numel() for weight in network.parameters()) == shortcuts + stages + norms + 128 * 10 + 10


def test_larger_pictures_meet_more_stages_and_end_at_no_more_than_eight_places_a_side() -> None:
    network = build(Choice(name="residual", width=2), 1, (100, 60), 4)
    assert widths(network) == [2, 4, 8, 16, 32]
    sides = []
    network.pool.register_forward_hook(lambda _, given, __: sides.append(tuple(given[0].shape[2:])))
    network(torch.zeros(2, 1, 100, 60))
    assert sides == [(6, 3)]


def test_blocks_is_the_number_of_shortcuts_of_a_stage() -> None:
    counts = {
        blocks: sum(isinstance(layer, Residual) for layer in build(Choice(name="residual", blocks=blocks), 1, (28, 28), 10))
        for blocks in (1, 3)
    }
    assert counts == {1: 2, 3: 6}

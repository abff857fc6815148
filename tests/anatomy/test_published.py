"""Parameters and multiply-adds against the counts that torchvision publishes with its weights (`num_params`, `_ops`).

The numbers stand here as torchvision 0.29.2 gives them (docs.pytorch.org/vision/stable/models.html), with the receptive
field of the last layer that still moves over the picture. `_ops` are multiply-adds in thousands of millions, three digits.
"""

import pytest
import torch
import torchvision.models as published
from torch import nn

from konv.anatomy import dissect
from konv.core.anatomy import Anatomy

FAST = {  # name: side, parameters, multiply-adds (10⁹)
    "alexnet": (224, 61_100_840, 0.714),
    "vgg11": (224, 132_863_336, 7.609),
    "vgg16": (224, 138_357_544, 15.47),
    "vgg19_bn": (224, 143_678_248, 19.632),
    "resnet18": (224, 11_689_512, 1.814),
    "resnet50": (224, 25_557_032, 4.089),
    "resnext50_32x4d": (224, 25_028_904, 4.23),
    "squeezenet1_0": (224, 1_248_424, 0.819),
    "squeezenet1_1": (224, 1_235_496, 0.349),
    "googlenet": (224, 6_624_904, 1.498),
    "shufflenet_v2_x1_0": (224, 2_278_604, 0.145),
    "mobilenet_v2": (224, 3_504_872, 0.301),
    "mobilenet_v3_small": (224, 2_542_856, 0.057),
    "mnasnet0_5": (224, 2_218_512, 0.104),
    "vit_b_32": (224, 88_224_232, 4.409),
}
SLOW = {
    "convnext_tiny": (224, 28_589_128, 4.456),
    "convnext_small": (224, 50_223_688, 8.684),
    "densenet121": (224, 7_978_856, 2.834),
    "densenet161": (224, 28_681_000, 7.728),
    "densenet169": (224, 14_149_480, 3.36),
    "efficientnet_b0": (224, 5_288_548, 0.386),
    "efficientnet_b1": (240, 7_794_184, 0.687),
    "efficientnet_b2": (288, 9_109_994, 1.088),
    "efficientnet_b3": (300, 12_233_232, 1.827),
    "efficientnet_v2_s": (384, 21_458_488, 8.366),
    "mnasnet1_0": (224, 4_383_312, 0.314),
    "mnasnet1_3": (224, 6_282_256, 0.526),
    "mobilenet_v3_large": (224, 5_483_032, 0.217),
    "resnet34": (224, 21_797_672, 3.664),
    "resnet101": (224, 44_549_160, 7.801),
    "resnet152": (224, 60_192_808, 11.514),
    "resnext101_32x8d": (224, 88_791_336, 16.414),
    "shufflenet_v2_x0_5": (224, 1_366_792, 0.04),
    "shufflenet_v2_x1_5": (224, 3_503_624, 0.296),
    "shufflenet_v2_x2_0": (224, 7_393_996, 0.583),
    "swin_t": (224, 28_288_354, 4.491),
    "swin_v2_t": (256, 28_351_570, 5.94),
    "vgg11_bn": (224, 132_868_840, 7.609),
    "vgg13": (224, 133_047_848, 11.308),
    "vgg13_bn": (224, 133_053_736, 11.308),
    "vgg16_bn": (224, 138_365_992, 15.47),
    "vgg19": (224, 143_667_240, 19.632),
    "vit_b_16": (224, 86_567_656, 17.564),
    "wide_resnet50_2": (224, 68_883_240, 11.398),
    "wide_resnet101_2": (224, 126_886_696, 22.753),
}
FIELDS = {  # pixels; Araujo et al., distill.pub/2019/computing-receptive-fields, for the networks torchvision builds alike
    "alexnet": 195,
    "vgg16": 212,
    "resnet18": 435,
    "mobilenet_v2": 491,
}


def anatomy_of(name: str, side: int) -> Anatomy:
    """Shapes and costs need no weights: the network is built on torch's meta device."""
    options = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        network: nn.Module = published.get_model(name, **options)
    if name == "googlenet":  # the published count has no auxiliary heads
        network.aux_logits = network.aux1 = network.aux2 = None
    return dissect(network, (3, side, side))


def test_the_table_has_forty_networks_and_is_what_torchvision_says() -> None:
    table = FAST | SLOW
    assert len(table) >= 40
    for name, (side, parameters, cost) in table.items():
        weights = next(iter(published.get_model_weights(name)))
        assert (weights.meta["num_params"], weights.meta["_ops"]) == (parameters, cost), name
        assert weights.transforms().crop_size == [side], name


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_counts_are_the_published_ones(name: str) -> None:
    side, parameters, cost = (FAST | SLOW)[name]
    anatomy = anatomy_of(name, side)
    assert anatomy.parameters == parameters
    assert anatomy.multiply_adds / 1e9 == pytest.approx(cost, abs=0.000501)
    assert sum(layer.parameters for layer in anatomy.layers) == parameters
    assert not anatomy.unused


@pytest.mark.parametrize("name", FIELDS)
def test_receptive_fields_are_the_published_ones(name: str) -> None:
    moving = [layer for layer in anatomy_of(name, 224).layers if layer.stride is not None and layer.stride[0] > 0]
    assert moving[-1].receptive_field == (FIELDS[name], FIELDS[name])


def test_auxiliary_heads_that_do_not_run_in_evaluation_are_named_as_unused() -> None:
    with torch.device("meta"):
        network = published.get_model("inception_v3", init_weights=False)
    anatomy = dissect(network, (3, 299, 299))
    assert anatomy.parameters == 27_161_264
    assert {unused.name.partition(".")[0] for unused in anatomy.unused} == {"AuxLogits"}
    assert round(anatomy.multiply_adds / 1e9, 3) == 5.713

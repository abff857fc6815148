"""What every model on the shelf keeps: shapes, gradients, a batch of one, its options, its stated sizes and counts.

What trains takes the first variant of a family; counts take all of them, without memory (device meta).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import get_args

import pytest
import torch
from torch import nn

from konv.core.errors import BadModel
from konv.core.options import Activation
from konv.core.recipe import Choice
from konv.core.shelf import Entry
from konv.core.shelves import MODELS
from konv.doctor import check
from konv.models import auxiliary_of, build, logits_of, minimum_side

FAMILIES = [entry for entry in MODELS.entries() if not entry.open]
SMALLEST = {
    "densenet": "densenet121",
    "mobilenet": "mobilenet_v3_small",
    "regnet": "regnet_y_400mf",
    "squeezenet": "squeezenet1_1",
    "vgg": "vgg11_bn",
}
ENTRIES = {entry.name: entry for entry in (MODELS.entry(SMALLEST.get(family.name, family.name)) for family in FAMILIES)}
ALL_DIMENSIONS = (1, 2, 3)
HUGE = ("alexnet", "vgg")  # tens of millions of weights in dense layers: once is enough
SMALL = {"vgg_small": {"width": 4}}  # options that keep the thirteen convolutions quick in three dimensions


def dimensions(name: str) -> tuple[int, ...]:
    return tuple(ENTRIES[name].constants.get("DIMENSIONS", ALL_DIMENSIONS))


def cases() -> Iterator[tuple[str, int, int, int]]:
    """Name, dimensions, channels, classes: all combinations where they are cheap, else two."""
    for name, entry in ENTRIES.items():
        if dimensions(name) == ALL_DIMENSIONS:
            yield from product([name], ALL_DIMENSIONS, (1, 3, 5), (2, 7))
        else:
            yield name, 2, 1, 2
            if entry.module not in HUGE:
                yield name, 2, 5, 7


def choice(name: str, **options: object) -> Choice:
    return Choice(name=name, **{**SMALL.get(name, {}), **options})


def minimum(name: str) -> int:
    return minimum_side(Choice(name=name))


def side(name: str, wanted: int) -> int:
    return max(wanted, minimum(name))


@pytest.mark.parametrize(("name", "dimensions", "channels", "classes"), list(cases()))
def test_scores_and_gradients(name: str, dimensions: int, channels: int, classes: int) -> None:
    torch.manual_seed(0)
    space = (minimum(name),) * dimensions
    network = build(choice(name), channels, space, classes)
    outputs = network(torch.randn(2, channels, *space))
    logits = logits_of(outputs)
    assert logits.shape == (2, classes)
    assert all(scores.shape == (2, classes) for scores in auxiliary_of(outputs))
    assert logits.isfinite().all()
    sum(scores.square().sum() for scores in (logits, *auxiliary_of(outputs))).backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None] == []
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.module not in HUGE])
def test_a_larger_and_uneven_space_fits(name: str) -> None:
    space = (minimum(name) + 5, minimum(name) + 12)
    check(build(choice(name), 3, space, 4), (3, *space), 4)


@pytest.mark.parametrize("name", ENTRIES)
def test_one_picture_is_answered_as_among_others(name: str) -> None:
    torch.manual_seed(0)
    space = (minimum(name) + 4,) * 2
    network = build(choice(name), 1, space, 3).eval()
    inputs = torch.randn(5, 1, *space)
    with torch.no_grad():
        torch.testing.assert_close(network(inputs[2:3])[0], network(inputs)[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.module not in (*HUGE, "inception")])
def test_pictures_can_be_learnt_one_at_a_time(name: str) -> None:
    """Where a side head or a 1×1 map ends in batch normalisation, as in inception, the layer is named instead."""
    space = (side(name, 32),) * 2
    network = build(choice(name), 1, space, 3)
    check(network, (1, *space), 3, batch=1)


@pytest.mark.parametrize("name", ENTRIES)
def test_too_small_an_input_is_refused_with_the_minimum(name: str) -> None:
    if minimum(name) == 1:
        pytest.skip(f"{name} takes any size")
    with pytest.raises(BadModel, match=f"{name} needs inputs of at least {minimum(name)} per side"):
        build(Choice(name=name), 1, (28, minimum(name) - 1), 10)


@pytest.mark.parametrize("name", [name for name in ENTRIES if "stem" in {option.name for option in ENTRIES[name].options}])
def test_the_large_stem_has_a_minimum_of_its_own(name: str) -> None:
    large = Choice(name=name, stem="large")
    lowest = minimum_side(large)
    if ENTRIES[name].module not in HUGE:
        check(build(large, 1, (lowest, lowest), 2), (1, lowest, lowest), 2)
    if lowest > 1:
        with pytest.raises(BadModel, match=f"{name} needs inputs of at least {lowest} per side"):
            build(large, 1, (lowest - 1, lowest), 2)


@pytest.mark.parametrize("name", [name for name in ENTRIES if dimensions(name) != ALL_DIMENSIONS])
@pytest.mark.parametrize("space", [(64,), (64, 64, 64)])
def test_signals_and_volumes_are_refused_where_a_model_takes_pictures_only(name: str, space: tuple[int, ...]) -> None:
    with pytest.raises(BadModel, match=f"{name} takes pictures"):
        build(Choice(name=name), 1, space, 2)


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.module not in HUGE])
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network = build(choice(name), 1, (side(name, 12),) * 2, 3)
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
    network = build(choice(name, **options), 1, (12, 12), 3)
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
    sides = (side(name, 12),) * 2
    network, inputs = build(choice(name, dropout=0.5), 1, sides, 3), torch.randn(4, 1, *sides)
    with torch.no_grad():
        assert not torch.equal(logits_of(network(inputs)), logits_of(network(inputs)))
        network.eval()
        assert torch.equal(network(inputs), network(inputs))


# ---- what the files state ----


@contextmanager
def without_memory() -> Iterator[None]:
    """Builds on device meta; regnet reckons its widths with tensors, which needs numbers."""
    from torchvision.models import regnet

    reckon = regnet.BlockParams.from_init_params

    def on_the_processor(*given: object, **more: object) -> object:
        with torch.device("cpu"):
            return reckon(*given, **more)

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(regnet.BlockParams, "from_init_params", on_the_processor)
        yield


MEASURED = [
    (name, stem)
    for name in MODELS.choices()
    if MODELS.entry(name).constants.get("WEIGHTS")
    for stem in ("small", "large")
    if minimum_side(Choice(name=name, stem=stem)) > 1
    if stem == "large" or "stem" in {option.name for option in MODELS.entry(name).options}
]


@pytest.mark.parametrize(("name", "stem"), MEASURED)
def test_the_stated_minimum_is_the_smallest_side_that_runs(name: str, stem: str) -> None:
    options = {"stem": stem} if "stem" in {option.name for option in MODELS.entry(name).options} else {}
    lowest = minimum_side(Choice(name=name, **options))
    with without_memory():
        network = build(Choice(name=name, **options), 1, (lowest, lowest), 2)
        assert logits_of(network(torch.zeros(2, 1, lowest, lowest))).shape == (2, 2)
        with pytest.raises(RuntimeError):
            network(torch.zeros(2, 1, lowest - 1, lowest - 1))


def counted(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", MODELS.choices())
def test_the_stated_number_of_parameters_is_built(name: str) -> None:
    entry = MODELS.entry(name)
    channels, space, classes = entry.constants.get("SETTING", (3, (224, 224), 1000))
    with without_memory():
        assert counted(build(Choice(name=name), channels, space, classes)) == entry.constants["PARAMETERS"]


@pytest.mark.parametrize("name", [name for name in MODELS.choices() if MODELS.entry(name).constants.get("WEIGHTS")])
def test_torchvision_publishes_the_same_number_and_size(name: str) -> None:
    from torchvision.models import get_model_weights

    constants, weights = MODELS.entry(name).constants, get_model_weights(name)
    assert {one.meta["num_params"] for one in weights} == {constants["PARAMETERS"]}
    side = constants.get("SETTING", (3, (224, 224), 1000))[1][0]
    assert side in {one.transforms().crop_size[0] for one in weights}


def test_every_convolutional_network_of_torchvision_is_there() -> None:
    import torchvision.models

    others = ("vit_", "swin_", "maxvit_")  # transformers
    wanted = {name for name in torchvision.models.list_models(torchvision.models) if not name.startswith(others)}
    assert wanted <= set(MODELS.choices())


def test_no_two_files_answer_to_one_name() -> None:
    names = MODELS.choices()
    assert len(names) == len(set(names))
    assert not {family.name for family in FAMILIES if family.variants} & (set(names) - set(ENTRIES))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda entry: entry.name)
def test_every_family_states_what_the_table_of_models_needs(family: Entry) -> None:
    assert family.description
    assert family.constants["MINIMUM_SIDE"] >= 1
    for name in family.variants:
        fixed = MODELS.entry(name).fixed
        assert fixed.keys() <= {"variant"} | {option.name for option in family.options}

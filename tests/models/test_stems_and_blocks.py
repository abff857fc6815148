"""Networks made to fit: stems by picture size, blocks by option, timm where it is installed."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from konv.core.errors import BadModel, MissingExtra
from konv.core.options import Stem
from konv.core.recipe import Choice
from konv.core.shelves import MODELS
from konv.doctor import check
from konv.models import build, view_of

STEMMED = sorted({entry.module for entry in MODELS.entries() if "stem" in {option.name for option in entry.options}})


def first(network: nn.Module) -> nn.Conv2d:
    return next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))


def sizes(network: nn.Module, side: int) -> list[int]:
    """Sides of the feature maps after every convolution."""
    seen: list[int] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, output: seen.append(output.shape[-1]))
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, side, side))
    return seen


@pytest.mark.parametrize("name", STEMMED)
@pytest.mark.parametrize(
    ("stem", "side", "small"), [("auto", 64, True), ("auto", 65, False), ("small", 65, True), ("large", 64, False)]
)
def test_the_stem_follows_the_picture_size(name: str, stem: Stem, side: int, small: bool) -> None:
    with torch.device("cpu" if name == "regnet" else "meta"):
        layer = first(build(Choice(name=name, stem=stem), 1, (side, side), 2))
    assert ((layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))) == small


def test_a_small_stem_keeps_the_size_of_the_picture() -> None:
    assert sizes(build(Choice(name="resnet18"), 1, (32, 32), 2), 32)[:2] == [32, 32]
    assert sizes(build(Choice(name="resnet18", stem="large"), 1, (32, 32), 2), 32)[:2] == [16, 8]


def test_published_weights_ask_for_the_published_stem() -> None:
    with torch.device("meta"):
        network = build(Choice(name="resnet18", weights="DEFAULT"), 3, (32, 32), 2, pretrained=False)
    assert first(network).kernel_size == (7, 7)


def test_torchvision_is_loaded_only_for_its_own_networks() -> None:
    """It costs two seconds."""
    code = (
        "import sys; from konv.models import build, view_of; from konv.core.recipe import Choice\n"
        "for name in ('plain', 'lenet5', 'separable'): build(Choice(name=name), 1, (32, 32), 2); view_of(Choice(name=name))\n"
        "print('torchvision' in sys.modules)\n"
        "build(Choice(name='resnet18'), 1, (32, 32), 2); print('torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_torchvisions_networks_are_torchvisions() -> None:
    import torchvision.models

    torch.manual_seed(3)
    wanted = torchvision.models.resnet18(num_classes=10).state_dict()
    torch.manual_seed(3)
    given = build(Choice(name="resnet18", stem="large"), 3, (64, 64), 10).state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in given.items())
    assert wanted.keys() == given.keys()


@pytest.mark.parametrize(("auxiliary", "parameters"), [(False, 6_624_904), (True, 13_004_888)])
def test_googlenet_has_its_two_side_heads_on_request(auxiliary: bool, parameters: int) -> None:
    with torch.device("meta"):
        network = build(Choice(name="googlenet", auxiliary=auxiliary), 3, (224, 224), 1000)
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    assert len(network(torch.zeros(2, 3, 224, 224, device="meta"))) == (3 if auxiliary else 2)  # heads, or pictures


@pytest.mark.parametrize("side", [75, 128, 224, 299])
def test_inceptions_side_head_takes_any_size(side: int) -> None:
    with torch.device("meta"):
        network = build(Choice(name="inception_v3"), 3, (side, side), 5)
        scores, side_scores = network(torch.zeros(2, 3, side, side))
    assert scores.shape == side_scores.shape == (2, 5)


def test_inceptions_side_head_is_torchvisions_at_the_published_size() -> None:
    from torchvision.models.inception import InceptionAux

    from konv.models.inception import SideHead

    own, published, features = SideHead(768, 4).eval(), InceptionAux(768, 4).eval(), torch.randn(2, 768, 17, 17)
    own.load_state_dict(published.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(own(features), published(features))


# ---- separable ----


def spatial(network: nn.Module) -> list[nn.Conv2d]:
    """The kernels of the blocks that look around."""
    return [layer for layer in list(network.modules()) if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)][1:]


def test_separable_blocks_keep_channels_apart_and_mix_them_afterwards() -> None:
    network = build(Choice(name="separable"), 3, (32, 32), 10)
    assert all(layer.groups == layer.in_channels for layer in spatial(network))
    stem = 3 * 9 * 32 + 2 * 32
    blocks = [(32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    counted = sum(9 * inputs + 2 * inputs + inputs * outputs + 2 * outputs for inputs, outputs in blocks)
    assert sum(weight.numel() for weight in network.parameters()) == stem + counted + 256 * 10 + 10 == 141_706


def test_dilation_spreads_kernels_where_the_size_is_kept() -> None:
    network = build(Choice(name="separable", dilation=3), 3, (32, 32), 10)
    assert {(layer.stride, layer.dilation) for layer in spatial(network)} == {((2, 2), (1, 1)), ((1, 1), (3, 3))}
    assert sizes(build(Choice(name="separable", dilation=3), 1, (32, 32), 2), 32)[-1] == 4


def test_a_bottleneck_cuts_the_channels_of_the_kernels() -> None:
    wide, narrow = (spatial(build(Choice(name="separable", bottleneck=b, depthwise=False), 3, (32, 32), 10)) for b in (1, 4))
    assert [layer.in_channels // 4 for layer in wide] == [layer.in_channels for layer in narrow]
    assert {layer.groups for layer in (*wide, *narrow)} == {1}


@pytest.mark.parametrize("space", [(40,), (20, 31), (9, 12, 10)])
@pytest.mark.parametrize(
    "options", [{"dilation": 2}, {"bottleneck": 4}, {"depthwise": False, "kernel": 5}, {"stages": 1, "blocks": 1}]
)
def test_every_block_works_in_every_dimension(space: tuple[int, ...], options: dict[str, Any]) -> None:
    check(build(Choice(name="separable", width=4, **options), 2, space, 3), (2, *space), 3)


# ---- timm ----


class Transformer(nn.Module):
    """Stands for a network that is made for one picture size."""

    def __init__(self, img_size: tuple[int, int], in_chans: int, num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.img_size = img_size
        self.body = nn.Sequential(nn.Conv2d(in_chans, 4, 3), nn.Flatten(), nn.LazyLinear(num_classes))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.body(inputs)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package of one network, `tiny_16`, in timm's place."""

    def create_model(name: str, *, pretrained: bool = False, in_chans: int = 3, num_classes: int = 7, **more: Any) -> nn.Module:
        torch.manual_seed(5 if pretrained else torch.initial_seed())
        network = Transformer(in_chans=in_chans, num_classes=num_classes, drop_rate=0.0, img_size=more["img_size"])
        network(torch.zeros(1, in_chans, *more["img_size"]))
        return network

    facts = SimpleNamespace(fixed_input_size=True, input_size=(3, 16, 16), mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    facts.crop_pct, facts.interpolation = 0.9, "bicubic"
    package = SimpleNamespace(
        __version__="0",
        is_model=lambda name: name == "tiny_16",
        list_models=lambda: ["tiny_16"],
        get_pretrained_cfg=lambda name: facts,
        create_model=create_model,
    )
    monkeypatch.setitem(sys.modules, "timm", package)
    return package


def test_timms_networks_are_made_for_the_picture_size_where_they_have_one(timm: SimpleNamespace) -> None:
    network = build(Choice(name="timm:tiny_16"), 2, (20, 24), 3)
    assert network.img_size == (20, 24)
    check(network, (2, 20, 24), 3)


def test_timms_weights_are_folded_and_bring_their_view(timm: SimpleNamespace) -> None:
    choice = Choice(name="timm:tiny_16", weights="DEFAULT")
    published = timm.create_model("tiny_16", pretrained=True, img_size=(20, 24))
    grey = torch.randn(2, 1, 20, 24)
    network = build(choice, 1, (20, 24), 7)
    with torch.no_grad():
        torch.testing.assert_close(network(grey), published(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)
    view = view_of(choice)
    assert view is not None
    assert (view.space, view.mean, view.centre, view.interpolation) == ((16, 16), (0.1, 0.2, 0.3), 0.9, "bicubic")
    with pytest.raises(BadModel, match="no weights of timm:tiny_16: take DEFAULT, or give a file"):
        build(Choice(name="timm:tiny_16", weights="best"), 1, (20, 24), 7)


def test_timms_weights_that_cannot_be_fetched_are_one_sentence(timm: SimpleNamespace) -> None:
    def offline(name: str, **options: Any) -> nn.Module:
        if options.get("pretrained"):
            raise OSError("no route to host\nand more")
        return published(name, **options)

    published, timm.create_model = timm.create_model, offline
    with pytest.raises(
        BadModel, match=r"^the weights of timm:tiny_16 are not on this machine .*no route to host\): .*HF_HOME.*$"
    ):
        build(Choice(name="timm:tiny_16", weights="DEFAULT"), 1, (20, 24), 7)


def test_an_unknown_network_of_timm_is_guessed(timm: SimpleNamespace) -> None:
    with pytest.raises(BadModel, match="timm 0 has no model 'tiny_61', did you mean tiny_16"):
        build(Choice(name="timm:tiny_61"), 1, (16, 16), 3)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"the model timm:resnet18 needs the package timm.*konv\[timm\]"):
        build(Choice(name="timm:resnet18"), 1, (16, 16), 3)


def test_a_real_network_of_timm() -> None:
    pytest.importorskip("timm", reason="the extra konv[timm] is not installed")
    for name, channels, space in (("timm:resnet18", 1, (33, 40)), ("timm:vit_tiny_patch16_224", 2, (64, 64))):
        check(build(Choice(name=name), channels, space, 3), (channels, *space), 3)


def test_inceptions_side_head_needs_two_pictures_at_a_time() -> None:
    with pytest.raises(BadModel, match=r"batch of one.* Take fit\.batch_size = 2 or more"):
        check(build(Choice(name="inception_v3"), 1, (75, 75), 3), (1, 75, 75), 3, batch=1)
    check(build(Choice(name="inception_v3", auxiliary=False), 1, (139, 139), 3), (1, 139, 139), 3, batch=1)

"""Pretrained weights: by name, from a file, for other channels and classes; every way they can fail is one sentence."""

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from konv.classifier import Classifier, normalised
from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.core.view import View
from konv.datasets import read_inputs
from konv.models import _weights, build, view_of
from konv.models._weights import folded

TINY = "shufflenet_v2_x0_5"  # 1.4 million weights


def published(name: str = TINY, **options: Any) -> nn.Module:
    """torchvision's own network with the weights that the tests pour into konv's."""
    torch.manual_seed(7)
    network = torchvision.models.get_model(name, weights=None, **options)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):  # so that no layer is like a fresh one
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def source() -> nn.Module:
    return published()


@pytest.fixture
def file(source: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    return path


def with_weights(file: object, channels: int = 3, classes: int = 1000, name: str = TINY, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return build(Choice(name=name, weights=str(file), **options), channels, (64, 64), classes).eval()


def refusal(file: object, **options: Any) -> str:
    with pytest.raises(BadModel) as caught:
        with_weights(file, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def scores(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return network(inputs)


def pictures(channels: int = 3) -> Tensor:
    return torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(1))


def features(network: nn.Module, inputs: Tensor) -> Tensor:
    """What enters the head."""
    network.fc = nn.Identity()
    return scores(network, inputs)


# ---- from a file ----


def test_a_file_gives_torchvisions_answers(source: nn.Module, file: Path) -> None:
    torch.testing.assert_close(scores(with_weights(file), pictures()), scores(source, pictures()))


def test_safetensors_nested_and_prefixed_files_give_the_same(source: nn.Module, tmp_path: Path) -> None:
    wanted, state = scores(source, pictures()), source.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "a.pt")
    for path in sorted(tmp_path.iterdir()):
        torch.testing.assert_close(scores(with_weights(path), pictures()), wanted)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("densenet121", r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2"),  # the names of torchvision's file
        ("mnasnet0_5", r"^$", ""),  # its layers carry a version, which .safetensors cannot hold
    ],
)
def test_files_of_special_families_are_read(name: str, old: str, new: str, tmp_path: Path) -> None:
    network = published(name, num_classes=5)
    save_file({re.sub(old, new, key): value for key, value in network.state_dict().items()}, tmp_path / "a.safetensors")
    poured = with_weights(tmp_path / "a.safetensors", classes=5, name=name)
    torch.testing.assert_close(scores(poured, pictures()), scores(network, pictures()))


def test_counters_that_old_files_lack_are_not_missed(source: nn.Module, tmp_path: Path) -> None:
    kept = {name: value for name, value in source.state_dict().items() if "num_batches_tracked" not in name}
    torch.save(kept, tmp_path / "a.pth")
    torch.testing.assert_close(scores(with_weights(tmp_path / "a.pth"), pictures()), scores(source, pictures()))


def test_a_head_for_other_classes_is_drawn_anew_and_all_else_is_kept(source: nn.Module, file: Path) -> None:
    network = with_weights(file, classes=5)
    assert scores(network, pictures()).shape == (2, 5)
    kept = source.state_dict()
    differing = [name for name, value in network.state_dict().items() if not torch.equal(value, kept[name])]
    assert differing == ["fc.weight", "fc.bias"]
    assert network.fc.weight.std() > 0


def test_auxiliary_heads_may_be_missing_or_left_over(tmp_path: Path) -> None:
    network = published("googlenet", init_weights=False, num_classes=4)
    torch.save(network.state_dict(), tmp_path / "with.pth")
    plain = {name: value for name, value in network.state_dict().items() if not name.startswith("aux")}
    torch.save(plain, tmp_path / "without.pth")
    wanted = scores(network, pictures())
    for path, auxiliary in ((tmp_path / "with.pth", False), (tmp_path / "without.pth", True)):
        poured = with_weights(path, classes=4, name="googlenet", auxiliary=auxiliary)
        torch.testing.assert_close(scores(poured, pictures()), wanted)


# ---- other channels ----


def test_one_channel_answers_as_three_equal_ones(source: nn.Module, file: Path) -> None:
    grey = pictures(1)
    torch.testing.assert_close(
        scores(with_weights(file, channels=1), grey), scores(source, grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("channels", [2, 4, 5, 6])
def test_any_number_of_equal_channels_answers_as_three(source: nn.Module, file: Path, channels: int) -> None:
    grey = pictures(1)
    wanted = scores(source, grey.expand(-1, 3, -1, -1))
    given = grey.expand(-1, channels, -1, -1)
    torch.testing.assert_close(scores(with_weights(file, channels=channels), given), wanted, rtol=1e-4, atol=1e-4)


@given(known=st.integers(1, 5), channels=st.integers(1, 12), space=st.integers(1, 3))
def test_folding_keeps_the_sum_over_channels(known: int, channels: int, space: int) -> None:
    kernel = torch.randn(4, known, *(3,) * space, dtype=torch.float64)
    result = folded(kernel, channels)
    assert result.shape == (4, channels, *(3,) * space)
    torch.testing.assert_close(result.sum(dim=1), kernel.sum(dim=1))
    assert channels != known or torch.equal(result, kernel)


def test_a_fresh_first_layer_keeps_the_size_of_the_response() -> None:
    """For independent channels; what is drawn differs, so spreads are compared over many kernels."""
    spreads = []
    for channels in (1, 3, 12):
        torch.manual_seed(0)
        first = build(Choice(name="resnet18", stem="large"), channels, (64, 64), 2).conv1
        spreads.append(first(torch.randn(20, channels, 32, 32)).std().item())
    assert max(spreads) / min(spreads) < 1.1


# ---- what does not fit ----


def test_another_networks_file_is_named_with_the_first_tensors_that_differ(tmp_path: Path) -> None:
    torch.save(published("shufflenet_v2_x1_0").state_dict(), tmp_path / "x1_0.pth")
    text = refusal(tmp_path / "x1_0.pth")
    assert (
        f"x1_0.pth do not fit {TINY}: stage2.0.branch1.2.weight is 58×24×1×1 in the file and 24×24×1×1 in the network" in text
    )
    assert re.search(r"; and \d+ more\. ", text)


def test_a_file_for_the_published_stem_does_not_fit_the_small_one(tmp_path: Path) -> None:
    torch.save(published("resnet18").state_dict(), tmp_path / "a.pth")
    text = refusal(tmp_path / "a.pth", name="resnet18", stem="small")
    assert "conv1.weight is 64×3×7×7 in the file and 64×3×3×3 in the network" in text
    assert "stem = large" in text


def test_missing_and_unknown_tensors_are_named(source: nn.Module, tmp_path: Path) -> None:
    state = source.state_dict()
    state["extra.weight"] = state.pop("conv5.0.weight")
    torch.save(state, tmp_path / "a.pth")
    text = refusal(tmp_path / "a.pth")
    assert "conv5.0.weight 1024×192×1×1 is missing in the file; extra.weight 1024×192×1×1 is not in the network" in text


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (Path("was_here"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps(Hostile(), protocol=2), "runs no code out of a weights file"),
        (b"", "cannot be read"),
        (b"\x80\x02garbage", "runs no code|cannot be read"),
        (b"PK\x03\x04 half an archive", "cannot be read"),
    ],
)
def test_files_of_something_else_are_refused_and_run_nothing(content: bytes, said: str, in_tmp: Path) -> None:
    Path("a.pth").write_bytes(content)
    assert re.search(said, refusal("a.pth"))
    assert not Path("was_here").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"state_dict": {"a": "text"}}])
def test_files_without_tensors_are_refused(content: object, in_tmp: Path) -> None:
    torch.save(content, "a.pth")
    assert "a.pth holds no names with tensors" in refusal("a.pth")


def test_a_broken_safetensors_file_and_a_missing_one_are_told_apart(in_tmp: Path) -> None:
    Path("a.safetensors").write_bytes(b"\x08\x00\x00\x00")
    assert "a.safetensors cannot be read" in refusal("a.safetensors")
    assert "there is no file b.safetensors" in refusal("b.safetensors")
    assert "there is no file c.pth" in refusal("c.pth")


# ---- by name ----


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's own cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def served(file: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file on a server of this machine, under the name that carries its hash; its folder is what is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    content = file.read_bytes()
    path = folder / f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        monkeypatch.setattr(_weights, "_urls", lambda entry: {"IMAGENET1K_V1": url, "DEFAULT": url})
        yield path
        server.shutdown()


def test_published_weights_are_fetched_once_and_kept_where_torch_looks(served: Path, hub: Path, source: nn.Module) -> None:
    torch.testing.assert_close(scores(with_weights("DEFAULT"), pictures()), scores(source, pictures()))
    assert [path.name for path in hub.iterdir()] == [served.name]
    served.unlink()
    torch.testing.assert_close(scores(with_weights("imagenet1k_v1"), pictures()), scores(source, pictures()))


def test_a_download_with_another_content_is_thrown_away(served: Path, hub: Path) -> None:
    served.write_bytes(served.read_bytes()[:-1])
    assert "cannot be fetched (invalid hash value" in refusal("DEFAULT")
    assert not list(hub.iterdir())


def test_a_damaged_file_in_the_cache_is_refused(served: Path, hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / served.name).write_bytes(b"something else")
    text = refusal("DEFAULT")
    assert f"{hub / served.name} is not what its name says: its sha256 begins with" in text


def test_a_local_file_under_a_published_name_is_checked_too(served: Path, hub: Path) -> None:
    served.write_bytes(b"something else")
    assert "is not what its name says" in refusal(served)


def test_offline_the_ways_to_supply_them_are_named(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9/tiny-01234567.pth"  # the discard port: nobody answers
    monkeypatch.setattr(_weights, "_urls", lambda entry: {"DEFAULT": url})
    text = refusal("DEFAULT")
    for part in (url, str(hub), "TORCH_HOME", "--set model.weights=PATH", "train from scratch"):
        assert part in text


def test_unknown_weights_are_guessed(hub: Path) -> None:
    text = refusal("IMAGENET1K_V3")
    assert f"no weights of {TINY}, did you mean imagenet1k_v1? Known: IMAGENET1K_V1, DEFAULT; or give a file" in text


def test_every_published_file_carries_its_hash() -> None:
    from konv.core.shelves import MODELS

    names = [name for name in MODELS.choices() if MODELS.entry(name).constants.get("WEIGHTS") == "torchvision"]
    files = [Path(url) for name in names for url in _weights._urls(MODELS.entry(name)).values()]
    assert len(files) > 100
    assert all(_weights._hash_in(path) for path in files)


# ---- the View that belongs to them ----


@pytest.mark.parametrize(
    ("name", "weights", "side", "resized", "interpolation", "mean"),
    [
        ("resnet18", "DEFAULT", 224, 256, "bilinear", 0.485),
        ("resnet50", "imagenet1k_v2", 224, 232, "bilinear", 0.485),
        ("resnet18", "/some/where/resnet18-f37072fd.pth", 224, 256, "bilinear", 0.485),
        ("efficientnet_b3", "DEFAULT", 300, 320, "bicubic", 0.485),
        ("efficientnet_v2_l", "DEFAULT", 480, 480, "bicubic", 0.5),
        ("inception_v3", "DEFAULT", 299, 342, "bilinear", 0.5),
    ],
)
def test_published_weights_bring_their_view(
    name: str, weights: str, side: int, resized: int, interpolation: str, mean: float
) -> None:
    view = view_of(Choice(name=name, weights=weights))
    assert view is not None
    assert (view.shape, view.mean[0], view.scale) == ((3, side, side), mean, 255.0)
    assert (view.resize, view.centre, view.interpolation) == ("crop", side / resized, interpolation)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
@pytest.mark.parametrize("size", [(500, 375), (300, 400), (256, 256)])
def test_a_picture_is_read_as_torchvision_prepares_it(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Within what rounding the crop to whole pixels moves: a hundredth of the range on a smooth picture."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] / 40.0
    smooth = 127 + 60 * np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=-1)
    image = Image.fromarray(smooth.round().astype(np.uint8))
    image.save(tmp_path / "a.png")
    view = view_of(Choice(name=name, weights="DEFAULT"))
    assert view is not None
    mine = normalised(torch.from_numpy(read_inputs(tmp_path / "a.png", view))[None], view)
    theirs = torchvision.models.get_weight(_weight_name(name)).transforms()(image)[None]
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0.05)


def _weight_name(name: str) -> str:
    return f"{torchvision.models.get_model_weights(name).__name__}.DEFAULT"


def test_the_view_follows_the_channels() -> None:
    choice = Choice(name="resnet18", weights="DEFAULT")
    grey, more = view_of(choice, 1), view_of(choice, 5)
    assert grey is not None
    assert more is not None
    assert grey.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3])
    assert more.mean == (0.485, 0.456, 0.406, 0.485, 0.456)
    assert (len(grey.std), len(more.std)) == (1, 5)


@pytest.mark.parametrize("choice", [Choice(name="resnet18"), Choice(name="mlp"), Choice(name="resnet18", weights="my.pth")])
def test_no_view_where_none_is_known(choice: Choice) -> None:
    assert view_of(choice) is None


def test_the_view_of_tensorflows_weights_replaces_torchvisions_transformation(tmp_path: Path) -> None:
    network = published("googlenet", init_weights=False, num_classes=4, aux_logits=False, transform_input=True)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    raw = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    wanted = scores(network, (raw - mean) / std)
    view = view_of(Choice(name="googlenet", weights="DEFAULT"))
    assert view is not None
    own = (raw - torch.tensor(view.mean).view(1, 3, 1, 1)) / torch.tensor(view.std).view(1, 3, 1, 1)
    poured = with_weights(tmp_path / "a.pth", classes=4, name="googlenet")
    torch.testing.assert_close(scores(poured, own), wanted, rtol=1e-4, atol=1e-4)


# ---- afterwards ----


def test_a_saved_classifier_needs_the_file_no_more(file: Path, tmp_path: Path) -> None:
    model = Choice(name=TINY, weights=str(file))
    network = build(model, 1, (32, 32), 2).eval()
    view = View(space=(32, 32), channels=1, mean=(0.5,), std=(0.5,))
    Classifier(network=network, model=model, classes=("a", "b"), view=view).save(tmp_path / "saved")
    file.unlink()
    loaded = Classifier.load(tmp_path / "saved")
    inputs = torch.randint(256, (3, 1, 32, 32), dtype=torch.uint8)
    assert torch.equal(loaded.logits(inputs), Classifier(network, model, ("a", "b"), view).logits(inputs))

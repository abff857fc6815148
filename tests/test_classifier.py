"""Classifier: the same answers after a trip to disk and in any company, and no trust in what was changed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from konv.classifier import Classifier, evaluating, normalised, scaled, standardised
from konv.core.errors import BadArtifact, BadData, BadModel, BadRecipe
from konv.core.recipe import Choice
from konv.core.seals import sealed, unsealed
from konv.core.view import View
from konv.models import build, build_from_source

CLASSES = ("고양이", "dog", "bird")
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes, width=4):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3)
        self.fc = nn.Linear(width * 36, classes)

    def forward(self, x):
        return self.fc(self.conv(x).relu().view(len(x), -1))
"""


def made(model: str | Choice = "plain", space: tuple[int, ...] = (8, 8), channels: int = 1, **facts: object) -> Classifier:
    torch.manual_seed(0)
    choice = Choice(name=model) if isinstance(model, str) else model
    network = build(choice, channels, space, len(CLASSES))
    view = View(space=space, channels=channels, mean=(0.4,) * channels, std=(0.3,) * channels)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)  # a norm that has seen something
    return Classifier(network=network.eval(), model=choice, classes=CLASSES, view=view, **facts)


def raw(size: int, classifier: Classifier) -> Tensor:
    return torch.randint(256, (size, *classifier.view.shape), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


# ---- a trip to disk ----


@pytest.mark.parametrize(
    "model", ["plain", "mlp", "fashion_cnn", Choice(name="mlp", hidden=(5, 4), activation="tanh")], ids=str
)
@pytest.mark.parametrize("space", [(9,), (8, 10), (8, 8, 9)], ids=str)
def test_a_loaded_classifier_answers_bit_for_bit_as_the_saved_one(
    tmp_path: Path, model: str | Choice, space: tuple[int, ...]
) -> None:
    saved = made(model, space, channels=2, temperature=1.7, threshold=0.4, technique="pruned")
    assert saved.save(tmp_path / "classifier") == tmp_path / "classifier"
    loaded = Classifier.load(tmp_path / "classifier")
    assert torch.equal(loaded.probabilities(raw(20, saved)), saved.probabilities(raw(20, saved)))
    assert replace(loaded, network=saved.network, model=saved.model) == saved
    assert loaded.model.model_dump(mode="json") == saved.model.model_dump(mode="json")
    assert loaded.weights_sha256 == saved.weights_sha256
    assert loaded.parameters == saved.parameters
    assert not loaded.network.training


def test_a_picture_network_keeps_the_memory_layout_it_was_measured_in(tmp_path: Path) -> None:
    saved = made("fashion_cnn", channels=3)
    loaded = Classifier.load(saved.save(tmp_path))
    for one, other in zip(saved.network.parameters(), loaded.network.parameters(), strict=True):
        assert one.stride() == other.stride()
    assert loaded.network.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_run_folder_is_taken_too(tmp_path: Path) -> None:
    made().save(tmp_path / "run" / "classifier")
    assert Classifier.load(tmp_path / "run").classes == CLASSES


def test_the_artifact_is_open_and_holds_no_pickle(tmp_path: Path) -> None:
    classifier = made()
    classifier.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"weights.safetensors", "classifier.json"}
    facts = json.loads((tmp_path / "classifier.json").read_text(encoding="utf-8"))
    assert facts["classes"] == list(CLASSES)
    assert facts["weights_sha256"] == classifier.weights_sha256
    assert load_file(tmp_path / "weights.safetensors").keys() == classifier.network.state_dict().keys()


def test_the_digest_follows_the_weights_and_nothing_else(tmp_path: Path) -> None:
    classifier = made()
    digest = classifier.weights_sha256
    classifier.logits(raw(3, classifier))
    classifier.network.to(memory_format=torch.contiguous_format)
    assert classifier.weights_sha256 == digest
    assert replace(classifier, temperature=2.0, classes=("a", "b", "c")).weights_sha256 == digest
    with torch.no_grad():
        next(classifier.network.parameters()).view(-1)[0] += 1
    assert classifier.weights_sha256 != digest


# ---- damage ----


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("mlp").save(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "classifier"))


def refusal(folder: Path) -> str:
    with pytest.raises(BadArtifact) as caught:
        Classifier.load(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["weights.safetensors", "classifier.json"])
@given(st.data())
def test_a_flipped_byte_is_found(
    name: str, artifact: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path_factory.mktemp("flipped") / "classifier"))
    content = bytearray((folder / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    assert f"{name} is damaged" in refusal(folder) or "is a classifier of format" in refusal(folder)


def test_facts_changed_by_hand_are_refused(copy: Path) -> None:
    file = copy / "classifier.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"temperature": 1.0', '"temperature": 1.5'), encoding="utf-8")
    assert "classifier.json is damaged or was changed: its checksum does not hold" in refusal(copy)


@pytest.mark.parametrize("place", ["weights.safetensors", "classifier.json"])
def test_a_disk_that_refuses_is_told_in_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "classifier" / place).mkdir(parents=True)  # a file cannot take the name of a folder
    with pytest.raises(BadArtifact, match=r"the classifier .* cannot be written: Is a directory"):
        made("mlp").save(tmp_path / "classifier")


def changed(folder: Path, **facts: object) -> Path:
    file = folder / "classifier.json"
    file.write_text(sealed({**unsealed(file.read_text(encoding="utf-8")), **facts}), encoding="utf-8")
    return folder


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no facts": (lambda folder: (folder / "classifier.json").unlink(), "holds no readable classifier.json"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "weights of .* cannot be read: No such file"),
    "no json": (lambda folder: (folder / "classifier.json").write_text("{"), "classifier.json is damaged"),
    "not text": (lambda folder: (folder / "classifier.json").write_bytes(b"\xff"), "classifier.json is damaged"),
    "a list": (lambda folder: (folder / "classifier.json").write_text("[]"), "format None"),
    "a later format": (lambda folder: changed(folder, format=99), "is a classifier of format 99; this konv reads format 1"),
    "no view": (lambda folder: changed(folder, view=3), "classifier.json is damaged"),
    "one class too many": (lambda folder: changed(folder, classes=["a", "b", "c", "d"]), "do not fit its network mlp"),
    "another model": (lambda folder: changed(folder, model="plain"), "do not fit its network plain"),
    "other options": (lambda folder: changed(folder, model={"name": "mlp", "hidden": [3]}), "do not fit its network mlp"),
    "other weights": (lambda folder: changed(folder, weights_sha256="0" * 64), "its sha256 is not the one"),
    "nothing": (shutil.rmtree, "there is no classifier in"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_one_sentence(copy: Path, kind: str) -> None:
    damage, sentence = DAMAGE[kind]
    damage(copy)
    with pytest.raises(BadArtifact, match=sentence):
        Classifier.load(copy)
    assert refusal(copy)


# ---- a person's own network ----


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path, Classifier]:
    """(file, artifact, classifier) of an own network."""
    file = tmp_path / "my_net.py"
    file.write_text(NET, encoding="utf-8")
    torch.manual_seed(0)
    choice = Choice(name=f"{file}:Net", width=3)
    view = View(space=(8, 8), channels=1, mean=(0.5,), std=(0.5,))
    classifier = Classifier(network=build(choice, 1, (8, 8), 3).eval(), model=choice, classes=CLASSES, view=view, source=NET)
    return file, classifier.save(tmp_path / "classifier"), classifier


def test_an_own_network_travels_with_its_source(own: tuple[Path, Path, Classifier]) -> None:
    _, folder, saved = own
    assert (folder / "network.py").read_text(encoding="utf-8") == NET
    loaded = Classifier.load(folder)
    assert loaded.source == NET
    assert torch.equal(loaded.probabilities(raw(9, saved)), saved.probabilities(raw(9, saved)))


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_its_code_runs_only_while_its_file_says_the_same_or_it_is_trusted(
    own: tuple[Path, Path, Classifier], change: str
) -> None:
    file, folder, saved = own
    file.unlink() if change == "gone" else file.write_text(NET + "\nprint('changed')\n", encoding="utf-8")
    with pytest.raises(BadArtifact, match=r"is gone or has changed; its text is kept in .*network\.py.* --trust-source"):
        Classifier.load(folder)
    trusted = Classifier.load(folder, trust_source=True)
    assert torch.equal(trusted.probabilities(raw(9, saved)), saved.probabilities(raw(9, saved)))


@pytest.mark.parametrize("trust", [False, True])
def test_a_source_changed_inside_the_artifact_never_runs(own: tuple[Path, Path, Classifier], trust: bool) -> None:
    _, folder, _ = own
    marker = folder / "ran"
    (folder / "network.py").write_text(f"open({str(marker)!r}, 'w')\n{NET}", encoding="utf-8")
    with pytest.raises(BadArtifact, match="is missing or was changed after it was saved"):
        Classifier.load(folder, trust_source=trust)
    assert not marker.exists()
    (folder / "network.py").unlink()
    with pytest.raises(BadArtifact, match="is missing or was changed"):
        Classifier.load(folder, trust_source=trust)


def test_options_the_model_does_not_have_are_told(copy: Path) -> None:
    with pytest.raises(BadRecipe, match=r"model\.hiden is no option of model mlp, did you mean hidden\?"):
        Classifier.load(changed(copy, model={"name": "mlp", "hiden": [3]}))


def test_a_trusted_source_that_no_longer_runs_is_told(own: tuple[Path, Path, Classifier]) -> None:
    _, folder, saved = own
    broken = replace(saved, source="import a_package_that_is_not_there\n")
    broken.save(folder)
    with pytest.raises(BadModel, match="ModuleNotFoundError"):
        Classifier.load(folder, trust_source=True)


# ---- answers ----


@pytest.mark.parametrize("model", ["plain", "mlp", "fashion_cnn"])
def test_an_answer_does_not_depend_on_its_neighbours(model: str) -> None:
    classifier = made(model)
    inputs = raw(600, classifier)  # more than one chunk
    together = classifier.probabilities(inputs)
    assert together.shape == (600, 3)
    for part in (inputs[:1], inputs[:7], inputs[100:400]):
        start = 100 if len(part) == 300 else 0
        torch.testing.assert_close(classifier.probabilities(part), together[start : start + len(part)], rtol=1e-5, atol=1e-6)
    turned = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(classifier.probabilities(inputs[turned]), together[turned], rtol=1e-5, atol=1e-6)


def test_no_inputs_give_no_answers() -> None:
    assert made().probabilities(raw(0, made())).shape == (0, 3)


def test_probabilities_are_the_softmax_of_scores_over_temperature() -> None:
    classifier = made("mlp", temperature=2.5)
    inputs = raw(5, classifier)
    x = (inputs.float() / 255 - 0.4) / 0.3
    with torch.no_grad():
        scores = classifier.network(x)
    torch.testing.assert_close(classifier.logits(inputs), scores)
    torch.testing.assert_close(classifier.probabilities(inputs.numpy()), (scores / 2.5).softmax(dim=1))


def test_a_network_with_auxiliary_heads_answers_with_its_first() -> None:
    forward = "    def forward(self, x):\n        y = super().forward(x.flatten(1))\n        return y, -y\n"
    source = f"from torch import nn\n\n\nclass Net(nn.Linear):\n{forward}"
    network = build_from_source(source, "Net", "net.py", {}, {"in_features": 4, "out_features": 3})
    view = View(space=(4,), channels=1, mean=(0.0,), std=(1.0,))
    classifier = Classifier(network=network, model=Choice(name="net.py:Net"), classes=CLASSES, view=view)
    assert classifier.logits(raw(2, classifier)).shape == (2, 3)


def test_predictions_of_files(tmp_path: Path) -> None:
    classifier = made(threshold=0.99)
    inputs = raw(3, classifier).numpy()
    files = []
    for number, picture in enumerate(inputs):
        files.append(tmp_path / f"그림 {number}.png")
        Image.fromarray(picture[0]).save(files[-1])
    predictions = classifier.predict(files)
    expected = classifier.probabilities(inputs)
    assert [prediction.file for prediction in predictions] == [str(file) for file in files]
    for prediction, row in zip(predictions, expected, strict=True):
        assert list(prediction.probabilities) == list(CLASSES)
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, rtol=1e-6)
        assert prediction.label == CLASSES[int(row.argmax())]
        assert prediction.confidence == max(prediction.probabilities.values())
        assert prediction.rejected
    assert not replace(classifier, threshold=0.0).predict(files)[0].rejected
    assert classifier.predict([]) == []
    with pytest.raises(BadData, match="none"):
        classifier.predict([tmp_path / "none.png"])


# ---- nothing is left behind ----


def test_mode_and_gradients_are_as_before_even_after_an_error() -> None:
    classifier = made()
    classifier.network.train()
    classifier.network[0].eval()
    modes = [module.training for module in classifier.network.modules()]
    classifier.logits(raw(2, classifier))
    assert [module.training for module in classifier.network.modules()] == modes
    with pytest.raises(RuntimeError):
        classifier.logits(torch.zeros(2, 5, 8, 8))
    assert [module.training for module in classifier.network.modules()] == modes
    assert all(weight.grad is None and weight.requires_grad for weight in classifier.network.parameters())


def test_evaluating_puts_every_part_back() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    network[1].eval()
    with pytest.raises(KeyboardInterrupt), evaluating(network):
        assert not any(module.training for module in network.modules())
        raise KeyboardInterrupt
    assert [module.training for module in network.modules()] == [True, True, False, False, False]


@pytest.mark.parametrize("space", [(5,), (4, 5), (3, 4, 5)], ids=str)
def test_inputs_are_scaled_then_standardised_per_channel(space: tuple[int, ...]) -> None:
    view = View(space=space, channels=2, mean=(0.1, 0.2), std=(0.5, 2.0))
    inputs = torch.randint(256, (3, 2, *space), dtype=torch.uint8)
    values = scaled(inputs, view)
    torch.testing.assert_close(values, inputs.double().div(255).float())
    expected = torch.stack([(values[:, 0] - 0.1) / 0.5, (values[:, 1] - 0.2) / 2.0], dim=1)
    torch.testing.assert_close(standardised(values, view), expected)
    torch.testing.assert_close(normalised(inputs, view), expected)

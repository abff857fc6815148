"""A person's own network: built with what it asks for, and every mistake told in one sentence that names the place."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from konv.classifier import Classifier
from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.core.view import View
from konv.doctor import check
from konv.models import build, build_from_source, digest, is_own, read_source

HEAD = "import torch\nfrom torch import nn\n\n\n"
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file with imports and returns the name of its class Net."""

    def to_file(text: str) -> str:
        path = tmp_path / "my_net.py"
        path.write_text(HEAD + text, encoding="utf-8")
        return f"{path}:Net"

    return to_file


def trial(name: str, **options: object) -> str:
    """Returns the sentence that building and trying the network on pictures 2×1×8×8 with three classes gives."""
    with pytest.raises(BadModel) as caught:
        model = Choice(name=name, **options)
        check(build(model, 1, (8, 8), 3), (1, 8, 8), 3, model=model)
    text = str(caught.value)
    assert "\n" not in text
    return text


def net(layers: str, forward: str, arguments: str = "self") -> str:
    start = f"class Net(nn.Module):\n    def __init__({arguments}):\n        super().__init__()\n{layers}\n\n"
    return f"{start}    def forward(self, x):\n{forward}\n"


# ---- what works ----


def test_a_constructor_gets_what_it_asks_for(write: Write) -> None:
    layers = "        self.given = (in_channels, num_classes, image_size, width)\n        self.fc = nn.Linear(64, num_classes)"
    name = write(net(layers, "        return self.fc(x.flatten(1))", "self, in_channels, num_classes, image_size, width=2"))
    network = build(Choice(name=name, width=7), 1, (8, 8), 3)
    assert network.given == (1, 3, (8, 8), 7)
    check(network, (1, 8, 8), 3)


def test_a_function_and_neighbouring_modules_are_taken_too(write: Write, tmp_path: Path) -> None:
    (tmp_path / "konv_test_neighbour.py").write_text("WIDTH = 5\n")
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.Linear(WIDTH, classes))"
    name = write(f"from konv_test_neighbour import WIDTH\ndef Net(classes):\n    {body}\n")
    assert build(Choice(name=name), 1, (8, 8), 3)[1].out_features == 5


def test_auxiliary_heads_count_by_their_first_part(write: Write) -> None:
    name = write(net("        self.fc = nn.Linear(64, 3)", "        y = self.fc(x.flatten(1))\n        return y, y"))
    check(build(Choice(name=name), 1, (8, 8), 3), (1, 8, 8), 3)


def test_the_trial_changes_nothing(write: Write) -> None:
    layers = "        self.body = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 3))"
    network = build(Choice(name=write(net(layers, "        return self.body(x)"))), 1, (8, 8), 3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    check(network, (1, 8, 8), 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_the_source_is_read_with_its_class_and_digest(write: Write) -> None:
    name = write("class Net(nn.Module): pass\n")
    path, wanted, source = read_source(name)
    assert (wanted, source) == ("Net", path.read_text())
    assert digest(source) == digest(path.read_text())
    assert is_own(Choice(name=name))
    assert not is_own(Choice(name="plain"))


# ---- a network that does not fit ----


def test_wrong_channels_name_the_layer(write: Write) -> None:
    name = write(net("        self.conv = nn.Conv2d(3, 8, 3)", "        return self.conv(x)"))
    text = trial(name)
    assert "my_net.py:8: layer conv (Conv2d) was given N×1×8×8: 1 along axis 1, and was made for 3." in text
    assert text.endswith("Line 8: self.conv = nn.Conv2d(1, 8, 3)")


def test_a_wrong_flatten_names_the_layer_and_what_it_got(write: Write) -> None:
    layers = "        self.conv = nn.Conv2d(1, 8, 3)\n        self.fc = nn.Linear(100, 3)"
    text = trial(write(net(layers, "        return self.fc(self.conv(x).flatten(1))")))
    assert "my_net.py:9: layer fc (Linear) was given N×288: 288 along axis -1, and was made for 100." in text
    assert text.endswith("Line 9: self.fc = nn.Linear(288, 3)")


def test_a_layer_inside_a_block_is_named_with_its_path(write: Write) -> None:
    layers = "        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Linear(6, 3))"
    assert "my_net.py:8: layer body.2 (Linear) was given N×5" in trial(write(net(layers, "        return self.body(x)")))


def test_a_wrong_class_count_is_told(write: Write) -> None:
    text = trial(write(net("        self.fc = nn.Linear(64, 10)", "        return self.fc(x.flatten(1))")))
    assert "the network gives N×10; for 3 classes it must be N×3" in text
    assert text.endswith("Line 8: self.fc = nn.Linear(64, 3)")


def test_a_folded_batch_is_told(write: Write) -> None:
    text = trial(write(net("        self.fc = nn.Linear(32, 3)", "        return self.fc(x.view(-1, 32))")))
    assert "my_net.py:11: view turns N×1×8×8 into 22×32: the first axis no longer counts the samples." in text
    assert text.endswith("Line 11: return self.fc(x.flatten(1))")


def test_scores_that_are_no_tensor_are_told(write: Write) -> None:
    text = trial(write(net("        self.fc = nn.Linear(64, 3)", "        return {'scores': self.fc(x.flatten(1))}")))
    assert "gives back a dict; it must be a tensor of scores" in text


@pytest.mark.parametrize("line", ["return self.conv2(x)", "return undefined(x)", "assert x.ndim == 3", "return x['a']"])
def test_whatever_forward_raises_is_told(write: Write, line: str) -> None:
    text = trial(write(net("        self.fc = nn.Linear(64, 3)", f"        {line}")))
    assert "my_net.py:11: " in text
    assert ": ." not in text
    assert ("the network cannot take an input of N×1×8×8: " in text) == ("'a'" not in line)


def test_layers_in_a_plain_list_are_told(write: Write) -> None:
    layers = "        self.layers = [nn.Flatten(), nn.Linear(64, 3)]"
    text = trial(write(net(layers, "        for layer in self.layers:\n            x = layer(x)\n        return x")))
    assert "no weights to train" in text
    assert "nn.ModuleList" in text


def test_a_batch_of_one_that_a_norm_cannot_take_is_told(write: Write) -> None:
    layers = "        self.norm = nn.BatchNorm1d(64)\n        self.fc = nn.Linear(64, 3)"
    network = build(Choice(name=write(net(layers, "        return self.fc(self.norm(x.flatten(1)))"))), 1, (8, 8), 3)
    check(network, (1, 8, 8), 3, batch=2)
    with pytest.raises(BadModel, match=r"layer norm .* cannot be trained with a batch of one"):
        check(network, (1, 8, 8), 3, batch=1)


# ---- a file that cannot be built ----


def test_a_constructor_that_raises_is_told_with_its_line(write: Write) -> None:
    text = trial(write(net("        raise ValueError('width must be even')", "        return x")))
    assert text.endswith("my_net.py:Net cannot be built: line 8: ValueError: width must be even.")


def test_a_missing_argument_is_told(write: Write) -> None:
    name = write(net("        self.fc = nn.Linear(64, labels)", "        return x", "self, labels"))
    assert "missing 1 required positional argument: 'labels'" in trial(name)
    assert "unexpected keyword argument 'depth'" in trial(name, labels=3, depth=2)


def test_a_missing_class_is_guessed(write: Write) -> None:
    name = write("class Network(nn.Module): pass\nclass Other: pass\n").replace(":Net", ":Netwrok")
    text = trial(name)
    assert "has no class 'Netwrok', did you mean Network? It has: Network." in text


def test_a_syntax_error_is_told_with_its_line(write: Write) -> None:
    text = trial(write("class Net(nn.Module:\n    pass\n"))
    assert "my_net.py cannot be loaded: line 5: SyntaxError" in text


def test_an_import_that_fails_is_told_with_its_line(write: Write) -> None:
    text = trial(write("import a_package_that_is_not_there\n"))
    assert "line 5: ModuleNotFoundError: No module named 'a_package_that_is_not_there'." in text


def test_something_that_is_no_network_is_told(write: Write) -> None:
    assert "gives a int; it must be an nn.Module" in trial(write("def Net():\n    return 3\n"))


def test_a_missing_or_unreadable_file_is_told(tmp_path: Path) -> None:
    assert "give it as path/to/file.py:ClassName" in trial(f"{tmp_path}/none.py:Net")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    assert "is no Python file in UTF-8" in trial(f"{tmp_path}/bytes.py:Net")


def test_a_source_text_is_built_without_its_file() -> None:
    source = HEAD + net("        self.fc = nn.Linear(64, classes)", "        return self.fc(x.flatten(1))", "self, classes")
    network = build_from_source(source, "Net", "gone.py", {"channels": 1, "classes": 3, "space": (8, 8)}, {})
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


def test_lazy_layers_find_their_widths_and_come_back(tmp_path: Path) -> None:
    text = (
        "from torch import nn\n\n\n"
        "def Net(classes):\n"
        "    return nn.Sequential(nn.LazyConv2d(3, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))\n"
    )
    (tmp_path / "lazy.py").write_text(text, encoding="utf-8")
    model = Choice(name=f"{tmp_path / 'lazy.py'}:Net")
    network = build(model, 2, (6, 6), 4)
    assert network[3].in_features == 3 * 4 * 4
    view = View(space=(6, 6), channels=2, mean=(0.5, 0.5), std=(1.0, 1.0))
    made = Classifier(network=network.eval(), model=model, classes=("a", "b", "c", "d"), view=view, source=text)
    inputs = torch.randint(0, 255, (5, 2, 6, 6), dtype=torch.uint8)
    assert torch.equal(Classifier.load(made.save(tmp_path / "saved")).logits(inputs), made.logits(inputs))

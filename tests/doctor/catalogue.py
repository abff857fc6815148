"""Broken networks, made from correct ones: each call of a layer is changed in every way that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"

CLASSIC = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.fc1 = nn.Linear(16 * 6 * 6, 30)
        self.fc2 = nn.Linear(30, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.norm(self.conv2(x))))
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)
"""

STACKED = """
class Net(nn.Module):
    def __init__(self, num_classes=7):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),  # 첫 층
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(300, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, 7))

    def forward(self, x):
        return self.classifier(self.features(x))
"""

RESIDUAL = """
class Block(nn.Module):
    def __init__(self, channels, wider):
        super().__init__()
        self.conv_a = nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False)
        self.norm_a = nn.BatchNorm2d(wider)
        self.conv_b = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.norm_b = nn.BatchNorm2d(wider)
        self.short = nn.Conv2d(channels, wider, 1, stride=2)

    def forward(self, x):
        y = F.relu(self.norm_a(self.conv_a(x)))
        y = self.norm_b(self.conv_b(y))
        y = y + self.short(x)
        return F.relu(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block1 = Block(8, 16)
        self.block2 = Block(16, 24)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(24, 10)

    def forward(self, x):
        x = self.block2(self.block1(F.relu(self.stem(x))))
        x = torch.flatten(self.mean(x), 1)
        return self.fc(x)
"""

BRANCHES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 6, 1)
        self.three = nn.Conv2d(3, 8, 3, padding=1)
        self.five = nn.Conv2d(3, 4, 5, padding=2)
        self.mix = nn.Conv2d(18, 10, 1)
        self.norm = nn.GroupNorm(5, 10)
        self.head = nn.Linear(10, 10)

    def forward(self, x):
        x = torch.cat([self.one(x), self.three(x), self.five(x)], dim=1)
        x = F.relu(self.norm(self.mix(x)))
        x = x.mean(dim=(2, 3))
        x = self.head(x)
        return F.softmax(x, dim=1)
"""

ROWS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(14, 20, batch_first=True)
        self.gru = nn.GRU(20, 16, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = x.squeeze(1)
        x, _ = self.lstm(x)
        x, _ = self.gru(x)
        x = self.norm(x)
        x = x[:, -1]
        return self.fc(x)
"""

SIGNAL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(2, 8, 7, stride=2)
        self.norm1 = nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 8, 3, groups=2)
        self.pool = nn.MaxPool1d(3)
        self.fc1 = nn.Linear(8 * 7, 12)
        self.norm2 = nn.BatchNorm1d(12)
        self.fc2 = nn.Linear(12, 5)
        self.out = nn.Softmax(dim=1)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = self.pool(self.conv2(x))
        x = x.reshape(x.shape[0], -1)
        x = F.relu(self.norm2(self.fc1(x)))
        x = self.fc2(x)
        return self.out(x)
"""

UPWARDS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 8, 4, stride=2, padding=1)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point = nn.Conv2d(8, 12, 1)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.norm = nn.InstanceNorm2d(6, affine=True)
        self.fc = nn.Linear(6 * 12 * 12, 10)

    def forward(self, x):
        x = F.relu(self.point(self.depth(self.down(x))))
        x = self.norm(self.up(x))
        x = x.flatten(1)
        return self.fc(x)
"""

VOLUME = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2))
        self.fc = nn.Linear(4 * 3 * 3 * 3, 3)

    def forward(self, x):
        x = self.body(x)
        x = torch.flatten(x, start_dim=1)
        return self.fc(x)
"""

PATCHES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.norm1 = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm2 = nn.LayerNorm(16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        y = self.norm1(x)
        y, _ = self.attention(y, y, y)
        x = x + y
        x = x + self.mlp(self.norm2(x))
        x = x.mean(dim=1)
        return self.head(x)
"""


@dataclass(frozen=True)
class Correct:
    name: str
    text: str
    shape: tuple[int, ...]
    classes: int


NETWORKS = [
    Correct("classic", HEAD + CLASSIC, (1, 28, 28), 10),
    Correct("stacked", HEAD + STACKED, (3, 24, 24), 7),
    Correct("residual", HEAD + RESIDUAL, (3, 16, 16), 10),
    Correct("branches", HEAD + BRANCHES, (3, 12, 12), 10),
    Correct("rows", HEAD + ROWS, (1, 12, 14), 4),
    Correct("signal", HEAD + SIGNAL, (2, 53), 5),
    Correct("upwards", HEAD + UPWARDS, (1, 12, 12), 10),
    Correct("volume", HEAD + VOLUME, (1, 8, 8, 8), 3),
    Correct("patches", HEAD + PATCHES, (3, 16, 16), 10),
]


@dataclass(frozen=True)
class Broken:
    """A network with one mistake, and where it was made."""

    name: str
    text: str
    network: Correct
    layers: tuple[str, ...]  # names that say the right place; `conv_a` stands for block1.conv_a too
    line: int  # that was changed
    or_where_it_stops: bool = False  # a width that two layers share is as wrong in the one as in the other
    classes: int = field(default=0)


# ---- one argument of one layer -----------------------------------------------------------------------------------

WIDTHS = {  # layer: place of the argument that says what it is given
    "Linear": 0, "Conv1d": 0, "Conv2d": 0, "Conv3d": 0, "ConvTranspose2d": 0, "BatchNorm1d": 0, "BatchNorm2d": 0,
    "BatchNorm3d": 0, "InstanceNorm2d": 0, "GroupNorm": 1, "LayerNorm": 0, "LSTM": 0, "GRU": 0, "MultiheadAttention": 0,
}  # fmt: skip
OUTPUTS = {"Linear": 1, "Conv1d": 1, "Conv2d": 1, "Conv3d": 1, "ConvTranspose2d": 1, "LSTM": 1, "GRU": 1}
KERNELS = {"Conv1d": 2, "Conv2d": 2, "Conv3d": 2, "MaxPool1d": 0, "MaxPool2d": 0, "MaxPool3d": 0, "AvgPool2d": 0}
RANKS = ("Conv", "BatchNorm", "MaxPool", "AvgPool", "AdaptiveAvgPool", "InstanceNorm")


def broken() -> list[Broken]:
    """Returns every broken network, each under a name of its own."""
    found = [case for network in NETWORKS for make in MUTATORS for case in make(network)]
    unique = {case.text: case for case in found}
    return list(unique.values())


def _layers(network: Correct) -> Iterator[tuple[str, str, ast.Call]]:
    """Yields (name, kind, call) of every layer that the text makes."""
    tree = ast.parse(network.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute) and isinstance(node.value, ast.Call):
            yield from _within(node.targets[0].attr, node.value)


def _within(name: str, call: ast.Call) -> Iterator[tuple[str, str, ast.Call]]:
    kind = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if kind != "Sequential":
        yield name, kind, call
        return
    for number, part in enumerate(call.args):
        if isinstance(part, ast.Call):
            yield from _within(f"{name}.{number}", part)


def _replaced(text: str, node: ast.expr, new: str) -> str:
    lines = text.split("\n")
    line = lines[node.lineno - 1].encode()
    assert node.lineno == node.end_lineno
    lines[node.lineno - 1] = (line[: node.col_offset] + new.encode() + line[node.end_col_offset :]).decode()
    return "\n".join(lines)


def _width(call: ast.Call, places: dict[str, int], kind: str) -> ast.expr | None:
    place = places.get(kind)
    return call.args[place] if place is not None and len(call.args) > place else None


def _value(node: ast.expr) -> int | None:
    text = ast.unparse(node)
    return int(eval(text)) if re.fullmatch(r"[\d *]+", text) else None  # digits and products alone


def inputs_changed(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        node = _width(call, WIDTHS, kind)
        value = None if node is None else _value(node)
        grouped = any(word.arg == "groups" for word in call.keywords) or kind in ("GroupNorm", "MultiheadAttention")
        for new in () if value is None else (2 * value,) if grouped else (value + 3, 2 * value, max(1, value // 2)):
            if new != value and kind != "LayerNorm":
                text = _replaced(network.text, node, str(new))
                yield Broken(f"{network.name}: {name} takes {new}", text, network, (name,), call.lineno)


def outputs_changed(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        node = _width(call, OUTPUTS, kind)
        value = None if node is None else _value(node)
        if value is not None and not any(word.arg == "groups" for word in call.keywords):
            text = _replaced(network.text, node, str(value + 2))
            yield Broken(f"{network.name}: {name} gives {value + 2}", text, network, (name,), call.lineno, True)


def kernels_too_large(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        node = _width(call, KERNELS, kind)
        if node is not None:
            text = _replaced(network.text, node, "60")
            yield Broken(f"{network.name}: {name} with a kernel of 60", text, network, (name,), call.lineno)


def other_ranks(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        rank = re.fullmatch(r"(\w+?)([123])d", kind)
        if rank and rank[1] in RANKS:
            for new in {"1", "2", "3"} - {rank[2]}:
                text = _replaced(network.text, call.func, f"nn.{rank[1]}{new}d")
                case = Broken(f"{network.name}: {name} is a {rank[1]}{new}d", text, network, (name,), call.lineno, True)
                if rank[1] not in ("MaxPool", "AvgPool", "AdaptiveAvgPool", "InstanceNorm"):  # those take some by chance
                    yield case


def other_types(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        if kind in ("Linear", "Conv2d", "BatchNorm2d", "LSTM"):
            for new in ("double", "half"):
                text = _replaced(network.text, call, f"{ast.get_source_segment(network.text, call)}.{new}()")
                yield Broken(f"{network.name}: {name}.{new}()", text, network, (name,), call.lineno)
            break


def other_devices(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        if kind in ("Linear", "Conv1d", "Conv3d", "GRU"):
            segment = (ast.get_source_segment(network.text, call) or "")[:-1]
            text = _replaced(network.text, call, f'{segment}, device="meta")')
            yield Broken(f"{network.name}: {name} on meta", text, network, (name,), call.lineno)
            break


def uneven_groups(network: Correct) -> Iterator[Broken]:
    for name, kind, call in _layers(network):
        if kind in ("Conv1d", "Conv2d") and _value(call.args[1]) and not any(word.arg == "groups" for word in call.keywords):
            segment = (ast.get_source_segment(network.text, call) or "")[:-1]
            text = _replaced(network.text, call, f"{segment}, groups=5)")
            yield Broken(f"{network.name}: {name} in 5 groups", text, network, (name,), call.lineno)
            break
        if kind == "GroupNorm":
            text = _replaced(network.text, call.args[0], "4")
            yield Broken(f"{network.name}: {name} in 4 groups", text, network, (name,), call.lineno)
        if kind == "MultiheadAttention":
            text = _replaced(network.text, call.args[1], "3")
            yield Broken(f"{network.name}: {name} with 3 heads", text, network, (name,), call.lineno)


def other_class_counts(network: Correct) -> Iterator[Broken]:
    name, _, call = [layer for layer in _layers(network) if layer[1] == "Linear"][-1]
    for new in (network.classes + 1, 1000, 2):
        text = _replaced(network.text, call.args[1], str(new))
        yield Broken(f"{network.name}: {new} classes", text, network, (name,), call.lineno)


# ---- one line of forward -----------------------------------------------------------------------------------------

LINES: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {  # network: what stood there, what stands there now, right places
    "classic": [
        ("x = x.view(x.size(0), -1)", "pass", ("fc1",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(-1, 144)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(-1, 512)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(100, -1)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(1, -1)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(-1)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.view(x.size(0), 500)", ("view",)),
        ("x = x.view(x.size(0), -1)", "x = x.flatten()", ("flatten",)),
        ("x = x.view(x.size(0), -1)", "x = torch.flatten(x)", ("flatten",)),
        ("x = x.view(x.size(0), -1)", "x = x.permute(1, 0, 2, 3).reshape(x.size(0), -1)", ("reshape", "permute")),
        ("x = F.relu(self.fc1(x))", "x = F.relu(self.fc1(x.double()))", ("fc1",)),
        ("x = F.relu(self.fc1(x))", "x = F.relu(self.fc1(x.half()))", ("fc1",)),
        ("x = self.fc2(x)", "x = self.fc1(x)", ("fc1",)),
        ("x = self.pool(F.relu(self.conv1(x)))", "x = self.conv1(x.permute(0, 2, 3, 1))", ("conv1",)),
        ("x = self.pool(F.relu(self.conv1(x)))", "x = self.pool(F.relu(self.conv1(x.squeeze(1))))", ("conv1",)),
        ("x = self.pool(F.relu(self.conv1(x)))", "x = self.pool(F.relu(self.conv1(x.flatten(1))))", ("conv1",)),
        ("x = self.pool(F.relu(self.conv1(x)))", "x = F.relu(self.conv1(x))", ("fc1",)),
        ("return F.log_softmax(x, dim=1)", "return F.log_softmax(x, dim=0)", ("log_softmax",)),
        ("return F.log_softmax(x, dim=1)", "return F.softmax(x, 0)", ("softmax",)),
        ("return F.log_softmax(x, dim=1)", "return x - x.mean(dim=0)", ("mean", "sub")),
    ],
    "stacked": [
        ("nn.Flatten(), ", "", ("classifier.0",)),
        ("nn.Flatten(), ", "nn.Flatten(0), ", ("classifier.0",)),
        ("self.classifier(self.features(x))", "self.classifier(self.features(x.permute(0, 2, 3, 1)))", ("features.0",)),
        ("self.classifier(self.features(x))", "self.classifier(self.features(x)).reshape(-1)", ("reshape",)),
        ("self.classifier(self.features(x))", "self.classifier(self.features(x)).t()", ("t",)),
        ("self.classifier(self.features(x))", "torch.softmax(self.classifier(self.features(x)), 0)", ("softmax",)),
        ("nn.AvgPool2d(2),", "nn.AvgPool2d(2), nn.Flatten(),  nn.MaxPool2d(2),", ("features.9",)),
    ],
    "residual": [
        ("y = y + self.short(x)", "y = y + x", ("block1.add",)),
        ("y = y + self.short(x)", "y = torch.cat([y, self.short(x)], dim=0)", ("block1.cat", "block2.cat")),
        ("wider, 3, padding=1, bias=False)", "wider, 3, bias=False)", ("add", "conv_b")),
        ("channels, wider, 1, stride=2)", "channels, wider, 1)", ("add", "short")),
        ("stride=2, padding=1, bias", "stride=1, padding=1, bias", ("add", "conv_a")),
        ("wider, 1, stride=2)", "channels, 1, stride=2)", ("add", "short")),
        ("x = torch.flatten(self.mean(x), 1)", "x = self.mean(x)", ("fc",)),
        ("x = torch.flatten(self.mean(x), 1)", "x = torch.flatten(self.mean(x))", ("flatten",)),
        ("x = torch.flatten(self.mean(x), 1)", "x = torch.flatten(x, 1)", ("fc",)),
        ("Block(16, 24)", "Block(12, 24)", ("block2.conv_a",)),
        ("Block(8, 16)", "Block(8, 20)", ("block1.norm_b", "block2.conv_a")),
    ],
    "branches": [
        ("dim=1)\n        x = F.relu", "dim=0)\n        x = F.relu", ("cat",)),
        ("dim=1)\n        x = F.relu", "dim=2)\n        x = F.relu", ("cat",)),
        ("nn.Conv2d(3, 8, 3, padding=1)", "nn.Conv2d(3, 8, 3)", ("cat", "three")),
        ("nn.Conv2d(3, 4, 5, padding=2)", "nn.Conv2d(3, 4, 5, padding=2, stride=2)", ("cat", "five")),
        ("x = x.mean(dim=(2, 3))", "pass", ("head",)),
        ("x = x.mean(dim=(2, 3))", "x = x.mean(dim=(0, 2, 3))", ("mean",)),
        ("x = self.head(x)", "x = self.head(x)[0]", ("index",)),
        ("F.softmax(x, dim=1)", "F.softmax(x, dim=0)", ("softmax",)),
    ],
    "rows": [
        ("14, 20, batch_first=True", "14, 20", ("lstm",)),
        ("20, 16, batch_first=True", "20, 16", ("gru",)),
        ("x = x.squeeze(1)", "pass", ("lstm",)),
        ("x = x.squeeze(1)", "x = x.squeeze(1).transpose(1, 2)", ("lstm",)),
        ("x = x.squeeze(1)", "x = x.squeeze(1).double()", ("lstm",)),
        ("nn.LayerNorm(16)", "nn.LayerNorm(20)", ("norm",)),
        ("x = x[:, -1]", "x = x[-1]", ("index",)),
        ("x = x[:, -1]", "pass", ("fc",)),
    ],
    "signal": [
        ("x = x.reshape(x.shape[0], -1)", "x = x.reshape(-1, 28)", ("reshape",)),
        ("x = x.reshape(x.shape[0], -1)", "x = x.reshape(64, -1)", ("reshape",)),
        ("x = x.reshape(x.shape[0], -1)", "pass", ("fc1",)),
        ("self.conv1(x)", "self.conv1(x.transpose(1, 2))", ("conv1",)),
        ("self.conv1(x)", "self.conv1(x.unsqueeze(1))", ("conv1",)),
        ("nn.Softmax(dim=1)", "nn.Softmax(dim=0)", ("out",)),
        ("nn.Softmax(dim=1)", "nn.Softmax(0)", ("out",)),
    ],
    "upwards": [
        ("x = x.flatten(1)", "x = x.flatten(0)", ("flatten",)),
        ("x = x.flatten(1)", "x = x.flatten(2)", ("fc",)),
        ("x = x.flatten(1)", "x = x.reshape(-1, 432)", ("reshape",)),
        ("x = self.norm(self.up(x))", "x = self.norm(self.up(x.flatten(1)))", ("up",)),
    ],
    "volume": [
        ("x = torch.flatten(x, start_dim=1)", "x = torch.flatten(x, start_dim=0)", ("flatten",)),
        ("x = torch.flatten(x, start_dim=1)", "pass", ("fc",)),
        ("x = self.body(x)", "x = self.body(x.squeeze(1))", ("body.0",)),
        ("x = self.body(x)", "x = self.body(x.permute(0, 2, 3, 4, 1))", ("body.0",)),
    ],
    "patches": [
        ("4, batch_first=True", "4", ("attention",)),
        ("x = x.mean(dim=1)", "x = x.mean(dim=0)", ("mean",)),
        (".flatten(2).transpose(1, 2)", "", ("norm1",)),
        ("nn.LayerNorm(16)\n        self.attention", "nn.LayerNorm(10)\n        self.attention", ("norm1",)),
        ("x = x + y", "x = x + y[:, :1, :8]", ("add",)),
    ],
}  # fmt: skip


def lines_changed(network: Correct) -> Iterator[Broken]:
    for before, after, layers in LINES[network.name]:
        assert before in network.text, before
        line = network.text[: network.text.index(before)].count("\n") + 1
        text = network.text.replace(before, after, 1)
        name = " ".join(f"{network.name}: {before} → {after or 'nothing'}".split())
        yield Broken(name, text, network, layers, line)


MUTATORS: list[Callable[[Correct], Iterator[Broken]]] = [
    inputs_changed, outputs_changed, kernels_too_large, other_ranks, other_types, other_devices, uneven_groups,
    other_class_counts, lines_changed,
]  # fmt: skip


def written(text: str, folder: Path) -> str:
    """Writes the text as my_net.py and returns the name of its network."""
    path = folder / "my_net.py"
    path.write_text(text, encoding="utf-8", newline="")
    return f"{path}:Net"

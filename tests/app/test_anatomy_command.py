"""konv anatomy: names, own files and runs; table, Markdown, JSON, page; one layer; lessons on a picture."""

import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

import konv
from konv import models
from konv.app.anatomy import words
from konv.app.anatomy.drawing import flow
from konv.app.cli import main
from konv.app.figures import lessons
from konv.core.anatomy import Anatomy

FASHION = ["anatomy", "fashion_cnn", "--input", "1x28x28", "--lang", "en"]
OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(288, classes)

    def forward(self, x):
        print("hello")
        return self.fc(torch.flatten(self.conv(x), 1))
"""


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    return capsys.readouterr().out


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(told(capsys, *arguments, "--json"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


# ---- what it is pointed at ----


def test_json_is_one_object_with_the_contract_names(capsys: pytest.CaptureFixture[str]) -> None:
    content = json_of(capsys, *FASHION)
    assert content.keys() >= {"layers", "parameters", "multiply_adds", "findings"}
    wanted = {"name", "kind", "input", "output", "formula", "parameters", "multiply_adds", "receptive_field"}
    assert all(layer.keys() >= wanted for layer in content["layers"])
    assert (content["parameters"], content["findings"]) == (1_475_338, [])
    assert Anatomy.model_validate(content).layers[4].formula == "(14 − 3 + 2·0)/1 + 1 = 12"


def test_model_options_and_classes_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    content = json_of(capsys, "anatomy", "plain", "--input", "3x16x16", "--classes", "7", "--set", "model.width=5")
    assert content["layers"][0]["output"] == [5, 16, 16]
    assert content["layers"][-1]["output"] == [7]


def test_a_persons_own_file_and_what_it_prints_is_no_result(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json_of(capsys, "anatomy", "own.py:Net", "--input", "3x8x8", "--classes", "4")
    assert [layer["kind"] for layer in content["layers"]] == ["Conv2d", "flatten", "Linear"]


def test_a_classifier_folder_knows_its_own_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choice, view = konv.Choice(name="mlp"), konv.View(space=(6, 5), channels=2, mean=(0.5, 0.5), std=(1.0, 1.0))
    network = models.build(choice, 2, (6, 5), 3)
    konv.Classifier(network, choice, ("a", "b", "c"), view).save("saved")
    content = json_of(capsys, "anatomy", "saved")
    assert (content["network"], content["input"], content["layers"][-1]["output"]) == ("mlp", [2, 6, 5], [3])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["anatomy"], "no network was named"),
        (["anatomy", "fashion_cnn"], "needs the shape of one input; write for example"),
        (["anatomy", "fashion_cnn", "--input", "28"], "--input '28' is no shape"),
        (["anatomy", "fashion_cnn", "--input", "1x0x28"], "--input '1x0x28' is no shape"),
        (["anatomy", "fashion_cn", "--input", "1x28x28"], "did you mean fashion_cnn?"),
        (["anatomy", "fashion_cnn", "--input", "1x4x4"], "at least 8 per side"),
        (["anatomy", "own.py:Nett", "--input", "3x8x8"], "did you mean Net?"),
        ([*FASHION, "--layer", "conv3"], "no layer named 'conv3', did you mean conv2?"),
        (["anatomy", "--edges", "--format", "markdown"], "the lessons are pictures"),
    ],
)
def test_mistakes_are_one_sentence(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_layer_that_fails_is_named_and_the_steps_before_it_are_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anatomy", "own.py:Net", "--input", "3x9x9", "--json"]) == 3
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert ([layer["name"] for layer in content["layers"]], content["complete"]) == (["conv", "flatten"], False)
    assert "layer fc (Linear) was given N×392" in content["findings"][0]["what"]


# ---- on the screen and on paper ----


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("network", ["fashion_cnn", "resnet18"])
def test_the_table_fits_its_terminal_and_breaks_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, network: str, columns: int, language: str
) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(columns))
    text = told(capsys, "anatomy", network, "--input", "1x32x32", "--lang", language)
    assert max(map(cell_len, text.splitlines())) <= columns
    anatomy = json_of(capsys, "anatomy", network, "--input", "1x32x32")
    shown = set(text.split())
    for layer in anatomy["layers"]:
        assert "×".join(map(str, layer["output"])) in shown
        assert not layer["parameters"] or f"{layer['parameters']:,}" in shown
    assert f"{anatomy['parameters']:,}" in text
    assert ("파라미터" in text) == (language == "ko")


def test_time_adds_a_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert re.search(r"\bms *$", told(capsys, *FASHION, "--time"), re.MULTILINE)


def test_markdown_has_a_row_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line for line in told(capsys, *FASHION, "--format", "markdown").splitlines() if line.startswith("| `")]
    assert len(rows) == 15
    assert "| `conv2` | Conv2d | 32×14×14 | 64×12×12 | (14 − 3 + 2·0)/1 + 1 = 12 | 64·32·3·3 + 64 = 18,496 |" in rows[4]
    assert len({row.count("|") for row in rows}) == 1


def test_the_ending_of_out_chooses_the_form(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending, start in (
        (".md", "# fashion_cnn"),
        (".json", '{"format"'),
        (".html", "<!doctype html>"),
        (".txt", "fashion_cnn, one"),
    ):
        assert told(capsys, *FASHION, "--out", f"deep/anatomy{ending}").strip() == f"deep/anatomy{ending}"
        assert Path(f"deep/anatomy{ending}").read_text().startswith(start)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in ("meta", "link", "img", "br", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    "what", [["resnet18", "--input", "3x64x64"], ["fashion_cnn", "--input", "1x28x28", "--layer", "conv2"], ["--edges"]]
)
def test_pages_are_whole_and_ask_nothing_of_the_network(
    here: Path, capsys: pytest.CaptureFixture[str], what: list[str], language: str
) -> None:
    told(capsys, "anatomy", *what, "--out", "page.html", "--lang", language)
    text = Path("page.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert "script" not in page.tags
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert not re.search(r"url\(\s*['\"]?(?!['\"]?data:)", text)
    assert f'lang="{language}"' in text
    assert bool(re.search("[가-힣]", text)) == (language == "ko")
    assert "{" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    english, korean = (tomllib.loads((words.FOLDER / f"{name}.toml").read_text(encoding="utf-8")) for name in ("en", "ko"))
    assert english.keys() == korean.keys()
    for section, texts in english.items():
        assert texts.keys() == korean[section].keys(), section
        for key, text in texts.items():
            places = [sorted(re.findall(r"\{(\w+)", words_)) for words_ in (text, korean[section][key])]
            assert places[0] == places[1], f"{section}.{key}"


def test_the_drawing_is_to_scale_and_shows_what_goes_past() -> None:
    network = models.build(konv.Choice(name="resnet18"), 3, (64, 64), 10)
    anatomy = konv.dissect(network, (3, 64, 64))
    drawn = flow(anatomy, "input")
    assert len(drawn.blocks) == len(anatomy.layers) + 1
    widths = {block.shape: block.width for block in drawn.blocks}
    assert widths["128×32×32"] == pytest.approx(widths["64×64×64"] / 2)
    assert all(above.bottom <= below.top for above, below in zip(drawn.blocks, drawn.blocks[1:], strict=False))
    assert sum(arc.end.kind == "add" for arc in drawn.arcs) == 8  # one residual connection for each of eight blocks
    assert all(arc.lane < arc.start.left for arc in drawn.arcs)


# ---- one layer, and the lessons ----


def test_a_layer_is_explained_at_length(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, *FASHION, "--layer", "conv2")
    assert "(14 − 3 + 2·0)/1 + 1 = 12" in text
    assert "64·32·3·3 + 64 = 18,496" in text
    assert re.search(r"^stride = 2 +64×6×6 ", text, re.MULTILINE)
    value, torchs = (re.search(rf"^{name} +(\S+)$", text, re.MULTILINE) for name in ("= value", "torch"))
    assert value is not None
    assert torchs is not None
    assert value[1] == torchs[1]
    content = json_of(capsys, *FASHION, "--layer", "pool1")
    assert content["worked"][0]["result"] == max(map(max, content["worked"][0]["window"]))
    assert told(capsys, *FASHION, "--layer", "conv2") == text
    assert "```text" in told(capsys, *FASHION, "--layer", "norm1", "--format", "markdown")


def test_the_lessons_compute_what_they_say() -> None:
    step = torch.zeros(5, 6)
    step[:, :3] = 1
    assert lessons.slid(step, lessons.VERTICAL).tolist() == [[0, 3, 3, 0]] * 3
    assert lessons.slid(step.T, lessons.HORIZONTAL).tolist() == [[0] * 3, [3] * 3, [3] * 3, [0] * 3]
    assert lessons.picture().shape == (160, 160)
    assert 0 <= float(lessons.picture().min()) < float(lessons.picture().max()) <= 1


@pytest.mark.parametrize("name", lessons.names())
def test_every_lesson_is_drawn_without_cutting_words_off(name: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure = lessons.draw(name, words.load("ko"))
    canvas = FigureCanvasAgg(figure)
    width, height = canvas.get_width_height()
    boxes = [
        text.get_window_extent(canvas.get_renderer())
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text()
    ]
    assert boxes
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)

"""konv anatomy with a network that does not fit: rows up to the layer, the finding, --fix; konv train: one sentence."""

import json
from pathlib import Path

import pytest

from konv.app.anatomy import mending
from konv.app.cli import main
from konv.core.anatomy import Anatomy

HEAD = "import torch\nfrom torch import nn\n\n\n"
TWICE = (
    HEAD
    + '''class Net(nn.Module):
    """두 군데가 틀린 신경망."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)  # 3채널
        self.fc = nn.Linear(100, classes)

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x), 1))
'''
)
MENDED = TWICE.replace("Conv2d(3,", "Conv2d(1,").replace("Linear(100,", "Linear(288,")
THING = ["anatomy", "my_net.py:Net", "--input", "1x8x8", "--lang", "en"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_net.py"
    path.write_text(TWICE, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_finding_is_in_the_json_under_the_names_of_the_contract(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*THING, "--json"]) == 3
    content = json.loads(capsys.readouterr().out)
    (finding,) = content["findings"]
    assert list(finding) == ["rule", "severity", "file", "line", "layer", "what", "why", "fix", "patch"]
    assert (finding["rule"], finding["file"], finding["line"], finding["layer"]) == ("layer_width", "my_net.py", 10, "conv")
    assert not content["complete"]
    assert Anatomy.model_validate(content).findings[0].line == 10


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_form_shows_the_steps_before_and_the_finding(
    file: Path, capsys: pytest.CaptureFixture[str], form: str, language: str
) -> None:
    file.write_text(TWICE.replace("Conv2d(3,", "Conv2d(1,"), encoding="utf-8")
    assert main([*THING[:-1], language, "--format", form, "--out", "shown"]) == 3
    text = Path("shown").read_text(encoding="utf-8")
    assert "8·6·6 = 288" in text
    assert "nn.Linear(288, classes)" in text
    assert ("✗" in text) == (form != "html")
    assert ("들어온 모양은" in text) == (language == "ko")


def test_the_table_fits_its_terminal(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(THING) == 3
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "error layer_width: conv, my_net.py:10" in text


# ---- --fix ----


def test_yes_writes_one_correction_after_the_other_and_nothing_else(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*THING, "--fix", "--yes"]) == 0
    assert file.read_text(encoding="utf-8") == MENDED
    assert file.stat().st_mode & 0o777 == 0o755
    printed = capsys.readouterr()
    assert printed.err.count("@@") == 2 * 2
    assert "+        self.fc = nn.Linear(288, classes)" in printed.err
    assert "8·6·6 = 288" in printed.out
    assert [path.name for path in file.parent.iterdir()] == ["my_net.py"]


def test_without_a_terminal_nothing_is_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*THING, "--fix"]) == 3
    assert file.read_text(encoding="utf-8") == TWICE
    printed = capsys.readouterr().err
    assert "-        self.conv = nn.Conv2d(3, 8, 3)  # 3채널" in printed
    assert "add --yes" in printed


@pytest.mark.parametrize(
    ("answers", "left"), [("y\ny\n", MENDED), ("y\nn\n", TWICE.replace("Conv2d(3,", "Conv2d(1,")), ("\n", TWICE)]
)
def test_each_correction_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: str, left: str
) -> None:
    from io import StringIO

    typed = StringIO(answers)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    assert main([*THING, "--fix"]) == (0 if left == MENDED else 3)
    assert file.read_text(encoding="utf-8") == left
    assert "Write this correction to my_net.py? [y/n]" in capsys.readouterr().err


def test_a_file_that_is_edited_meanwhile_is_not_overwritten(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def edited(question: str) -> bool:
        file.write_text("# mine\n", encoding="utf-8")
        return True

    monkeypatch.setattr(mending, "_accepted", edited)
    assert main([*THING, "--fix"]) == 2
    assert "was changed in the meantime" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "# mine\n"


def test_json_stays_one_object(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*THING, "--fix", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_only_a_file_of_ones_own_is_corrected(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anatomy", "fashion_cnn", "--input", "1x28x28", "--fix"]) == 2
    assert "--fix corrects a network in a file of your own" in capsys.readouterr().err


def test_a_link_stays_a_link(file: Path) -> None:
    Path("linked.py").symlink_to(file)
    assert main(["anatomy", "linked.py:Net", "--input", "1x8x8", "--fix", "--yes"]) == 0
    assert Path("linked.py").is_symlink()
    assert file.read_text(encoding="utf-8") == MENDED


# ---- train ----

TRAIN = ["train", "shapes", "--model", "my_net.py:Net", "--quiet", "--out", "run"]
TRAIN += ["--set", "data.pictures=60", "--set", "data.side=8", "--set", "fit.batch_size=8"]


def test_training_says_it_in_one_sentence_with_the_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(TRAIN) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("konv: my_net.py:10: layer conv (Conv2d) was given N×1×8×8")
    assert printed.count("\n") == 1
    assert "Line 10: self.conv = nn.Conv2d(1, 8, 3) # 3채널" in printed
    assert not Path("run").exists()


def test_a_batch_that_is_mixed_is_refused_before_training(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = MENDED.replace(
        "return self.fc(torch.flatten(self.conv(x), 1))", "return self.fc(self.conv(x).flatten(1)).softmax(0)"
    )
    file.write_text(text, encoding="utf-8")
    assert main(TRAIN) == 2
    assert "konv: my_net.py:14: softmax normalises along the samples" in capsys.readouterr().err

"""The command line as a person meets it: help, contracts of JSON and exit codes, and what bad input gets."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from konv.app.cli import main
from konv.core.shelves import COMMANDS

QUICK = ["--threads", "1", "--set", "fit.epochs=1", "--set", "data.pictures=120", "--set", "fit.batch_size=32"]


def konv(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"import sys; from konv.app.cli import main; status = main({list(arguments)!r}); {code or 'sys.exit(status)'}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the drawn shapes, trained once for all tests of this file that only read it."""
    out = tmp_path_factory.mktemp("runs") / "shapes"
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", str(out)]) == 0
    return out


# ---- help ----


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name.replace("_", "-"), "--help"] for name in COMMANDS.names())], ids=" ".join
)
def test_help_loads_no_torch(arguments: list[str]) -> None:
    done = konv(*arguments, code="sys.exit('torch' in sys.modules or 'numpy' in sys.modules)")
    assert done.returncode == 0, done.stderr
    assert "Usage: konv" in done.stdout


@pytest.mark.parametrize("command", ["runs", "models", "data"])
def test_listing_loads_no_torch(command: str) -> None:
    done = konv(command, code="sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_a_recipe_mistake_is_told_before_torch_loads() -> None:
    done = konv("train", "--set", "fit.epoch=3", code="sys.exit(10 * status + ('torch' in sys.modules))")
    assert done.returncode == 20
    assert "did you mean fit.epochs?" in done.stderr


# ---- contracts ----


def test_train_prints_one_json_object_with_the_contract_names(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK, "--json", "--out", "run"]) == 0
    printed = capfd.readouterr()
    facts = json.loads(printed.out)
    assert {"run", "accuracy", "epochs", "seconds", "resumed"} <= facts.keys()
    assert facts["test_openings"] == 1
    assert "epoch   1" in printed.err
    names = {"recipe.toml", "environment.json", "history.jsonl", "checkpoints", "classifier", "report.json", "report.html"}
    assert names <= {path.name for path in Path("run").iterdir()}
    stored = json.loads(Path("run/report.json").read_text())
    wanted = {
        "accuracy", "accuracy_interval", "precision_macro", "recall_macro", "f1_macro", "per_class", "classes", "confusion",
        "expected_calibration_error", "seconds_training", "milliseconds_one", "images_per_second", "parameters",
        "test_openings", "weights_sha256",
    }  # fmt: skip
    assert wanted <= stored.keys()


def test_the_same_command_again_takes_the_finished_run(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["train", "shapes", *QUICK, "--json"]
    assert main(command) == 0
    first = json.loads(capfd.readouterr().out)
    assert main(command) == 0
    second = json.loads(capfd.readouterr().out)
    assert second == {**first, "resumed": True}


def test_predict_gives_label_confidence_and_probabilities(
    finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "그림.png"
    Image.fromarray(np.full((30, 40, 4), 90, dtype=np.uint8)).save(picture)
    assert main(["predict", str(finished), str(picture), "--json"]) == 0
    [prediction] = json.loads(capfd.readouterr().out)["predictions"]
    assert prediction.keys() == {"file", "label", "confidence", "probabilities", "rejected"}
    assert prediction["file"] == str(picture)
    assert prediction["confidence"] == pytest.approx(max(prediction["probabilities"].values()))
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_evaluate_counts_every_further_opening(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["train", "shapes", *QUICK, "--quiet", "--out", "run"])
    openings = []
    for _ in range(2):
        capfd.readouterr()
        assert main(["evaluate", "run", "--json"]) == 0
        openings.append(json.loads(capfd.readouterr().out)["test_openings"])
    assert openings == [2, 3]


def test_evaluate_on_another_source_leaves_the_seal(finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (finished / "test_openings.json").read_text()
    assert main(["evaluate", str(finished), "shapes", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["pictures"] == 600
    assert (finished / "test_openings.json").read_text() == before


def test_runs_lists_what_is_there(finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(finished.parent), "--json"]) == 0
    [row] = json.loads(capfd.readouterr().out)["runs"]
    assert (row["run"], row["model"], row["finished"]) == ("shapes", "plain", True)


def test_data_tells_counts_without_opening_the_test_split(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "digits", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert sum(facts["counts"].values()) + facts["sealed"] == 1797
    assert facts["classes"] == [str(digit) for digit in range(10)]


def test_explain_prints_meaning_unit_range_default(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--explain", "fit.momentum"]) == 0
    printed = capfd.readouterr().out
    assert all(word in printed for word in ("fit.momentum", "unit:", "range:", "default:"))


def test_what_a_network_prints_does_not_spoil_the_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own("print('inside'); return x")
    assert main(["train", "digits", *QUICK[:4], "--model", "net.py:Net", "--json", "--quiet", "--out", "run"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["model"].endswith("net.py:Net")
    assert "inside" in printed.err


def test_a_recipe_changed_after_the_start_is_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", "run"]) == 0
    Path("run/recipe.toml").write_text("")
    assert main(["resume", "run"]) == 2
    assert "is not what the run was begun with" in capfd.readouterr().err


def test_a_missing_list_of_openings_is_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", "run"]) == 0
    Path("run/test_openings.json").unlink()
    assert main(["evaluate", "run"]) == 2
    assert "cannot be counted" in capfd.readouterr().err


# ---- signals ----


ENDLESS = """
import os, sys, threading
from torch import nn

calls = 0

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.LazyLinear(classes)

    def forward(self, x):
        global calls
        calls += self.training
        x = self.norm(x)
        if str(calls) == os.environ.get("ENDLESS_AT"):
            print("endless", file=sys.stderr, flush=True)
            threading.Event().wait()
        return self.fc(self.drop(x).flatten(1))
"""


def test_a_signal_in_an_update_that_does_not_end_saves_the_one_before(here: Path) -> None:
    Path("net.py").write_text(ENDLESS)
    options = ["shapes", "--model", "net.py:Net", "--threads", "1", "--set", "fit.epochs=2", "--set", "fit.batch_size=32"]
    command = [sys.executable, "-m", "konv", "train", *options, "--out", "cut"]
    environment = {**os.environ, "ENDLESS_AT": "9"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("endless"):
                break
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 143, rest
    assert "konv resume" in rest
    assert [place.name for place in Path("cut/checkpoints").iterdir()] == ["00000007"]  # the trial made the first call
    assert main(["train", *options, "--quiet", "--out", "cut"]) == 0
    assert main(["train", *options, "--quiet", "--out", "whole"]) == 0
    whole, cut = (json.loads(Path(name, "report.json").read_text()) for name in ("whole", "cut"))
    assert cut["weights_sha256"] == whole["weights_sha256"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_and_resume_ends_the_same(here: Path, number: signal.Signals, code: int) -> None:
    options = [
        "shapes",
        "--threads",
        "1",
        "--set",
        "fit.epochs=40",
        "--set",
        "data.pictures=300",
        "--set",
        "fit.augment=flip,crop",
    ]
    command = [sys.executable, "-m", "konv", "train", *options, "--out", "cut"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch   2"):
                break
        os.kill(process.pid, number)
        rest = process.stderr.read()
    assert process.returncode == code, rest
    assert "konv resume" in rest
    assert main(["resume", "cut", "--quiet"]) == 0
    assert main(["train", *options, "--quiet", "--out", "whole"]) == 0
    whole, cut = (json.loads(Path(name, "report.json").read_text()) for name in ("whole", "cut"))
    assert cut["weights_sha256"] == whole["weights_sha256"]
    assert len(Path("cut/history.jsonl").read_text().splitlines()) == 40


# ---- what bad input gets ----


def fill(folder: Path, *names: str, pictures: int = 12) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(pictures):
            Image.fromarray(np.full((12, 12), 20 * number, dtype=np.uint8)).save(folder / name / f"{number}.png")
    return folder


def broken_folder() -> None:
    fill(Path("pets"), "cat", "dog")
    Path("pets/cat/note.jpg").write_text("no picture")


def truncated_picture() -> None:
    fill(Path("pets"), "cat", "dog")
    Path("pets/dog/0.png").write_bytes(Path("pets/dog/1.png").read_bytes()[:40])


def empty_class() -> None:
    fill(Path("pets"), "cat")
    Path("pets/dog").mkdir()


def future_run() -> None:
    fill(Path("pets"), "cat", "dog")
    main(
        [
            "train",
            "pets",
            "--set",
            "fit.epochs=1",
            "--set",
            "fit.batch_size=8",
            "--set",
            "data.size=8",
            "--quiet",
            "--out",
            "run",
        ]
    )
    facts = json.loads(Path("run/environment.json").read_text())
    Path("run/environment.json").write_text(json.dumps({**facts, "format": 99}))


def wrong_channels() -> None:
    np.savez("colour.npz", inputs=np.zeros((40, 3, 8, 8), np.uint8), labels=np.arange(40) % 2)
    Path("net.py").write_text(
        "from torch import nn\n\n\ndef Net():\n    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2))\n"
    )


def nothing() -> None:
    return None


def own(body: str) -> None:
    """A network file whose forward ends in `body`."""
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(64, 10)\n\n"
        f"    def forward(self, x):\n        x = self.fc(x.flatten(1))\n        {body}\n"
    )


BAD = [
    (nothing, ["train", ""], "data.source is empty"),
    (nothing, ["train", "digits", "--model", "net.py"], "net.py:ClassName"),
    (nothing, ["train", "digits", "--set", "model.width=100000000"], "take smaller values"),
    (lambda: own("return x.detach()"), ["train", "digits", "--model", "net.py:Net"], "no gradient"),
    (lambda: own("return x.view(2, 10)"), ["train", "digits", "--model", "net.py:Net"], "view turns N×10 into 2×10"),
    (
        lambda: Path("net.py").write_text("def Net():\n    raise SystemExit(0)\n"),
        ["train", "digits", "--model", "net.py:Net"],
        "line 2",
    ),
    (nothing, ["train", "./nowhere"], "there is no folder"),
    (lambda: Path("void").mkdir(), ["train", "./void"], "is empty"),
    (lambda: fill(Path("pets"), "cat"), ["train", "pets"], "one class"),
    (empty_class, ["train", "pets"], "'dog'"),
    (broken_folder, ["train", "pets"], "note.jpg"),
    (truncated_picture, ["train", "pets"], "0.png"),
    (nothing, ["train", "fashon-mnist"], "did you mean fashion_mnist?"),
    (nothing, ["train", "digits", "--model", "plane"], "did you mean plain?"),
    (nothing, ["train", "digits", "--model", "nowhere.py:Net"], "there is no file"),
    (nothing, ["train", "digits", "--set", "fit.optimizer=adm"], "did you mean adam?"),
    (nothing, ["train", "digits", "--set", "fit.epoch=2"], "did you mean fit.epochs?"),
    (nothing, ["train", "digits", "--set", "fit.lr=2"], "did you mean fit.learning_rate?"),
    (nothing, ["train", "digits", "--set", "fit.epochs=0"], "1 or more"),
    (nothing, ["train", "digits", "--set", "fit.epochs"], "key=value"),
    (nothing, ["train", "digits", "--set", "model.widht=3"], "did you mean width?"),
    (nothing, ["train", "digits", "--set", "fit.momentum=0.9"], "fit.momentum"),
    (nothing, ["train", "digits", "--set", "fit.augment=flop"], "did you mean flip?"),
    (nothing, ["train", "digits", "--set", "fit.batch_size=5000"], "1,295 training"),
    (nothing, ["train", "digits", "--set", "fit.class_weights=[1.0, 2.0]"], "10 classes"),
    (nothing, ["train", "digits", "--recipe", "nowhere.toml"], "there is no recipe file"),
    (lambda: Path("bad.toml").write_text("[fit\n"), ["train", "--recipe", "bad.toml"], "not valid TOML"),
    (
        lambda: fill(Path("pets"), "cat", "dog"),
        ["train", "pets", "--set", "data.size=3", "--set", "fit.batch_size=8"],
        "at least 4",
    ),
    (wrong_channels, ["train", "colour.npz", "--model", "net.py:Net", "--set", "fit.batch_size=8"], "nn.Conv2d(3, 4, 3"),
    (lambda: Path("file").write_text(""), ["train", "digits", "--out", "file"], "no run folder"),
    (nothing, ["train", "digits", "--out", "/proc/nowhere/run"], "cannot be written"),
    (nothing, ["train", "digits", "--device", "tpu"], "tpu"),
    (nothing, ["trian"], 'Did you mean "train"'),
    (nothing, ["train", "--expoch", "3"], "--expoch"),
    (nothing, ["resume", "nowhere"], "there is no run"),
    (lambda: Path("void").mkdir(), ["resume", "void"], "is not a run folder"),
    (future_run, ["resume", "run"], "format 99"),
    (nothing, ["evaluate", "nowhere"], "there is no run"),
    (nothing, ["predict", "nowhere", "a.png"], "there is no run"),
    (nothing, ["report", "nowhere"], "there is no run"),
    (nothing, ["data", "./nowhere"], "there is no folder"),
    (nothing, ["train", "--explain", "fit.momentun"], "did you mean fit.momentum?"),
]


@pytest.mark.parametrize(("prepare", "arguments", "says"), BAD, ids=[" ".join(arguments) for _, arguments, _ in BAD])
def test_bad_input_gets_one_sentence_and_exit_code_2(prepare, arguments, says, here, capfd) -> None:  # type: ignore[no-untyped-def]
    prepare()
    before = sorted(here.rglob("*"))
    capfd.readouterr()
    assert main(arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("konv: ")
    assert len(printed.err.strip().splitlines()) == 1
    assert says in printed.err
    assert "Traceback" not in printed.err
    left = [path for path in sorted(here.rglob("*")) if path not in before and path.name != ".writer"]
    assert left == [], "nothing half-written stays"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"], ids=["zero bytes", "text", "head only"])
def test_predict_refuses_a_file_that_is_no_picture(finished: Path, tmp_path: Path, content: bytes, capfd) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bad.png").write_bytes(content)
    assert main(["predict", str(finished), str(tmp_path / "bad.png")]) == 2
    assert "bad.png" in capfd.readouterr().err


def test_evaluate_refuses_unknown_classes_by_name(finished: Path, tmp_path: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    fill(tmp_path / "pets", "circle", "dog")
    assert main(["evaluate", str(finished), str(tmp_path / "pets")]) == 2
    assert "dog" in capfd.readouterr().err


def test_a_full_disk_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("konv.core.files.os.fsync", full)
    assert main(["train", "shapes", *QUICK, "--quiet", "--out", "run"]) == 2
    assert "No space left on device" in capfd.readouterr().err
    assert not Path("run").exists()
    assert list(here.iterdir()) == []

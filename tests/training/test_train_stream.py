"""`stream`: from a recipe to a run folder with an honest report, leaving the process as it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from konv.classifier import Classifier
from konv.core.errors import BadData, BadModel, BadRecipe, BadRun, Diverged
from konv.core.recipe import Choice, DataOptions, Fit, Recipe
from konv.core.results import Epoch
from konv.core.run import Run
from konv.datasets import Data, SealedSamples, load
from konv.training.environment import choose_device, choose_precision, describe, differences
from konv.training.fit import Step
from konv.training.train import Finished, Started, default_folder, stream

Toy = Callable[..., Recipe]
REPORT = (
    "accuracy accuracy_interval precision_macro recall_macro f1_macro per_class classes confusion "
    "expected_calibration_error seconds_training milliseconds_one images_per_second parameters test_openings weights_sha256"
)  # the contract of report.json
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x):
        return self.fc(self.body(x))
"""


def finish(recipe: Recipe, out: Path, data: Data | None = None) -> Finished:
    *_, last = stream(recipe, out=out, data=data)
    assert isinstance(last, Finished)
    return last


def test_records_come_in_their_order(toy: Toy, tmp_path: Path) -> None:
    started, *middle, finished = stream(toy(batch_size=20), out=tmp_path / "run")
    assert [type(record) for record in (started, *middle, finished)] == [Started, *[Step, Step, Step, Epoch] * 2, Finished]
    assert (started.resumed_at, started.notes, started.device, started.threads) == (0, (), "cpu", 1)
    assert started.parameters == finished.report.parameters
    assert not finished.resumed


def test_the_run_folder_holds_everything(toy: Toy, tmp_path: Path) -> None:
    recipe = toy()
    run = finish(recipe, tmp_path / "run").run
    assert Run.open(tmp_path / "run") == run
    assert run.recipe == recipe
    assert [epoch.epoch for epoch in run.history] == [1, 2]
    assert run.environment["torch"] == torch.__version__
    assert run.split == load(recipe.data).split()
    assert run.examples
    report = json.loads((run.path / "report.json").read_text(encoding="utf-8"))
    assert set(REPORT.split()) <= report.keys()
    assert report["test_openings"] == 1
    assert np.sum(report["confusion"]) == report["pictures"] == len(run.split["test"])
    classifier = Classifier.load(run.path)
    assert classifier.weights_sha256 == report["weights_sha256"]
    assert list(classifier.classes) == run.split["classes"]


def test_the_score_is_the_saved_classifiers_own(toy: Toy, tmp_path: Path) -> None:
    """What ships is what was scored."""
    recipe = toy(model={"name": "plain", "width": 4, "head": 8}, weight_average=0.5)
    run = finish(recipe, tmp_path / "run").run
    test = load(recipe.data).test.open(lambda: 0)
    probabilities = Classifier.load(run.path).probabilities(test.inputs).numpy()
    with np.load(run.path / "predictions.npz") as kept:
        assert np.array_equal(kept["probabilities"], probabilities)
        assert list(kept["ids"]) == list(test.ids)
    assert run.report.accuracy == (probabilities.argmax(axis=1) == test.labels).mean()


def test_the_test_split_stays_shut_until_training_is_over(toy: Toy, tmp_path: Path) -> None:
    recipe, opened = toy(), []
    data = load(recipe.data)

    def opener() -> Any:
        opened.append(len(Run.open(tmp_path / "run").history))
        return data.test.open(lambda: 0)

    finish(recipe, tmp_path / "run", replace(data, test=SealedSamples(opener, len(data.test), data.test.ids)))
    assert opened == [2]  # once, after both epochs


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(toy: Toy, tmp_path: Path) -> None:
    weights = [finish(toy(seed=seed), tmp_path / str(place)).report.weights_sha256 for place, seed in enumerate([3, 3, 4])]
    assert weights[0] == weights[1] != weights[2]


def test_the_process_is_left_as_it_was(toy: Toy, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    recipe = toy(model={"name": "mlp", "hidden": [4], "dropout": 0.5}).model_copy(update={"threads": 2})
    records = stream(recipe, out=tmp_path / "stopped")
    assert next(records).threads == 2
    next(records)
    records.close()
    assert torch.equal(torch.get_rng_state(), state)
    finish(recipe, tmp_path / "whole")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_second_training_in_the_same_folder_is_refused_while_the_first_runs(toy: Toy, tmp_path: Path) -> None:
    records = stream(toy(), out=tmp_path / "run")
    next(records)
    with pytest.raises(BadRun, match="is being written by process"):
        finish(toy(), tmp_path / "run")
    records.close()
    finish(toy(), tmp_path / "run")


def test_the_folder_follows_from_recipe_and_data(toy: Toy, in_tmp: Path) -> None:
    recipe = toy()
    *_, last = stream(recipe)
    folder = default_folder(recipe, last.run.split["fingerprint"])
    assert last.run.path == in_tmp / folder
    assert folder.parts[0] == "runs"
    assert folder.name.startswith("shapes-mlp-")
    assert len({folder, default_folder(toy(seed=1), "a"), default_folder(recipe, "a"), default_folder(recipe, "b")}) == 4


def test_an_own_network_trains_like_any_other_and_can_be_taken_up_from_anywhere(
    toy: Toy, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp / "my_net.py").write_text(NET, encoding="utf-8")
    recipe = toy(model={"name": "my_net.py:Net", "width": 3})
    run = finish(recipe, in_tmp / "run").run
    assert run.recipe.model == Choice(name=f"{in_tmp / 'my_net.py'}:Net", width=3)
    assert (run.classifier / "network.py").read_text(encoding="utf-8") == NET
    before = default_folder(recipe, "")
    assert before.name.startswith("shapes-Net-")
    (in_tmp / "elsewhere").mkdir()
    monkeypatch.chdir(in_tmp / "elsewhere")
    assert finish(run.recipe, run.path).resumed
    assert Classifier.load(run.path).network.fc.in_features == 12
    (in_tmp / "my_net.py").write_text(f"{NET}# edited\n", encoding="utf-8")
    assert default_folder(run.recipe, "").name != before.name, "an edited network is never answered with an old result"
    with pytest.raises(BadRun, match=r"my_net\.py:Net has changed since"):
        finish(run.recipe, run.path)


def test_an_own_network_may_flatten_with_view(toy: Toy, tmp_path: Path) -> None:
    """As course code does; features with the channels last in memory would refuse it."""
    text = NET.replace("nn.Flatten()", "nn.Identity()").replace(
        "return self.fc(self.body(x))", "x = self.body(x)\n        return self.fc(x.view(x.size(0), -1))"
    )
    (tmp_path / "my_net.py").write_text(text, encoding="utf-8")
    assert finish(toy(model=f"{tmp_path}/my_net.py:Net"), tmp_path / "run").report.pictures == 16


# ---- what cannot be trained ----


def test_a_recipe_made_by_hand_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"model\.wdth is no option of model plain, did you mean width\?"):
        finish(Recipe(model=Choice(name="plain", wdth=3)), tmp_path / "run")
    with pytest.raises(BadRecipe, match=r"data\.side = 0"):
        finish(Recipe(data=DataOptions(source="shapes", side=0)), tmp_path / "run")
    with pytest.raises(BadRecipe, match="no effect"):
        finish(Recipe(fit=Fit(momentum=0.5)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_mistake_leaves_no_run_behind(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(BadData):
        finish(toy(data={"side": 7}), tmp_path / "run")
    with pytest.raises(BadRecipe, match=r"fit\.batch_size"):
        finish(toy(batch_size=1000), tmp_path / "run")
    with pytest.raises(BadRecipe, match=r"fit\.class_weights holds 2 numbers; the data has 4 classes"):
        finish(toy(class_weights=[1.0, 2.0]), tmp_path / "run")
    with pytest.raises(BadModel, match="there is no file"):
        finish(toy(model=f"{tmp_path}/none.py:Net"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_augmentation_that_does_not_fit_the_data_is_named(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"fit\.augment affine works on pictures"):
        finish(toy(augment=["affine"], data={"dimensions": 1}), tmp_path / "run")


EXPLODING = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.fc(x.flatten(1)) * (float("inf") if self.calls > 5 else 1.0)
"""


def test_a_diverged_training_keeps_its_last_good_state_and_opens_nothing(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(EXPLODING, encoding="utf-8")
    recipe = toy(model=f"{tmp_path}/net.py:Net", batch_size=20)  # three updates an epoch
    for _ in range(2):  # taken up again, it stops at the same update
        with pytest.raises(Diverged, match="before update 3 of epoch 2: the loss is nan"):
            finish(recipe, tmp_path / "run")
        run = Run.open(tmp_path / "run")
        assert [place.name for place in sorted(run.checkpoints.iterdir())] == ["00000003", "00000005"]
        assert len(run.history) == 1
        assert not run.finished
        assert not (run.path / "test_openings.json").exists()


# ---- the envelope ----


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(BadRecipe, match="device = 'cuda' is not on this machine; it has cpu"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("instructions", "chosen"),
    [("fpu avx2 avx512f", "float32"), ("fpu avx512f avx512_bf16 amx_tile", "bfloat16"), ("fp asimd bf16 i8mm", "bfloat16")],
)
def test_auto_takes_bfloat16_only_where_the_processor_has_it(
    instructions: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor\t: 0\nflags\t\t: {instructions}\n")
    assert choose_precision("auto", torch.device("cpu")) == chosen
    assert choose_precision("auto", torch.device("mps")) == "float32"
    assert choose_precision("bfloat16", torch.device("cpu")) == "bfloat16"


def test_the_envelope_names_what_differs() -> None:
    here = describe(torch.device("cpu"), "auto")
    assert differences(here, here) == []
    assert differences({**here, "torch": "1.0", "python": "2"}, here) == [f"torch was 1.0, is {here['torch']}"]
    assert json.loads(json.dumps(here)) == here


def test_a_disk_too_small_for_the_run_is_named_before_anything_is_written(
    toy: Toy, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("konv.training.train.shutil.disk_usage", lambda _: SimpleNamespace(total=2**30, free=2**20))
    with pytest.raises(BadRun, match=r"has 1 MiB free; this run needs about \d+"):
        finish(toy(), in_tmp / "run")
    assert list(in_tmp.iterdir()) == []

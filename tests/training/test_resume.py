"""Pull the plug: stopped after any update and started again, a training ends in the same weights bit for bit."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from konv.core.compose import compose
from konv.core.errors import BadRun
from konv.core.recipe import Fit, Recipe
from konv.core.run import Run
from konv.training.fit import Step
from konv.training.train import Finished, Started, stream

OPTIMIZERS = get_args(Fit.model_fields["optimizer"].annotation)
SCHEDULES = get_args(Fit.model_fields["schedule"].annotation)
TIMES = ("seconds", "milliseconds", "images_per_second", "pictures_per_second")
Toy = Callable[..., Recipe]


def finish(recipe: Recipe, out: Path) -> Finished:
    *_, last = stream(recipe, out=out)
    return last


def stop_after(updates: int, recipe: Recipe, out: Path) -> None:
    """Runs until this invocation has done so many updates, then closes the stream."""
    records = stream(recipe, out=out)
    done = 0
    for record in records:
        done += isinstance(record, Step)
        if done == updates:
            break
    records.close()


def timeless(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: timeless(value) for key, value in values.items() if not key.startswith(TIMES)}
    return [timeless(value) for value in values] if isinstance(values, list) else values


def outcome(out: Path) -> dict[str, Any]:
    """Everything a training decides: weights, history, scores, predictions; no times."""
    with np.load(out / "predictions.npz") as scores:
        predictions = {name: scores[name].tobytes() for name in scores.files}
    return {
        "weights": (out / "classifier" / "weights.safetensors").read_bytes(),
        "history": [timeless(json.loads(row)) for row in (out / "history.jsonl").read_text().splitlines()],
        "report": timeless(json.loads((out / "report.json").read_text())),
        "openings": json.loads((out / "test_openings.json").read_text()),
        "predictions": predictions,
    }


def everything(toy: Toy, **fit: Any) -> Recipe:
    """A recipe with every source of randomness: five augmentations, dropout, an average, a short last batch."""
    return toy(
        model={"name": "plain", "width": 4, "head": 8, "dropout": 0.3},
        **{
            "epochs": 3,
            "batch_size": 13,
            "augment": ["flip", "crop", "erase", "affine", "colour"],
            "weight_average": 0.7,
            **fit,
        },
    )


# ---- stopped and taken up again ----

CASES = [
    *((number + 1, {"optimizer": name}) for number, name in enumerate(OPTIMIZERS)),
    *(
        (number + 3, {"schedule": kind, "warmup": 0.5, "step_every": 1, "plateau_patience": 0})
        for number, kind in enumerate(SCHEDULES)
    ),
    (4, {"initialization": "whitening"}),
    (5, {"optimizer": "nesterov", "momentum": 0.5, "clip_norm": 0.1}),
    (8, {"loss": "focal", "class_weights": "balanced", "label_smoothing": 0.1, "precision": "bfloat16"}),
    (2, {"batch_size": "all", "patience": 2, "keep": "last", "weight_average": 0.0}),
]  # updates before the stop, options


@pytest.mark.parametrize(("updates", "fit"), CASES, ids=str)
def test_a_stopped_training_ends_as_an_undisturbed_one(toy: Toy, tmp_path: Path, updates: int, fit: dict[str, Any]) -> None:
    recipe = everything(toy, **fit)
    assert not finish(recipe, tmp_path / "whole").resumed
    stop_after(updates, recipe, tmp_path / "parted")
    assert not Run.open(tmp_path / "parted").finished
    assert finish(recipe, tmp_path / "parted").resumed
    assert outcome(tmp_path / "parted") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("model", ["mlp", "fashion_cnn"])
@pytest.mark.parametrize("dimensions", [1, 3])
def test_signals_and_volumes_too(toy: Toy, tmp_path: Path, model: str, dimensions: int) -> None:
    recipe = toy(
        model={"name": model, "dropout": 0.4}, data={"dimensions": dimensions, "pictures": 60}, augment=["crop", "erase"]
    )
    finish(recipe, tmp_path / "whole")
    stop_after(2, recipe, tmp_path / "parted")
    finish(recipe, tmp_path / "parted")
    assert outcome(tmp_path / "parted") == outcome(tmp_path / "whole")


def test_a_training_may_be_stopped_after_every_single_update(toy: Toy, tmp_path: Path) -> None:
    recipe = everything(toy, epochs=2)
    finish(recipe, tmp_path / "whole")
    stops = 0
    while not (tmp_path / "parted" / "report.json").is_file():
        stop_after(1, recipe, tmp_path / "parted")
        stops += 1
    assert stops == 11  # five updates an epoch, and one start that finds nothing left to do
    assert outcome(tmp_path / "parted") == outcome(tmp_path / "whole")


def test_what_the_consumer_does_between_two_updates_does_not_matter(toy: Toy, tmp_path: Path) -> None:
    recipe = everything(toy)
    finish(recipe, tmp_path / "whole")
    for _ in stream(recipe, out=tmp_path / "disturbed"):
        torch.manual_seed(random.randrange(99))
        torch.rand(3)
        np.random.seed(3)
    assert outcome(tmp_path / "disturbed") == outcome(tmp_path / "whole")


def test_a_stop_before_the_first_update_loses_nothing(toy: Toy, tmp_path: Path) -> None:
    recipe = toy()
    records = stream(recipe, out=tmp_path / "run")
    assert isinstance(next(records), Started)
    records.close()
    assert not finish(recipe, tmp_path / "run").resumed


def test_a_checkpoint_inside_an_epoch_is_written_when_time_has_passed(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("konv.training.train.CHECKPOINT_SECONDS", -1.0)
    written = []
    monkeypatch.setattr("konv.training.checkpoints.write", lambda _, snapshot: written.append(snapshot.step))
    records = stream(toy(), out=tmp_path / "run")
    next(records), next(records), next(records)
    records.close()
    assert written == [1, 2, 2], "after each update, and once more when the stream is closed"


# ---- the machine dies ----


class PowerCut(BaseException):
    """No file can be touched any more: what was done before is all there is."""


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[int]]]:
    """Cuts the power at the n-th operation that changes the disk; returns the count of operations so far."""

    def cut_at(number: int) -> list[int]:
        count = [0]

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                count[0] += 1
                if count[0] >= number:
                    raise PowerCut
                return real(*arguments, **options)

            return call

        for module, name in [(os, "fsync"), (os, "replace"), (os, "rename"), (os, "mkdir"), (os, "unlink"), (shutil, "rmtree")]:
            monkeypatch.setattr(module, name, counted(getattr(module, name)))
        return count

    yield cut_at
    monkeypatch.undo()


def test_a_power_cut_at_any_disk_operation_is_survived(
    toy: Toy, tmp_path: Path, power: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy(batch_size="all", model={"name": "mlp", "hidden": [4]}, data={"pictures": 40})
    count = power(10**9)
    finish(recipe, tmp_path / "whole")
    operations = count[0]
    monkeypatch.undo()
    assert operations > 40
    for number in range(1, operations + 1, 3):
        power(number)
        with pytest.raises(PowerCut):
            finish(recipe, tmp_path / "cut")
        monkeypatch.undo()
        finish(recipe, tmp_path / "cut")
        assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole"), number
        assert not list(tmp_path.glob("cut/checkpoints/.*"))
        shutil.rmtree(tmp_path / "cut")


# ---- damaged checkpoints ----


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_newest_checkpoint_is_passed_over_by_name(toy: Toy, tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    recipe = everything(toy)
    finish(recipe, tmp_path / "whole")
    stop_after(8, recipe, tmp_path / "run")  # checkpoints after the first epoch's five updates and after eight
    newest = tmp_path / "run" / "checkpoints" / "00000008"
    file = newest / ("state.safetensors" if seed % 2 else "state.json")
    content = bytearray(file.read_bytes())
    content[chosen.randrange(len(content))] ^= 0x80  # in JSON, never a neutral change
    file.write_bytes(content)
    records = stream(recipe, out=tmp_path / "run")
    started = next(records)
    assert isinstance(started, Started)
    assert started.resumed_at == 5
    assert any(note.startswith("passed over a damaged checkpoint, 00000008: ") for note in started.notes)
    list(records)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_when_no_checkpoint_is_good_the_run_is_refused(toy: Toy, tmp_path: Path) -> None:
    stop_after(5, toy(), tmp_path / "run")
    for file in tmp_path.glob("run/checkpoints/*/state.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(BadRun, match=r"no checkpoint in .* can be used"):
        finish(toy(), tmp_path / "run")


# ---- what may be taken up ----


def test_a_finished_run_comes_back_at_once_and_opens_nothing(toy: Toy, tmp_path: Path) -> None:
    first = finish(toy(), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    records = list(stream(toy(), out=tmp_path / "run"))
    assert [type(record) for record in records] == [Started, Finished]
    assert records[-1].resumed
    assert records[-1].report == first.report
    assert records[-1].report.test_openings == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before


def test_a_final_score_that_was_interrupted_counts_once(toy: Toy, tmp_path: Path) -> None:
    finish(toy(), tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()  # as if killed between the opening and the report
    assert finish(toy(), tmp_path / "run").report.test_openings == 1


def test_another_recipe_in_the_folder_is_refused_with_the_difference(toy: Toy, tmp_path: Path) -> None:
    finish(toy(), tmp_path / "run")
    before = outcome(tmp_path / "run")
    with pytest.raises(BadRun, match=r"holds a run of another recipe \(seed: 0 there, 1 here\); choose another --out\."):
        finish(toy(seed=1), tmp_path / "run")
    with pytest.raises(BadRun, match=r"fit\.epochs: 2 there, 3 here"):
        finish(toy(epochs=3), tmp_path / "run")
    assert outcome(tmp_path / "run") == before


def test_changed_data_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "arrays.npz"
    labels = np.repeat([0, 1], 20)
    inputs = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), dtype=np.uint8)
    np.savez(source, inputs=inputs, labels=labels)
    recipe = compose(str(source), model="mlp", settings=["fit.epochs=2", "fit.batch_size=8"])
    stop_after(2, recipe, tmp_path / "run")
    inputs[0, 0, 0, 0] ^= 1
    np.savez(source, inputs=inputs, labels=labels)
    with pytest.raises(BadRun, match="has changed since that run began"):
        finish(recipe, tmp_path / "run")


def test_another_number_of_threads_is_told_and_trained_on(toy: Toy, tmp_path: Path) -> None:
    stop_after(2, toy(), tmp_path / "run")
    facts = tmp_path / "run" / "environment.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "threads": 99}))
    records = stream(toy(), out=tmp_path / "run")
    started = next(records)
    records.close()
    assert any("not bit for bit: threads was 99, is 1" in note for note in started.notes)


def test_a_folder_that_is_no_run_is_refused(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").touch()
    with pytest.raises(BadRun, match="is not a run folder"):
        finish(toy(), tmp_path / "letters")
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["a.txt"]

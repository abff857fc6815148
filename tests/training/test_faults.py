"""What else can go wrong with a run folder: closed folders, two writers, other formats, clocks that jump, flipped bits."""

import ctypes
import json
import os
import random
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from konv.app.cli import main
from konv.core.errors import BadRun
from konv.core.recipe import Recipe
from konv.core.run import Run
from konv.core.seals import sealed, unsealed
from konv.training import checkpoints
from konv.training.fit import Step
from konv.training.train import Finished, Started, stream

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TIMES = ("seconds", "milliseconds", "images_per_second", "pictures_per_second")
Toy = Callable[..., Recipe]


def finish(recipe: Recipe, out: Path) -> Finished:
    *_, last = stream(recipe, out=out)
    assert isinstance(last, Finished)
    return last


def stop_after(updates: int, recipe: Recipe, out: Path) -> None:
    records, done = stream(recipe, out=out), 0
    while done < updates:
        done += isinstance(next(records), Step)
    records.close()


def outcome(out: Path) -> dict[str, Any]:
    """Weights, report and history without times."""
    run = Run.open(out)
    report = {name: value for name, value in run.report.model_dump().items() if not name.startswith(TIMES)}
    rows = [{name: value for name, value in epoch.model_dump().items() if name not in TIMES} for epoch in run.history]
    return {"report": report, "history": rows, "weights": (run.classifier / "weights.safetensors").read_bytes()}


def refused(*arguments: object, capfd: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must end with exit code 2 and returns its one sentence."""
    capfd.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    said = capfd.readouterr().err
    assert said.startswith("konv: ")
    assert said.count("\n") == 1, said
    return said


# ---- folders that cannot be written ----


def without_rights(work: Callable[[], None]) -> str:
    """Runs work in a forked process that has given up the superuser's rights and returns the sentence of its BadRun."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing was refused"
        try:
            header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # capset(2), version 3
            ctypes.CDLL(None).capset(header, none)
            work()
        except BadRun as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "capset"), reason="needs Linux")
def test_a_folder_that_is_closed_before_and_during_a_run_is_told(toy: Toy, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "cannot be written: Permission denied; choose another --out." in without_rights(
        lambda: finish(toy(), closed / "run") and None
    )
    assert not list(closed.iterdir())
    out = tmp_path / "run"
    finish(toy(), tmp_path / "whole")
    stop_after(7, toy(), out)
    for place in (out, out / "checkpoints"):
        place.chmod(0o500)
        said = without_rights(lambda: finish(toy(), out) and None)
        place.chmod(0o700)
        assert "could not be written: Permission denied" in said or "cannot be written: Permission denied" in said
        found = checkpoints.latest(out / "checkpoints")
        assert found is not None
        assert found[2] == []
    finish(toy(), out)
    assert outcome(out) == outcome(tmp_path / "whole")


def test_an_error_of_the_writing_thread_is_the_same_sentence(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_parts", full)
    with pytest.raises(
        BadRun, match=r"the checkpoint .*00000004 could not be written: No space left on device; the one before"
    ):
        finish(toy(), tmp_path / "run")


def test_a_second_run_on_the_same_folder_is_refused_with_the_number_of_the_first(
    toy: Toy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    records = stream(toy(), out=out)
    next(records)
    said = refused("resume", out, "--quiet", capfd=capfd)
    assert f"is being written by process {os.getpid()}; wait for it" in said
    records.close()


# ---- other formats ----


def with_format(file: Path, number: int, indent: int | None) -> None:
    file.write_text(sealed({**unsealed(file.read_text(), indent), "format": number}, indent))


@pytest.mark.parametrize("number", [0, 2])
def test_an_old_or_a_future_format_is_one_sentence(
    toy: Toy, tmp_path: Path, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    stop_after(7, toy(), out)
    newest = max((out / "checkpoints").iterdir())
    with_format(newest / "state.json", number, None)
    records = stream(toy(), out=out)
    started = next(records)
    assert isinstance(started, Started)
    assert started.resumed_at == 4
    assert any(f"{newest.name}: it has format {number}, this konv reads format 1" in note for note in started.notes)
    records.close()
    for place in (out / "checkpoints").iterdir():
        with_format(place / "state.json", number, None)
    assert f"it has format {number}, this konv reads format 1" in refused("resume", out, capfd=capfd)
    facts = out / "environment.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "format": number}))
    assert f"is a run of format {number}; this konv reads format 1" in refused("resume", out, capfd=capfd)


@pytest.mark.parametrize("number", [0, 2])
def test_a_classifier_of_another_format_is_one_sentence(
    toy: Toy, tmp_path: Path, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    finish(toy(), tmp_path / "run")
    with_format(tmp_path / "run" / "classifier" / "classifier.json", number, 1)
    said = refused("evaluate", tmp_path / "run", capfd=capfd)
    assert f"is a classifier of format {number}; this konv reads format 1" in said


# ---- clocks ----


def test_a_clock_that_jumps_changes_nothing(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(toy(), tmp_path / "whole")
    chance = random.Random(0)
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: chance.randrange(4_000_000_000))
    for _ in range(4):
        stop_after(2, toy(), tmp_path / "run")
        for file in tmp_path.glob("run/**/*"):
            os.utime(file, (chance.randrange(4_000_000_000),) * 2)
    finish(toy(), tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


# ---- what killed processes left ----


def test_no_temporary_file_outlives_the_next_start(toy: Toy, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / ".run.tmp" / "checkpoints").mkdir(parents=True)
    stop_after(3, toy(), out)
    (out / "checkpoints" / ".00000009.tmp").mkdir()
    (out / "checkpoints" / ".00000009.tmp" / "state.safetensors").touch()
    (out / "checkpoints" / ".00000002.removed.tmp").mkdir()
    (out / ".history.jsonl.77.tmp").touch()
    (out / "classifier").mkdir()
    (out / "classifier" / ".weights.safetensors.77.tmp").touch()
    records = stream(toy(), out=out)
    next(records)
    assert not list(tmp_path.rglob(".*.tmp"))
    records.close()


# ---- flipped bits ----


def test_three_hundred_flipped_bits_are_found(tmp_path: Path) -> None:
    bench = runpy.run_path(str(BENCHMARKS / "bit_flips.py"))
    flipped, missed = bench["flips"](bench["targets"](tmp_path), 300, random.Random(1))
    assert flipped.total() == 300
    assert len(flipped) == 12, "every kind of file"
    assert missed == []


def test_a_changed_environment_is_told_when_the_run_is_taken_up(toy: Toy, tmp_path: Path) -> None:
    stop_after(2, toy(), tmp_path / "run")
    facts = tmp_path / "run" / "environment.json"
    facts.write_text(facts.read_text().replace('"platform"', '"platforn"'))
    records = stream(toy(), out=tmp_path / "run")
    started = next(records)
    records.close()
    assert isinstance(started, Started)
    assert any("environment.json was changed since then" in note for note in started.notes)

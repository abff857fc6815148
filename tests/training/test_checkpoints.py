"""Checkpoints: whole or absent, the newest good one is taken, damage is named, two are kept."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from konv.core.errors import BadRun
from konv.core.files import clear_temporaries
from konv.core.recipe import Fit
from konv.core.results import Epoch
from konv.training import checkpoints
from konv.training.checkpoints import commit, latest
from konv.training.state import State


def trained(steps: int, **fit: Any) -> State:
    """A state after some updates, without a loop around it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    state = State(network, Fit(**fit))
    for _ in range(steps):
        state.optimizer.zero_grad()
        state.network(torch.randn(3, 1, 4, 4)).square().mean().backward()
        state.optimizer.step(0.01)
        if state.average is not None:
            state.average.update_parameters(state.network)
    state.progress.total_steps = state.progress.step = steps
    state.keep_best()
    return state


def same(one: State, other: State) -> bool:
    mine, theirs = one.tensors(), other.tensors()
    equal = mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    return equal and one.facts() == other.facts()


def names(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of five and seven updates."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    commit(folder, trained(5))
    commit(folder, trained(7))
    return folder


@pytest.fixture
def copy(two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "checkpoints"))


@pytest.mark.parametrize("fit", [{}, {"weight_average": 0.9}, {"optimizer": "momentum"}, {"optimizer": "sgd"}], ids=str)
def test_a_state_comes_back_bit_for_bit(tmp_path: Path, fit: dict[str, Any]) -> None:
    state, fresh = trained(4, **fit), trained(0, **fit)
    numbers = dict.fromkeys(Epoch.model_fields, 1)
    state.progress.history = [Epoch(**{**numbers, "valid_loss": 0.1 + 0.2, "loss": 1e-300})]
    place = commit(tmp_path / "checkpoints", state)
    assert place.name == "00000004"
    found = latest(tmp_path / "checkpoints")
    assert found is not None
    fresh.restore(*found[:2])
    assert same(fresh, state)
    assert found[2] == []


def test_a_fresh_state_comes_back_too(tmp_path: Path) -> None:
    state = State(nn.Linear(2, 2), Fit())  # nothing scored yet: the best loss is infinite
    commit(tmp_path, state)
    other = State(nn.Linear(2, 2), Fit())
    other.restore(*latest(tmp_path)[:2])
    assert same(other, state)


def test_there_may_be_none(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "none") is None


def test_two_are_kept_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for steps in (9, 10, 100):
        commit(tmp_path, trained(steps % 3))  # a name, not a clock, orders them
        state = trained(1)
        state.progress.total_steps = steps
        commit(tmp_path, state)
    assert names(tmp_path)[-1] == "00000100"
    assert len(names(tmp_path)) == 2


@given(st.data())
def test_a_flipped_byte_is_passed_over_by_name(
    two: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped") / "checkpoints"
    shutil.copytree(two, folder)
    file = folder / "00000007" / data.draw(st.sampled_from(["state.safetensors", "state.json"]))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    _, facts, passed = latest(folder)
    assert facts["total_steps"] == 5
    assert [cause.partition(":")[0] for cause in passed] == ["00000007"]
    shutil.rmtree(folder)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut off": lambda place: (place / "state.safetensors").write_bytes((place / "state.safetensors").read_bytes()[:-9]),
    "empty": lambda place: (place / "state.safetensors").write_bytes(b""),
    "no weights": lambda place: (place / "state.safetensors").unlink(),
    "no facts": lambda place: (place / "state.json").unlink(),
    "a list": lambda place: (place / "state.json").write_text("[]"),
    "no json": lambda place: (place / "state.json").write_text("{"),
    "not text": lambda place: (place / "state.json").write_bytes(b"\xff\xfe"),
    "nothing": lambda place: [file.unlink() for file in place.iterdir()],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_any_damage_is_passed_over_by_name(copy: Path, kind: str) -> None:
    DAMAGE[kind](copy / "00000007")
    found = latest(copy)
    assert found is not None
    assert found[1]["total_steps"] == 5
    assert found[2][0].startswith("00000007: it")


def test_a_checkpoint_of_another_format_is_passed_over_with_both_numbers(copy: Path) -> None:
    file = copy / "00000007" / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    assert latest(copy)[2] == ["00000007: it has format 99, this konv reads format 1"]


def test_when_all_are_damaged_each_is_named(copy: Path) -> None:
    for place in copy.iterdir():
        DAMAGE["empty"](place)
    with pytest.raises(BadRun, match=r"no checkpoint in .* can be used: 00000007: .*; 00000005: "):
        latest(copy)


def test_a_damaged_newer_one_goes_once_a_good_one_is_written(copy: Path) -> None:
    """Otherwise it would push good ones out: two valid checkpoints are kept."""
    DAMAGE["empty"](copy / "00000007")
    commit(copy, trained(6))
    assert names(copy) == ["00000005", "00000006"]


def test_a_damaged_one_of_the_same_step_is_replaced(copy: Path) -> None:
    DAMAGE["cut off"](copy / "00000007")
    state = trained(7)
    commit(copy, state)
    fresh = trained(0)
    fresh.restore(*latest(copy)[:2])
    assert same(fresh, state)
    assert names(copy) == ["00000005", "00000007"]


def test_a_full_disk_leaves_what_was_there(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("konv.training.checkpoints.write_bytes", full)
    with pytest.raises(BadRun, match="00000009 could not be written: No space left on device; the one before it is intact"):
        commit(copy, trained(9))
    assert names(copy) == ["00000005", "00000007"]
    assert latest(copy)[1]["total_steps"] == 7


def test_a_kill_while_a_checkpoint_is_removed_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by benchmarks/pull_the_plug.py: the end of an epoch replaces a checkpoint of the same step, here the only one."""

    def killed(place: Path, **_: object) -> None:
        if place.exists():
            next(place.iterdir()).unlink()
            raise KeyboardInterrupt

    folder = tmp_path / "checkpoints"
    commit(folder, trained(7))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        commit(folder, trained(7))
    clear_temporaries(folder)
    assert latest(folder) is None  # begins anew; half a checkpoint would have been refused
    commit(folder, trained(7))
    assert latest(folder)[1]["total_steps"] == 7


@pytest.mark.parametrize("number_format", checkpoints.NAMES, ids=str)
def test_every_number_format_comes_back(tmp_path: Path, number_format: torch.dtype) -> None:
    given = {"b": torch.arange(6).reshape(2, 3).to(number_format), "a.scalar": torch.ones((), dtype=torch.uint8)}
    given["none"] = torch.empty(0, 3)
    checkpoints.write(tmp_path, checkpoints.Snapshot(1, given, {"total_steps": 1}))
    tensors, facts, _ = latest(tmp_path)
    assert facts == {"total_steps": 1}
    assert tensors.keys() == given.keys()
    assert all(tensors[name].dtype == given[name].dtype and torch.equal(tensors[name], given[name]) for name in given)


def test_the_next_copy_of_a_state_uses_the_memory_of_the_last_one(tmp_path: Path) -> None:
    writer = checkpoints.Writer(tmp_path)
    for steps in (3, 4):
        writer.submit(trained(steps))
    writer.wait()
    fresh = trained(0)
    fresh.restore(*latest(tmp_path)[:2])
    assert same(fresh, trained(4))
    assert names(tmp_path) == ["00000003", "00000004"]


def test_what_an_interrupted_commit_left_is_no_checkpoint_and_is_cleared(copy: Path) -> None:
    shutil.copytree(copy / "00000007", copy / ".00000009.tmp")
    assert latest(copy)[1]["total_steps"] == 7
    clear_temporaries(copy)
    assert names(copy) == ["00000005", "00000007"]


@pytest.mark.parametrize("other", [nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2, bias=False)], ids=str)
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, other: nn.Module) -> None:
    commit(tmp_path, State(nn.Linear(2, 2), Fit()))
    with pytest.raises(BadRun, match="the checkpoint does not fit this network"):
        State(other, Fit()).restore(*latest(tmp_path)[:2])

"""Several processes, one training: the same weights as one process, and nothing lost when one of them is."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from konv.classifier import Classifier
from konv.core.compose import compose, to_toml
from konv.core.errors import BadRecipe, BadRun, Elsewhere, LostProcess
from konv.core.recipe import Fit, Recipe
from konv.core.run import Run
from konv.training.distribution import Team, joined
from konv.training.fit import Step, batches_of
from konv.training.synchronization import SynchronizedBatchNorm, synchronized
from konv.training.train import Finished, stream

CPU = torch.device("cpu")


def together(work: Callable[[int], Any], folder: Path, size: int = 2) -> list[Any]:
    """Returns what `work(rank)` gives, or raises, in each of several forked processes that know of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = [_forked(work, rank, size, port, folder / f"result{rank}") for rank in range(size)]
    for child in children:
        os.waitpid(child, 0)
    places = [folder / f"result{rank}" for rank in range(size)]
    return [pickle.loads(place.read_bytes()) if place.exists() else None for place in places]


def _forked(work: Callable[[int], Any], rank: int, size: int, port: str, place: Path) -> int:
    place.unlink(missing_ok=True)
    child = os.fork()
    if child:
        return child
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    try:
        torch.set_num_threads(1)
        result = work(rank)
    except BaseException as error:  # handed to the test
        result = error
    place.write_bytes(pickle.dumps(result))
    os._exit(0)


def recipe_of(*settings: str) -> Recipe:
    common = ["threads=1", "data.pictures=150", "data.side=12", "fit.epochs=2", "fit.batch_size=20", "fit.keep=last"]
    return compose("shapes", settings=[*common, *settings])


def train(recipe: Recipe, out: Path, stop_after: int = 0) -> Finished | None:
    done = 0
    for record in stream(recipe, out=out):
        done += isinstance(record, Step)
        if stop_after and done == stop_after:
            os._exit(9)
        if isinstance(record, Finished):
            return record
    return None


def weights(out: Path) -> dict[str, torch.Tensor]:
    return Classifier.load(out).network.state_dict()


def rows(out: Path) -> list[tuple[float, ...]]:
    return [(row.loss, row.accuracy, row.valid_loss, row.valid_accuracy, row.gradient_norm) for row in Run.open(out).history]


# ---- the same result ----

SAME = {
    "plain gradient descent": ["model.name=mlp", "model.dropout=0", "fit.optimizer=sgd", "fit.learning_rate=0.1"],
    "class weights": [
        "model.name=mlp",
        "model.dropout=0",
        "fit.class_weights=balanced",
        "fit.label_smoothing=0.1",
        "fit.clip_norm=0.5",
    ],
    "focal loss, weighted": [
        "model.name=mlp",
        "model.dropout=0",
        "fit.loss=focal",
        "fit.class_weights=[1,2,4,1]",
        "fit.label_smoothing=0.1",
    ],
    "average of the weights": ["model.name=mlp", "model.dropout=0", "fit.weight_average=0.9"],
    "batch normalisation over all": ["model.width=4", "model.head=8", "fit.batch_norm=synchronized", "fit.optimizer=sgd"],
}


@pytest.mark.parametrize("name", SAME)
def test_two_processes_end_where_one_does(name: str, tmp_path: Path) -> None:
    recipe = recipe_of(*SAME[name])
    train(recipe, tmp_path / "one")
    together(lambda _: train(recipe, tmp_path / "two"), tmp_path)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, expected in one.items():
        torch.testing.assert_close(two[name], expected, rtol=2e-3, atol=2e-4)
    for row, expected_row in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert row == pytest.approx(expected_row, rel=1e-3, abs=1e-3)


def test_every_process_ends_with_the_same_report(tmp_path: Path) -> None:
    first, second = together(lambda _: train(recipe_of(), tmp_path / "run"), tmp_path)
    assert first.report == second.report
    assert Run.open(tmp_path / "run").environment["processes"] == 2


@given(size=st.integers(4, 300), batch=st.integers(4, 64), processes=st.integers(1, 2))
def test_every_sample_is_met_once_per_epoch(size: int, batch: int, processes: int) -> None:
    indices = torch.randperm(size)
    batches = batches_of(indices, Fit(batch_size=batch), processes)
    parts = [Team(rank, processes).part(one) for one in batches for rank in range(processes)]
    assert sorted(torch.cat(parts).tolist()) == list(range(size))
    assert min(len(part) for part in parts) >= 2


def test_synchronized_batch_norm_is_batch_norm_of_the_whole_batch(tmp_path: Path) -> None:
    inputs = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(1))

    def work(rank: int) -> Any:
        with joined(CPU) as team:
            norm = synchronized(nn.Sequential(nn.BatchNorm2d(3)))
            part = inputs[team.part(torch.arange(5))].requires_grad_()
            outputs = norm(part)
            (outputs**3).sum().backward()
            return outputs.detach(), part.grad, norm.state_dict(), isinstance(norm[0], SynchronizedBatchNorm)

    found = together(work, tmp_path)
    whole = nn.Sequential(nn.BatchNorm2d(3))
    batch = inputs[:5].clone().requires_grad_()
    outputs = whole(batch)
    (outputs**3).sum().backward()
    torch.testing.assert_close(torch.cat([part[0] for part in found]), outputs.detach())
    torch.testing.assert_close(torch.cat([part[1] for part in found]), batch.grad, rtol=1e-4, atol=1e-5)
    for _, _, state, replaced in found:
        assert replaced
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(state[name], value)


# ---- one is lost ----

EVERYTHING = ["fit.augment=flip,crop", "model.dropout=0.3", "fit.weight_average=0.8", "model.width=4", "model.head=8"]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_costs_nothing(lost: int, tmp_path: Path) -> None:
    recipe = recipe_of(*EVERYTHING)
    together(lambda _: train(recipe, tmp_path / "whole"), tmp_path)
    out = tmp_path / "run"
    for updates in (3, 8):  # in the first epoch, then in the second
        results = together(lambda rank, u=updates: train(recipe, out, u if rank == lost else 0), tmp_path)
        assert isinstance(results[1 - lost], LostProcess)
    resumed = together(lambda _: train(recipe, out), tmp_path)[0]
    assert resumed.resumed or lost == 0  # the one that leads may be lost before its first checkpoint is written
    left, right = (place / "classifier" / "weights.safetensors" for place in (out, tmp_path / "whole"))
    assert left.read_bytes() == right.read_bytes()
    assert rows(out) == rows(tmp_path / "whole")


def test_a_restart_does_not_meet_what_the_processes_before_it_left(tmp_path: Path) -> None:
    """torchrun keeps one store over restarts: the second start finds in it where the first one was."""
    agent = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def work(_: int) -> Any:
        os.environ |= {"MASTER_PORT": str(agent.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        with joined(CPU) as team:
            return team.total([team.rank + 1.0])

    for _ in range(3):
        assert together(work, tmp_path) == [[3.0], [3.0]]


def test_a_mistake_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    first, second = together(lambda _: train(recipe_of(), tmp_path / "full"), tmp_path)
    assert isinstance(first, BadRun)
    assert isinstance(second, Elsewhere)
    assert str(first) == str(second)


def test_processes_with_other_recipes_are_refused(tmp_path: Path) -> None:
    first, second = together(lambda rank: train(recipe_of(f"seed={rank}"), tmp_path / "run"), tmp_path)
    assert "the processes do not agree: recipe" in str(first)
    assert isinstance(second, Elsewhere)
    assert not (tmp_path / "run").exists()


def test_a_batch_too_small_for_all_is_refused(tmp_path: Path) -> None:
    first, _ = together(lambda _: train(recipe_of("fit.batch_size=3"), tmp_path / "run"), tmp_path)
    assert isinstance(first, BadRecipe)
    assert "too small for 2 processes" in str(first)


def test_a_world_without_torchrun_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(BadRun, match="RANK is not set; start several processes with torchrun"), joined(CPU):
        pass


# ---- as a person starts it ----


@pytest.mark.slow
def test_torchrun_restarts_until_the_weights_are_those_of_the_undisturbed_run(tmp_path: Path) -> None:
    recipe = recipe_of("fit.epochs=3")
    together(lambda _: train(recipe, tmp_path / "whole"), tmp_path)
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
    command += ["-m", "konv", "train", "--recipe", str(tmp_path / "recipe.toml"), "--json", "--out", str(tmp_path / "killed")]
    environment = {**os.environ, "KONV_FAILPOINT": "history.half:2:kill"}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == 0, killed.stderr
    assert f"exitcode: {-signal.SIGKILL}" in killed.stderr
    assert json.loads(killed.stdout)["epochs"] == 3  # one of the two speaks
    left, right = (tmp_path / name / "classifier" / "weights.safetensors" for name in ("whole", "killed"))
    assert left.read_bytes() == right.read_bytes()
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")

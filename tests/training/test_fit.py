"""The loop: what each step does, when it stops, and what a number that is not finite leaves behind."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from konv.core.errors import BadModel, BadRecipe, Diverged
from konv.core.recipe import Fit
from konv.core.results import Epoch
from konv.core.view import View
from konv.datasets import Samples
from konv.training import fit as loop
from konv.training.distribution import Team
from konv.training.fit import Batches, Plan, Step, fit, prepared, score, steps
from konv.training.objectives import make_objective
from konv.training.preparation import conclude
from konv.training.schedules import make_schedule
from konv.training.state import State

CPU = torch.device("cpu")
Tensors = dict[str, Tensor]


def copies(network: nn.Module) -> Tensors:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def batches(numbers: np.ndarray) -> Batches:
    """One sample (1, 4) per number, each filled with it."""
    inputs = np.tile(numbers[:, None, None], (1, 1, 4)).astype(np.float32)
    return Batches.of(Samples(inputs, np.arange(len(numbers)) % 2, tuple(map(str, numbers))), CPU)


def numbered(size: int, **options: Any) -> tuple[State, Batches, Batches, Plan]:
    """A training whose sample i holds the number i, so that what is met can be read off."""
    chosen = Fit(**options)
    samples = batches(np.arange(size))
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    plan = Plan(
        fit=chosen,
        seed=0,
        view=View(space=(4,), channels=1, mean=(0.0,), std=(1.0,), scale=1.0),
        augment=None,
        objective=make_objective(chosen, samples.labels.numpy(), 2, CPU),
        schedule=make_schedule(chosen, loop.steps_per_epoch(size, chosen)),
    )
    return State(network, chosen), samples, samples, plan


def watched(plan: Plan, seen: list[list[int]]) -> Plan:
    """The plan with an objective that notes which samples each training step meets."""

    def objective(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if network.training and not isinstance(network, nn.Identity):
            seen.append(inputs[:, 0, 0].int().tolist())
        return plan.objective(network, inputs, labels)

    return replace(plan, objective=objective)


# ---- what an epoch meets ----


@pytest.mark.parametrize(("batch_size", "sizes"), [("all", [23]), (1, [1] * 23), (23, [23]), (8, [8, 8, 7]), (11, [11, 12])])
def test_every_sample_is_met_once_per_epoch(batch_size: int | str, sizes: list[int]) -> None:
    seen: list[list[int]] = []
    state, training, validation, plan = numbered(23, epochs=3, batch_size=batch_size)
    assert len(list(fit(state, training, validation, watched(plan, seen)))) == 3
    assert [len(batch) for batch in seen] == sizes * 3
    epochs = [list(chain(*seen[start : start + len(sizes)])) for start in range(0, len(seen), len(sizes))]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3  # another order each time


def test_a_record_follows_every_update_and_every_epoch() -> None:
    records = list(steps(*numbered(20, epochs=2, batch_size=8, schedule="cosine")))
    assert [type(record) for record in records] == [Step, Step, Step, Epoch] * 2
    updates = [record for record in records if isinstance(record, Step)]
    assert [(update.epoch, update.step, update.steps) for update in updates] == [(e, s, 3) for e in (1, 2) for s in (1, 2, 3)]
    rate = make_schedule(Fit(epochs=2, batch_size=8, schedule="cosine"), 3)
    assert [update.learning_rate for update in updates] == [rate(step, []) for step in range(6)]


def test_the_epochs_numbers_are_means_over_pictures_not_over_batches() -> None:
    state, training, validation, plan = numbered(20, epochs=1, batch_size=18, optimizer="sgd", learning_rate=1e-30)
    record = next(fit(state, training, validation, plan))
    loss, accuracy = score(state.network, training, plan)  # the weights have not moved
    assert (record.loss, record.accuracy) == pytest.approx((loss, accuracy), rel=1e-5)
    assert (record.valid_loss, record.valid_accuracy) == (loss, accuracy)
    assert (record.epoch, record.step) == (1, 2)


def test_scoring_in_chunks_gives_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    state, training, _, plan = numbered(23, class_weights=[1.0, 5.0])
    whole = score(state.network, training, plan)
    monkeypatch.setattr(loop, "CHUNK", 4)
    assert score(state.network, training, plan) == pytest.approx(whole)


def test_leaving_the_loop_and_entering_again_changes_nothing(toy: Any, lay_out: Any) -> None:
    recipe = toy(epochs=3, augment=["crop"], model={"name": "plain", "width": 2, "head": 4, "dropout": 0.3})
    whole, parted = lay_out(recipe), lay_out(recipe)
    list(fit(*whole.parts))
    for _ in range(20):
        for record in steps(*parted.parts):
            if isinstance(record, Step):
                break
    assert parted.state.progress.epoch == 3
    assert equal(copies(whole.state.network), copies(parted.state.network))


def test_a_batch_larger_than_the_data_is_named(toy: Any, lay_out: Any) -> None:
    size = len(lay_out(toy()).training)
    with pytest.raises(BadRecipe, match=rf"fit\.batch_size = {size + 1} is larger than the {size} training pictures; .*`all`"):
        lay_out(toy(batch_size=size + 1))
    assert len(list(steps(*lay_out(toy(batch_size=size, epochs=1)).parts))) == 2


@pytest.mark.parametrize("model", ["plain", "mlp"])
def test_one_sample_at_a_time_trains_too(toy: Any, lay_out: Any, model: str) -> None:
    training = lay_out(toy(batch_size=1, epochs=1, model=model))
    [record] = fit(*training.parts)
    assert record.step == len(training.training)
    assert np.isfinite(record.loss)


def test_a_norm_that_cannot_take_one_sample_is_named_with_the_way_out(toy: Any, lay_out: Any, tmp_path: Path) -> None:
    layers = "nn.Flatten(), nn.LazyLinear(4), nn.BatchNorm1d(4), nn.Linear(4, classes)"
    text = f"from torch import nn\n\n\ndef Net(classes):\n    return nn.Sequential({layers})\n"
    (tmp_path / "net.py").write_text(text, encoding="utf-8")
    with pytest.raises(BadModel, match=r"BatchNorm1d.* Take fit\.batch_size = 2 or more"):
        lay_out(toy(batch_size=1, model=f"{tmp_path / 'net.py'}:Net"))


# ---- the three seams ----


def test_a_batch_is_scaled_augmented_and_standardised_in_this_order() -> None:
    _, training, _, plan = numbered(6)
    view = View(space=(4,), channels=1, mean=(0.5,), std=(0.25,), scale=10.0)
    seen: list[Tensor] = []

    def augment(inputs: Tensor, labels: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
        seen.append(inputs)
        return inputs * 2, labels

    raw, labels = training.take(torch.arange(6))
    inputs, _ = prepared(raw, labels, replace(plan, view=view, augment=augment), 0, 0)
    torch.testing.assert_close(seen[0], raw / 10)
    torch.testing.assert_close(inputs, (raw / 10 * 2 - 0.5) / 0.25)


def test_augmentation_and_dropout_follow_from_the_place_alone() -> None:
    _, training, _, plan = numbered(6)

    def noise(inputs: Tensor, labels: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        return inputs + torch.rand(inputs.shape, generator=draws), labels

    def at(seed: int, epoch: int, step: int, rank: int) -> tuple[Tensor, Tensor]:
        noisy = replace(plan, augment=noise, seed=seed, team=Team(rank, 2))
        return prepared(*training.take(torch.arange(6)), noisy, epoch, step)[0], torch.rand(3)

    with torch.random.fork_rng(devices=[]):
        first, drawn = at(0, 1, 2, 0)
        torch.rand(100)
        again, drawn_again = at(0, 1, 2, 0)
        assert torch.equal(first, again)
        assert torch.equal(drawn, drawn_again)
        for place in [(1, 1, 2, 0), (0, 0, 2, 0), (0, 1, 0, 0), (0, 1, 2, 1)]:  # another seed, epoch, step, rank
            other, drawn_other = at(*place)
            assert not torch.equal(first, other)
            assert not torch.equal(drawn, drawn_other)


def test_the_schedule_sees_the_validation_losses() -> None:
    state, training, validation, plan = numbered(8, epochs=3, batch_size="all")
    seen: list[tuple[int, int]] = []

    def schedule(step: int, losses: Any) -> float:
        seen.append((step, len(losses)))
        return 0.01

    list(fit(state, training, validation, replace(plan, schedule=schedule)))
    assert set(seen) == {(0, 0), (1, 1), (2, 2)}


# ---- when it stops and what it keeps ----


@pytest.mark.parametrize(("patience", "epochs"), [(1, 2), (3, 4), (0, 9)])
def test_early_stopping_waits_for_patience_epochs(patience: int, epochs: int) -> None:
    state, *rest = numbered(10, epochs=9, patience=patience, optimizer="sgd", learning_rate=1e-30)
    assert len(list(fit(state, *rest))) == epochs
    assert state.progress.best_epoch == 1


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_or_the_last_weights_are_kept(toy: Any, lay_out: Any, keep: str) -> None:
    recipe = toy(epochs=6, learning_rate=3, optimizer="sgd", keep=keep, schedule="constant")
    table = lay_out(recipe)
    weights = [copies(table.state.network) for _ in fit(*table.parts)]
    best = table.state.progress.best_epoch
    assert best < 6  # a rate this high spoils the last epochs
    kept = conclude(recipe, table.state, table.data.classes, table.data.view).network
    assert equal(copies(kept), weights[best - 1 if keep == "best" else -1])
    assert not kept.training


def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss(toy: Any, lay_out: Any) -> None:
    table = lay_out(toy(epochs=6, learning_rate=0.3, optimizer="sgd"))
    records = list(fit(*table.parts))
    best = max(records, key=lambda record: (record.valid_accuracy, -record.valid_loss))
    assert table.state.progress.best_epoch == best.epoch


def test_the_weight_average_is_an_exponential_mean_and_is_what_is_scored(toy: Any, lay_out: Any) -> None:
    table = lay_out(toy(weight_average=0.8, model={"name": "plain", "width": 2, "head": 4}))
    mean: Tensors = {}
    for record in steps(*table.parts):
        if isinstance(record, Step):
            now = {name: tensor.double() for name, tensor in copies(table.state.network).items() if tensor.is_floating_point()}
            mean = {name: 0.8 * mean[name] + 0.2 * tensor for name, tensor in now.items()} if mean else now
        else:
            assert (record.valid_loss, record.valid_accuracy) == score(table.state.scored, table.validation, table.plan)
    scored = table.state.scored.state_dict()
    for name, tensor in mean.items():
        torch.testing.assert_close(scored[name].double(), tensor, rtol=1e-4, atol=1e-6)
    assert not equal(copies(table.state.scored), copies(table.state.network))


def test_a_long_gradient_is_shortened_to_clip_norm() -> None:
    state, *rest = numbered(20, epochs=1, batch_size="all", optimizer="sgd", learning_rate=1, weight_decay=0, clip_norm=0.5,
                            schedule="constant")  # fmt: skip
    before = copies(state.network)
    record = next(fit(state, *rest))
    moved = torch.cat([(tensor - before[name]).flatten() for name, tensor in state.network.state_dict().items()])
    assert moved.norm().item() == pytest.approx(0.5, rel=1e-4)
    assert record.gradient_norm > 0.5  # told as it was before it was shortened


def test_a_network_handed_over_in_evaluation_mode_is_trained_in_training_mode(toy: Any, lay_out: Any) -> None:
    table = lay_out(toy(model={"name": "plain", "width": 2, "head": 4}))
    table.state.network.eval()
    before = copies(table.state.network)
    next(steps(*table.parts))
    assert not torch.equal(table.state.network.norm1.running_mean, before["norm1.running_mean"])


def test_validation_leaves_mode_and_buffers_as_they_were(toy: Any, lay_out: Any) -> None:
    table = lay_out(toy(model={"name": "plain", "width": 2, "head": 4}))
    table.state.network.train()
    table.state.network[0].eval()
    before = copies(table.state.network)
    score(table.state.network, table.validation, table.plan)
    assert equal(before, copies(table.state.network))
    assert not table.state.network[0].training
    assert table.state.network[1].training


# ---- numbers that are not finite ----


def breaking(plan: Plan, at: int, how: Callable[[Tensor, nn.Module], Tensor]) -> Plan:
    """The plan with a loss that breaks at one step, after the forward pass has moved the batch norm."""
    calls = [0]

    def objective(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = plan.objective(network, inputs, labels)
        if isinstance(network, nn.Identity):
            return loss, logits
        calls[0] += 1
        return (how(loss, network) if calls[0] == at else loss), logits

    return replace(plan, objective=objective)


HOW: dict[str, Callable[[Tensor, nn.Module], Tensor]] = {
    "the loss is inf": lambda loss, network: loss * float("inf"),
    "the loss is nan": lambda loss, network: loss * float("nan"),
    "but its gradient is not finite": lambda loss, network: loss + (next(network.parameters()) * 0).abs().sqrt().sum(),
}


@pytest.mark.parametrize("cause", HOW)
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_number_that_is_not_finite_changes_nothing(toy: Any, lay_out: Any, cause: str, clip_norm: float | None) -> None:
    recipe = toy(model={"name": "plain", "width": 2, "head": 4}, clip_norm=clip_norm, optimizer="adam", weight_average=0.5)
    table = lay_out(recipe)
    records = steps(table.state, table.training, table.validation, breaking(table.plan, 3, HOW[cause]))
    next(records), next(records)
    before = {name: tensor.clone() for name, tensor in table.state.tensors().items()}
    facts = table.state.facts()
    with pytest.raises(Diverged) as caught:
        next(records)
    assert equal(before, {name: tensor.clone() for name, tensor in table.state.tensors().items()})
    assert table.state.facts() == facts
    text = str(caught.value)
    assert text.startswith("training stopped before update 3 of epoch 1: ")
    assert cause in text
    assert "Try --set fit.learning_rate=0.0002" in text


def test_inputs_that_are_not_finite_are_the_cause_told() -> None:
    state, _, validation, plan = numbered(8, batch_size="all")
    broken = batches(np.array([1, 2, np.nan, 4, 5, 6, 7, 8]))
    before = copies(state.network)
    with pytest.raises(Diverged, match="the inputs themselves hold values that are not finite"):
        next(fit(state, broken, validation, plan))
    assert equal(before, copies(state.network))


def test_a_validation_loss_that_is_not_finite_stops_training() -> None:
    state, training, _, plan = numbered(8, batch_size="all")
    broken = batches(np.array([1, np.nan]))
    with pytest.raises(Diverged, match=r"after epoch 1: its validation loss is nan.* fit\.learning_rate"):
        next(fit(state, training, broken, plan))
    assert state.progress.epoch == 0


# ---- formats and dimensions ----


@pytest.mark.parametrize("model", ["mlp", {"name": "plain", "width": 4}, "fashion_cnn"])
def test_half_precision_trains_full_precision_weights(toy: Any, lay_out: Any, model: Any) -> None:
    table = lay_out(toy(precision="bfloat16", model=model, epochs=1))
    before = copies(table.state.network)
    record = next(fit(*table.parts))
    assert all(weight.dtype == torch.float32 for weight in table.state.network.parameters())
    assert not equal(before, copies(table.state.network))
    full = lay_out(toy(model=model, epochs=1))
    expected = next(fit(*full.parts))
    assert record.loss != expected.loss
    assert record.loss == pytest.approx(expected.loss, rel=0.05)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("model", ["mlp", "plain", "fashion_cnn"])
def test_signals_pictures_and_volumes_take_one_road(toy: Any, lay_out: Any, model: str, dimensions: int) -> None:
    data = {"dimensions": dimensions, "channels": 2, "pictures": 60, "classes": 2}
    table = lay_out(toy(model=model, data=data, epochs=1, augment=["crop", "flip", "erase", "colour"]))
    record = next(fit(*table.parts))
    assert 0 < record.valid_loss < 10
    assert table.data.view.space == (8,) * dimensions


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", "focal"])
def test_shapes_are_learnt(toy: Any, lay_out: Any, loss: str) -> None:
    data = {"pictures": 300, "side": 10, "noise": 0.02}
    table = lay_out(toy(model={"name": "plain", "width": 8}, data=data, epochs=6, learning_rate=0.01, loss=loss))
    first, *_, last = fit(*table.parts)
    assert last.loss < first.loss / 2
    assert last.valid_accuracy > 0.8  # chance is 0.25

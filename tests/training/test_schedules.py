"""Schedules give the numbers of torch.optim.lr_scheduler."""

import warnings
from collections.abc import Sequence

import pytest
import torch
from torch.optim import lr_scheduler

from konv.core.recipe import Fit
from konv.training.schedules import make_schedule, plateau_cuts

RATE = 0.3


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def torchs(make: object, steps: int, losses: Sequence[float] | None = None) -> list[float]:
    """Returns the learning rates a torch scheduler gives to `steps` steps."""
    weights = optimizer()
    schedule = make(weights)
    rates = []
    with warnings.catch_warnings(action="ignore"):
        for step in range(steps):
            rates.append(weights.param_groups[0]["lr"])
            weights.step()
            if step + 1 < steps:
                schedule.step(losses[step]) if losses is not None else schedule.step()
    return rates


def ours(per_epoch: int = 1, epochs: int = 30, losses: Sequence[float] = (), **fit: object) -> list[float]:
    schedule = make_schedule(Fit(learning_rate=RATE, epochs=epochs, **fit), per_epoch)
    return [schedule(step, losses[: step // per_epoch]) for step in range(epochs * per_epoch)]


def test_constant_stays() -> None:
    assert ours(per_epoch=3, schedule="constant") == [RATE] * 90


@pytest.mark.parametrize(("every", "factor"), [(1, 0.5), (7, 0.1), (40, 0.3)])
def test_step_is_torchs(every: int, factor: float) -> None:
    wanted = torchs(lambda weights: lr_scheduler.StepLR(weights, every, factor), 30)
    assert ours(schedule="step", step_every=every, step_factor=factor) == pytest.approx(wanted, rel=1e-9)


def test_step_changes_at_the_ends_of_epochs_only() -> None:
    rates = ours(per_epoch=5, epochs=4, schedule="step", step_every=2, step_factor=0.5)
    assert rates == pytest.approx([RATE] * 10 + [RATE / 2] * 10)


@pytest.mark.parametrize("per_epoch", [1, 4])
def test_cosine_is_torchs(per_epoch: int) -> None:
    total = 30 * per_epoch
    wanted = torchs(lambda weights: lr_scheduler.CosineAnnealingLR(weights, total), total)
    assert ours(per_epoch=per_epoch, schedule="cosine") == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("total", [*range(1, 25), 100, 333])
def test_one_cycle_is_torchs_for_any_number_of_steps(total: int) -> None:
    wanted = torchs(lambda weights: lr_scheduler.OneCycleLR(weights, RATE, total, cycle_momentum=False), total)
    assert ours(epochs=total, schedule="one_cycle") == pytest.approx(wanted, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_plateau_is_torchs(patience: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    losses = (torch.rand(30, generator=random) / torch.arange(1, 31)).double().tolist()
    wanted = torchs(lambda weights: lr_scheduler.ReduceLROnPlateau(weights, factor=0.9, patience=patience), 30, losses)
    found = ours(schedule="plateau", step_factor=0.9, plateau_patience=patience, losses=losses)
    assert found == pytest.approx(wanted, rel=1e-9)


def test_plateau_counts_a_tiny_gain_and_a_nan_as_none() -> None:
    assert plateau_cuts([1.0, 1.0 - 1e-5, 1.0 - 2e-5], patience=1) == 1
    assert plateau_cuts([1.0, float("nan"), float("nan"), 0.5], patience=1) == 1
    assert plateau_cuts([], patience=0) == 0


@pytest.mark.parametrize("kind", ["constant", "step", "plateau", "cosine"])
def test_warm_up_rises_linearly_to_the_full_rate(kind: str) -> None:
    rates = ours(per_epoch=10, epochs=10, schedule=kind, warmup=1.5)
    assert rates[:15] == pytest.approx([RATE * (step + 1) / 15 for step in range(15)])
    assert rates[15] == pytest.approx(RATE)
    assert max(rates) == pytest.approx(RATE)


def test_warm_up_is_torchs_linear() -> None:
    wanted = torchs(lambda weights: lr_scheduler.LinearLR(weights, 1 / 5, 1.0, 4), 8)
    assert ours(epochs=8, schedule="constant", warmup=5) == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["constant", "step", "plateau", "cosine", "one_cycle"])
def test_a_rate_never_leaves_its_range(kind: str) -> None:
    assert all(0 < rate <= RATE * (1 + 1e-12) for rate in ours(per_epoch=7, schedule=kind, warmup=2.3))

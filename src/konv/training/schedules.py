"""Learning rate at a step, as a pure function: nothing to save and nothing to resume."""

from collections.abc import Callable, Sequence
from math import cos, pi

from konv.core.recipe import Fit

Schedule = Callable[[int, Sequence[float]], float]  # (step from 0, validation loss of each finished epoch) → learning rate
RISE = 0.3  # share of a one-cycle run spent rising, as in torch.optim.lr_scheduler.OneCycleLR
START = 1 / 25  # one-cycle's first learning rate over its highest
END = 1e-4  # one-cycle's last learning rate over its first


def make_schedule(fit: Fit, steps_per_epoch: int) -> Schedule:
    """Returns the recipe's schedule; its values are those of torch.optim.lr_scheduler where torch has the same one."""
    total = fit.epochs * steps_per_epoch
    warm = round(fit.warmup * steps_per_epoch)

    def schedule(step: int, losses: Sequence[float]) -> float:
        if step < warm and fit.schedule != "one_cycle":
            return fit.learning_rate * (step + 1) / warm
        return fit.learning_rate * _factor(fit, step, warm, total, steps_per_epoch, losses)

    return schedule


def _factor(fit: Fit, step: int, warm: int, total: int, steps_per_epoch: int, losses: Sequence[float]) -> float:
    match fit.schedule:
        case "constant":
            return 1.0
        case "step":
            return fit.step_factor ** (step // steps_per_epoch // fit.step_every)
        case "plateau":
            return fit.step_factor ** plateau_cuts(losses, fit.plateau_patience)
        case "cosine":
            return (1 + cos(pi * (step - warm) / max(1, total - warm))) / 2
        case "one_cycle":
            return one_cycle(step, total)


def one_cycle(step: int, total: int) -> float:
    """Returns the factor of a one-cycle run: a cosine rise from 1/25 to 1, then a cosine fall to almost nothing.

    arxiv.org/abs/1708.07120; the same numbers as torch.optim.lr_scheduler.OneCycleLR with its defaults.
    """
    top = RISE * total - 1
    if step <= top:
        return _between(START, 1.0, step / top)
    return _between(1.0, START * END, (step - top) / (total - 1 - top) if total - 1 > top else 1.0)


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2


def plateau_cuts(losses: Sequence[float], patience: int) -> int:
    """Returns how often reduce-on-plateau has cut so far: each time more than `patience` epochs in a row bring no loss
    lower by one part in 10,000 (torch.optim.lr_scheduler.ReduceLROnPlateau's threshold).
    """
    best, waited, cuts = float("inf"), 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best * (1 - 1e-4) else (best, waited + 1)
        if waited > patience:
            waited, cuts = 0, cuts + 1
    return cuts

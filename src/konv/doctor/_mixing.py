"""Whether samples of a batch stay apart, by changing one of them and looking at what changes."""

import contextlib

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from konv.anatomy import Step, tensors_of, walk
from konv.doctor._case import SAMPLES, Case, inputs_for

LEAST = 1e-3  # of the change that the changed sample itself shows: below it, another one's change is rounding


def mixed_at(case: Case) -> int | None:
    """Returns the number of the step that mixes the samples; None where they stay apart, or where it cannot be told."""
    if case.network is None or case.failure is not None or case.scores is None:
        return None
    if "mixed" not in case.notes:
        case.notes["mixed"] = _mixed_at(case, case.network)
    at: int | None = case.notes["mixed"]
    return at


def _mixed_at(case: Case, network: nn.Module) -> int | None:
    inputs = inputs_for(network, case.shape, 2)
    if not inputs[0].is_floating_point() or inputs[0].device.type == "meta":
        return None
    first, again, other = (_scores(network, batch) for batch in (inputs, inputs, _changed(inputs)))
    if first is None or again is None or other is None or not torch.equal(first, again) or not mixes(first, other):
        return None
    at = _step_of(network, inputs_for(network, case.shape, SAMPLES), len(case.steps))
    wanted = at is not None and isinstance(case.steps[at].module, _NormBase)  # made to keep no statistics of its own
    return None if wanted else at


def _scores(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor | None:
    with contextlib.redirect_stdout(None):
        output, failure = walk(network, inputs, lambda _: None)
    found = next(iter(tensors_of(output)), None)
    usable = failure is None and found is not None and found.ndim > 0 and found.isfinite().all()
    return found if usable else None


def _changed(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Returns the batch with another first sample."""
    changed = inputs[0].clone()
    changed[0] = torch.rand(changed[0].shape, generator=torch.Generator().manual_seed(1)).to(changed) * 2 - 0.5
    return (changed, *inputs[1:])


def mixes(first: Tensor, other: Tensor) -> bool:
    """Returns whether scores (N, …) of other samples than the first changed, when the first sample alone was another."""
    if first.shape != other.shape or first.ndim == 0 or len(first) < 2 or not (first.isfinite() & other.isfinite()).all():
        return False
    change = (first - other).abs().flatten(1).amax(dim=1)
    rounding = 1e-5 * float(first.abs().amax())
    return bool(change[1:].max() > max(LEAST * float(change[0]), rounding))


def _step_of(network: nn.Module, inputs: tuple[Tensor, ...], steps: int) -> int | None:
    """Returns the first step whose change is no longer that of one sample along any axis."""
    plain: list[Tensor | None] = []
    found: list[int] = []

    def keep(step: Step) -> None:
        plain.append(step.outputs[0].clone() if step.outputs else None)

    count = iter(range(steps))

    def compare(step: Step) -> None:
        number = next(count)
        before = plain[number]
        if before is not None and step.outputs and not found and not _apart(before, step.outputs[0]):
            found.append(number)

    with contextlib.redirect_stdout(None):
        walk(network, inputs, keep)
        walk(network, _changed(inputs), compare)
    return found[0] if found else None


def _apart(before: Tensor, after: Tensor) -> bool:
    """True where all that changed lies in the first of SAMPLES equal parts along some axis."""
    if not before.is_floating_point():
        return True
    change = (before - after).abs()
    small = max(LEAST * float(change.max()), 1e-6 * float(before.abs().max())) if change.numel() else 0.0
    moved = change > small
    for axis, side in enumerate(before.shape):
        if side % SAMPLES == 0 and not moved.narrow(axis, side // SAMPLES, side - side // SAMPLES).any():
            return True
    return not moved.any()

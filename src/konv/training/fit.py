"""The loop, as a generator: `for epoch in fit(state, training, validation, plan)` yields frozen records."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from konv.classifier import evaluating, normalised, scaled, standardised
from konv.core.errors import Diverged
from konv.core.recipe import Fit
from konv.core.results import Epoch
from konv.core.view import View
from konv.datasets import Samples
from konv.models import logits_of
from konv.training.augmentations import Augment
from konv.training.distribution import ALONE, Team
from konv.training.objectives import Objective
from konv.training.randomness import generator, order, seed_for
from konv.training.schedules import Schedule
from konv.training.state import Progress, State, Sums

CHUNK = 500  # samples per forward pass of a validation at most
LEAST = 64  # and at least; between them as many as a training step, whose memory is known to be enough


@dataclass(frozen=True)
class Plan:
    """What happens at each step. The three seams, augment, objective and schedule, are plain functions."""

    fit: Fit
    seed: int
    view: View
    augment: Augment | None
    objective: Objective
    schedule: Schedule
    bfloat16: bool = False  # in the forward pass
    team: Team = ALONE
    mass: Callable[[Tensor], float] = len  # what labels weigh in the objective's mean: their number, or their class weights


@dataclass(frozen=True)
class Step:
    """One update of the weights, with the means of its epoch so far."""

    epoch: int  # 1 for the first
    step: int  # 1 for the first of its epoch
    steps: int  # in the epoch
    loss: float
    accuracy: float
    learning_rate: float
    pictures_per_second: float


@dataclass(frozen=True)
class Batches:
    """Samples as tensors: raw inputs (M, C, *space), labels (N,) on the device that trains, and which row each label has.

    The inputs lie on the device where they fit. Otherwise, and on the processor, they are those of the source,
    memory-mapped where it is large, and only batches are copied.
    """

    inputs: Tensor
    labels: Tensor
    rows: Tensor  # beside the inputs

    @classmethod
    def of(cls, samples: Samples, device: torch.device) -> "Batches":
        labels = torch.from_numpy(samples.labels).to(device)
        if not _fits(samples, device):
            return cls(torch.from_numpy(samples.base), labels, torch.from_numpy(samples.rows))
        return cls(torch.from_numpy(samples.inputs).to(device), labels, torch.arange(len(labels), device=device))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.rows[indices.to(self.rows.device)]
        return self.inputs.index_select(0, rows).to(self.labels.device), self.labels.index_select(0, indices)

    def chunks(self, size: int) -> Iterator[Tensor]:
        return (self.inputs.index_select(0, rows).to(self.labels.device) for rows in self.rows.split(size))

    def part(self, team: Team) -> "Batches":
        """Returns what one process of several scores."""
        return Batches(self.inputs, team.part(self.labels), team.part(self.rows))


def _fits(samples: Samples, device: torch.device) -> bool:
    """True where an accelerator has room for all of the samples beside what training needs."""
    size = samples.base.nbytes / len(samples.base) * len(samples)
    return device.type != "cpu" and (device.type != "cuda" or size < torch.cuda.mem_get_info(device)[0] / 2)


def steps_per_epoch(size: int, fit: Fit, processes: int = 1) -> int:
    """Returns the number of updates in one pass over `size` samples."""
    return len(batches_of(torch.empty(size), fit, processes))


def batches_of(indices: Tensor, fit: Fit, processes: int = 1) -> list[Tensor]:
    """Returns the indices cut into batches; the last holds what is left, so every sample is met once.

    Where less than two samples would be left for each process they join the batch before: batch normalisation cannot
    take one sample, which has no spread.
    """
    if fit.batch_size == "all":
        return [indices]
    batches = list(indices.split(fit.batch_size))
    if fit.batch_size > 1 and len(batches) > 1 and len(batches[-1]) < 2 * processes:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def fit(state: State, training: Batches, validation: Batches, plan: Plan) -> Iterator[Epoch]:
    """Trains the state's network in place and yields a record per epoch; leaving the loop early is a `break`."""
    return (record for record in steps(state, training, validation, plan) if isinstance(record, Epoch))


def steps(state: State, training: Batches, validation: Batches, plan: Plan) -> Iterator[Step | Epoch]:
    """Like `fit`, with a record after every update too. Between two records the state is whole and may be saved."""
    progress, team = state.progress, plan.team
    total = steps_per_epoch(len(training), plan.fit, team.size)
    network = team.shared(state.network)
    while not is_over(state, plan.fit):
        indices = torch.from_numpy(order(len(training), plan.seed, progress.epoch)).to(training.labels.device)
        batches = batches_of(indices, plan.fit, team.size)
        while progress.step < total:
            yield _step(state, network, training, batches[progress.step], plan, total)
        yield _end_of_epoch(state, validation, plan)


def is_over(state: State, fit: Fit) -> bool:
    """True after the last epoch, or once `patience` epochs have brought no better validation score."""
    progress = state.progress
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= fit.epochs or (fit.patience > 0 and progress.epoch > 0 and waited >= fit.patience)


def _step(state: State, network: nn.Module, training: Batches, indices: Tensor, plan: Plan, total: int) -> Step:
    start = perf_counter()
    progress, team = state.progress, plan.team
    inputs, labels = training.take(team.part(indices))
    share = plan.mass(labels) / plan.mass(training.labels[indices]) if team.size > 1 else 1.0
    inputs, labels = prepared(inputs, labels, plan, progress.epoch, progress.step)
    rate = plan.schedule(progress.total_steps, progress.valid_losses)
    with state.updating():
        loss, right, norm = _gradients(state, network, inputs, labels, plan, rate, share)
        with state.done():
            state.optimizer.step(rate)
            if state.average is not None:
                state.average.update_parameters(state.network)
            progress.step += 1
            progress.total_steps += 1
            sums = progress.sums
            sums.loss += loss * len(indices)
            sums.right += right
            sums.pictures += len(indices)
            sums.gradient_norm += norm
            sums.steps += 1
            sums.learning_rate = rate
            sums.seconds += perf_counter() - start
    means = sums.loss / sums.pictures, sums.right / sums.pictures
    return Step(progress.epoch + 1, progress.step, total, *means, rate, sums.pictures / sums.seconds)


def prepared(inputs: Tensor, labels: Tensor, plan: Plan, epoch: int, step: int) -> tuple[Tensor, Tensor]:
    """Returns the batch as the network gets it: scaled, augmented, standardised; seeds dropout for this step."""
    rank = plan.team.rank
    torch.manual_seed(seed_for("dropout", plan.seed, epoch, step, rank))
    if plan.augment is None:
        return normalised(inputs, plan.view), labels
    draws = generator("augment", plan.seed, epoch, step, rank, inputs.device)
    values, labels = plan.augment(scaled(inputs, plan.view), labels, draws)
    return standardised(values, plan.view), labels


def _gradients(
    state: State, network: nn.Module, inputs: Tensor, labels: Tensor, plan: Plan, rate: float, share: float
) -> tuple[float, int, float]:
    """Leaves the batch's gradients in the weights and returns loss, right answers and gradient norm of the whole batch.

    `share` is what this process's part weighs in the whole. Raises Diverged where loss or gradient is not finite.
    """
    fit, team = plan.fit, plan.team
    state.optimizer.zero_grad()
    state.network.train()
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=plan.bfloat16):
        loss, logits = plan.objective(network, inputs, labels)
    truth = labels.argmax(dim=1) if labels.ndim == 2 else labels
    right = int((logits.argmax(dim=1) == truth).sum())
    value, answers = team.total([loss.item() * share, right])
    norm = float("nan")
    if np.isfinite(value):
        (loss * (share * team.size)).backward() if team.size > 1 else loss.backward()  # DDP takes the mean over processes
        norm = _gradient_norm(state.network, fit)
    if not np.isfinite(norm):
        raise Diverged(_cause(state.progress, inputs, value, rate, fit))
    return value, int(answers), norm


def _gradient_norm(network: nn.Module, fit: Fit) -> float:
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    if fit.clip_norm is not None:
        return float(torch.nn.utils.clip_grad_norm_(weights, fit.clip_norm))
    return float(torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None]))


def _cause(progress: Progress, inputs: Tensor, loss: float, rate: float, fit: Fit) -> str:
    """Returns the sentence that says where training broke, why most likely, and what to do."""
    where = f"training stopped before update {progress.step + 1} of epoch {progress.epoch + 1}"
    if not torch.isfinite(inputs).all():
        return f"{where}: the inputs themselves hold values that are not finite; look at the data and at fit.augment."
    what = f"the loss is {loss}" if not np.isfinite(loss) else f"the loss is {loss:.4g} but its gradient is not finite"
    return (
        f"{where}: {what} at learning rate {rate:.3g}. The weights before it are kept. "
        f"Try --set fit.learning_rate={fit.learning_rate / 10:.2g} or --set fit.clip_norm=1."
    )


def _end_of_epoch(state: State, validation: Batches, plan: Plan) -> Epoch:
    start = perf_counter()
    progress, sums = state.progress, state.progress.sums
    for network in dict.fromkeys((state.network, state.scored)):
        plan.team.align(network.buffers())  # each process has moved its own
    loss, accuracy = score(state.scored, validation, plan)
    if not np.isfinite(loss):
        raise Diverged(
            f"training stopped after epoch {progress.epoch + 1}: its validation loss is {loss}. "
            f"Try --set fit.learning_rate={plan.fit.learning_rate / 10:.2g} or --set fit.clip_norm=1."
        )
    with state.changing:
        progress.epoch += 1
        progress.step = 0
        if (accuracy, -loss) > (progress.best_accuracy, -progress.best_loss):
            progress.best_epoch, progress.best_accuracy, progress.best_loss = progress.epoch, accuracy, loss
            state.keep_best()
        seconds = sums.seconds + perf_counter() - start
        progress.seconds += seconds
        progress.sums = Sums()
        record = Epoch(
            epoch=progress.epoch,
            step=progress.total_steps,
            loss=sums.loss / sums.pictures,
            accuracy=sums.right / sums.pictures,
            valid_loss=loss,
            valid_accuracy=accuracy,
            learning_rate=sums.learning_rate,
            gradient_norm=sums.gradient_norm / sums.steps,
            seconds=seconds,
            pictures_per_second=sums.pictures / sums.seconds,
        )
        progress.history.append(record)
    return record


def score(network: nn.Module, samples: Batches, plan: Plan) -> tuple[float, float]:
    """Returns (loss, accuracy) of a network in evaluation mode on all samples at once, not a mean of batch means."""
    mine, batch = samples.part(plan.team), plan.fit.batch_size
    size = CHUNK if batch == "all" else min(CHUNK, max(LEAST, batch))
    loss = right = mass = 0.0
    if len(mine):
        with torch.inference_mode(), evaluating(network):
            parts = [logits_of(network(normalised(part, plan.view))).float() for part in mine.chunks(size)]
            logits = torch.cat(parts)
            loss = plan.objective(nn.Identity(), logits, mine.labels)[0].item()
        right, mass = float((logits.argmax(dim=1) == mine.labels).sum()), plan.mass(mine.labels)
    if plan.team.size > 1:
        weighted, right, mass = plan.team.total([loss * mass, right, mass])
        loss = weighted / mass
    return loss, right / len(samples)

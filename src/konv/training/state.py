"""State: all that a training holds between two steps; it goes into a checkpoint and comes back bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from konv.core.errors import BadRun
from konv.core.recipe import Fit
from konv.core.results import Epoch
from konv.training.optimizers import Optimizer

Tensors = dict[str, Tensor]


@dataclass
class Sums:
    """Running sums of the epoch under way; means are taken once, at its end."""

    loss: float = 0.0
    right: int = 0
    pictures: int = 0
    gradient_norm: float = 0.0
    steps: int = 0
    learning_rate: float = 0.0  # of the last step
    seconds: float = 0.0


@dataclass
class Progress:
    """Where a training stands; plain numbers, JSON in and out."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the epoch under way
    total_steps: int = 0
    seconds: float = 0.0  # spent in finished epochs
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    sums: Sums = field(default_factory=Sums)

    @property
    def valid_losses(self) -> list[float]:
        return [epoch.valid_loss for epoch in self.history]

    def facts(self) -> dict[str, Any]:
        """Returns everything as JSON can hold it."""
        best_loss = None if self.best_loss == float("inf") else self.best_loss
        rows = [epoch.model_dump() for epoch in self.history]
        return {**vars(self), "best_loss": best_loss, "history": rows, "sums": dict(vars(self.sums))}

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Progress":
        best_loss = float("inf") if facts["best_loss"] is None else facts["best_loss"]
        history = [Epoch(**row) for row in facts["history"]]
        return cls(**{**facts, "best_loss": best_loss, "history": history, "sums": Sums(**facts["sums"])})


class State:
    """Network, optimizer, running mean of the weights, best weights so far, and progress.

    It may be saved at any time, from another thread too: during an update `tensors` gives what was before it.
    """

    def __init__(self, network: nn.Module, fit: Fit) -> None:
        self.network = network
        self.optimizer = Optimizer(network, fit)
        self.average = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(fit.weight_average), use_buffers=True)
            if fit.weight_average
            else None
        )
        self.progress = Progress()
        self.best: Tensors = {}
        self.changing = RLock()  # held while an update or the end of an epoch is written into the state
        self._buffers: Tensors = {}  # those of the network before the update under way, whose forward pass moves them

    @property
    def scored(self) -> nn.Module:
        """The network that validation scores: the running mean where there is one."""
        return self.average.module if self.average is not None else self.network

    def keep_best(self) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.scored.state_dict().items()}

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Spans one update; one that fails leaves the state as it was before."""
        self._buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        try:
            yield
        except BaseException:
            moved = dict(self.network.named_buffers())
            for name, before in self._buffers.items():
                moved[name].copy_(before)
            raise
        finally:
            self._buffers = {}

    @contextmanager
    def done(self) -> Iterator[None]:
        """Spans what makes an update part of the state, all of it or nothing."""
        with self.changing:
            yield
            self._buffers = {}

    # ---- to and from a checkpoint ----

    def tensors(self) -> Tensors:
        """Returns every tensor under a dotted name; they are the live ones, not copies."""
        found = {f"network.{name}": self._buffers.get(name, value) for name, value in self.network.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        found |= {f"optimizer.{name}": value for name, value in self.optimizer.tensors()}
        return found | {f"best.{name}": value for name, value in self.best.items()}

    def facts(self) -> dict[str, Any]:
        return self.progress.facts()

    def restore(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Takes over what `tensors` and `facts` gave; raises BadRun where they belong to another network."""
        groups = _by_prefix(tensors)
        try:
            self.network.load_state_dict(groups["network"])
            self.optimizer.restore(groups["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(groups["average"])
            self.progress = Progress.of(facts)
        except (RuntimeError, KeyError, TypeError) as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise BadRun(f"the checkpoint does not fit this network: {first}") from None
        self.best = {name: value.to(self._device) for name, value in groups.get("best", {}).items()}

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def _by_prefix(tensors: Tensors) -> dict[str, Tensors]:
    groups: dict[str, Tensors] = {}
    for name, value in tensors.items():
        prefix, _, rest = name.partition(".")
        groups.setdefault(prefix, {})[rest] = value
    return groups

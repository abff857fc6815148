"""What a rule is handed: a network, one watched pass of it, where it broke off, and the source text behind it."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from konv.anatomy import Failure, Step, example, function_name, tensors_of, told, walk
from konv.core.errors import BadModel
from konv.doctor._code import Code, Edits
from konv.doctor._script import Script, Spans, spans_of_frames, spans_of_traceback

SAMPLES = 11  # of the watched pass: rarely a side or a number of channels, so that the batch is known by its size
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """One step of the watched pass: shapes are of the whole batch."""

    name: str
    kind: str  # class of the layer, or name of the function
    module: nn.Module | None  # None for a function
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    sources: tuple[int, ...]  # numbers of the steps before it whose outputs it takes; -1 is the network's input
    spans: Spans  # the calls in the person's file that led to it, the innermost first
    formula: str = ""  # the output size with its numbers
    devices: tuple[torch.device, ...] = ()


@dataclass(frozen=True)
class Suspicion:
    """What a rule has to say before its words are put together and its correction is tried."""

    layer: str
    numbers: Mapping[str, Any] = field(default_factory=dict)  # for the places in the rule's words
    at: int = 0  # number of the step it concerns
    spans: Spans = ()  # where the line to show is
    candidates: tuple[Edits, ...] = ()  # corrections in the order in which they are tried
    words: str = ""  # which of the rule's texts; the plain ones where it has no others


@dataclass(frozen=True)
class Case:
    """A network, or the error that kept it from being built, and one pass of it."""

    shape: Shape  # of one input, (C, *space)
    network: nn.Module | None = None
    error: BadModel | None = None
    script: Script | None = None
    made: Mapping[str, Spans] = field(default_factory=dict)
    classes: int | None = None  # None: not asked for
    batch: int = 3  # of a training step
    labels: Tensor | None = None
    steps: tuple[Seen, ...] = ()
    failure: Failure | None = None
    failed_from: tuple[tuple[int, ...], ...] = ()  # for each tensor the failing step took: the steps it comes from
    output: Any = None
    notes: dict[str, Any] = field(default_factory=dict)  # what two rules would otherwise work out twice

    @cached_property
    def code(self) -> Code | None:
        return self.script.code if self.script else None

    @property
    def taken(self) -> list[Tensor]:
        """Tensors that the failing step took."""
        return tensors_of(self.failure.inputs) if self.failure else []

    @property
    def failing(self) -> str:
        """The name of the step that failed."""
        return "" if self.failure is None else self.failure.step(step.name for step in self.steps)

    @property
    def stopped_at(self) -> Spans:
        """Calls in the person's file that were open when the pass, or the building, failed; the innermost first."""
        if self.script is None:
            return ()
        cause = self.failure.exception if self.failure else self.error.__cause__ if self.error else None
        return spans_of_traceback(cause.__traceback__, self.script.path) if cause else ()

    @property
    def scores(self) -> Tensor | None:
        """What the network gave: the first tensor of it."""
        return next(iter(tensors_of(self.output)), None)

    @property
    def last(self) -> int:
        """Number of the step that the scores come from."""
        return len(self.steps) - 1

    def before(self, start: int) -> Iterator[int]:
        """Yields the numbers of a step and of those that lead to it, the nearest first."""
        waiting, seen = [start], set()
        while waiting:
            number = max(waiting)
            waiting.remove(number)
            if number >= 0 and number not in seen:
                seen.add(number)
                yield number
                waiting += self.steps[number].sources


def watched(network: nn.Module, shape: Shape, script: Script | None, made: Mapping[str, Spans], **facts: Any) -> Case:
    """Returns the case of a network that could be built, after one pass of it in evaluation mode."""
    steps: list[Seen] = []
    from_ = WeakIdKeyDictionary()

    def see(step: Step) -> None:
        for tensor in step.outputs:
            from_[tensor] = len(steps)
        steps.append(_seen(step, script))

    inputs = inputs_for(network, shape, SAMPLES)
    with contextlib.redirect_stdout(None):
        output, failure = walk(network, inputs, see)
    sources = tuple((from_[tensor],) if tensor in from_ else () for tensor in tensors_of(failure.inputs)) if failure else ()
    return Case(shape, network, None, script, made, **facts, steps=tuple(steps), failure=failure, failed_from=sources,
                output=output)  # fmt: skip


def inputs_for(network: nn.Module, shape: Shape, samples: int) -> tuple[Tensor, ...]:
    """Returns inputs as a training gives them: of 32 bits where the network's layers do not agree on another type."""
    weights = [weight for weight in network.parameters() if not is_lazy(weight)]
    kinds = {weight.dtype for weight in weights if weight.is_floating_point()}
    places = Counter(weight.device for weight in weights)
    inputs = example(network, shape, samples)
    if len(places) > 1:
        values = torch.rand(samples, *shape, generator=torch.Generator().manual_seed(0))
        inputs = (values.to(places.most_common(1)[0][0]),)
    return tuple(tensor.float() if len(kinds) > 1 and tensor.is_floating_point() else tensor for tensor in inputs)


def _seen(step: Step, script: Script | None) -> Seen:
    kind = function_name(step.function) if step.module is None else type(step.module).__name__
    outputs = tuple(tuple(tensor.shape) for tensor in step.outputs)
    spans = spans_of_frames(sys._getframe(1), script.path) if script else ()
    devices = tuple(tensor.device for tensor in step.outputs)
    name = step.name or kind.lower()
    return Seen(name, kind, step.module, step.input_shapes, outputs, step.sources, spans, told(step).formula, devices)


def shown(shape: Sequence[int]) -> str:
    """Returns N×64×6×6 for the shape of a batch: how many samples it has says nothing."""
    parts = ["N" if number == 0 and side == SAMPLES else str(side) for number, side in enumerate(shape)]
    return "×".join(parts) or "1"

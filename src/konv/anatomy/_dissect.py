"""From a network and the shape of an input to its Anatomy."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from konv.anatomy._formulas import cross, parameters_formula, told
from konv.anatomy._tracing import Broken, Step, Trace, function_name
from konv.core.anatomy import Anatomy, Layer, Shape, Unused
from konv.core.errors import BadModel

BATCH = 2  # samples of the watched pass: enough to tell the batch from a dimension of one
REPEATS = 7  # timed passes, after one that warms up


@dataclass(frozen=True)
class Failure:
    """The layer at which a forward pass stopped: its name, the module, what it was given, what it raised."""

    name: str
    module: nn.Module  # the network's own
    inputs: tuple[Any, ...]  # positional arguments, tensors of `batch` samples
    function: str | None  # a function between layers that failed, such as `add`; the module is then the one that calls it
    exception: Exception

    def step(self, names: Iterable[str]) -> str:
        """Returns the name of the step that failed, numbered as steps of one name are, from the names before it."""
        if not self.function:
            return self.name or type(self.module).__name__.lower()
        name = f"{self.name}.{self.function}".removeprefix(".")
        count = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", other) is not None for other in names)
        return f"{name}_{count + 1}" if count else name

    def told(self) -> BadModel:
        """Returns the error that names the layer and what it was given."""
        reason = (str(self.exception).strip() or type(self.exception).__name__).splitlines()[0].rstrip(".")
        given = [cross(part.shape) for part in self.inputs if isinstance(part, Tensor)]
        place = f"{self.function} in {self.name or 'the network'}" if self.function else f"layer {self.name or 'network'}"
        return BadModel(f"{place} was given {' and '.join(given) or 'no tensor'}: {reason}.")


@dataclass(frozen=True)
class Attempt:
    """An anatomy up to the layer that failed, and the failure; None where the whole network ran."""

    anatomy: Anatomy
    failure: Failure | None


def dissect(
    network: nn.Module, shape: Sequence[int] | Tensor | tuple[Tensor, ...], *, name: str = "", time: bool = False
) -> Anatomy:
    """Returns the anatomy of a network for inputs of one shape (C, *space), or for example inputs with a batch in front.

    One forward pass in evaluation mode is watched, and one in training mode for the memory that the backward pass needs.
    The network, its mode, gradients, hooks and buffers and torch's random state are as before, also after an error. Raises
    BadModel that names the layer where the pass fails; `attempt` gives the steps before it.
    """
    found = attempt(network, shape, name=name, time=time)
    if found.failure is not None:
        raise found.failure.told() from found.failure.exception
    return found.anatomy


def attempt(
    network: nn.Module,
    shape: Sequence[int] | Tensor | tuple[Tensor, ...],
    *,
    name: str = "",
    batch: int = BATCH,
    time: bool = False,
) -> Attempt:
    """Returns what `dissect` does, or the anatomy up to the layer that fails, with that layer, its inputs and the exception."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
        raise BadModel("a TorchScript module cannot be watched layer by layer; give the nn.Module that it was made from.")
    subject = _copied(network) if _lazy(network) else network
    inputs = example(subject, shape, batch)
    samples = len(inputs[0])
    with _unchanged(subject, inputs):
        if subject is not network:
            _traced(subject, inputs, training=False)  # lazy layers take their widths from it; an error comes again below
        trace = _traced(subject, inputs, training=False)
        kept = None if trace.broken else _kept(subject, inputs)
        seconds = _timed(subject, inputs, trace) if time and not trace.broken else None
        anatomy = _anatomy(
            network, subject, name, inputs, trace.steps, samples, kept, seconds, trace.broken is None
        )  # a parametrized weight changes state when it is read
    if trace.broken is None:
        return Attempt(anatomy, None)
    failure = _failure(network, trace.broken)
    stopped = failure.step(layer.name for layer in anatomy.layers)
    return Attempt(anatomy.model_copy(update={"stopped": stopped}), failure)


def walk(network: nn.Module, inputs: tuple[Tensor, ...], see: Callable[[Step], None]) -> tuple[Any, Failure | None]:
    """Runs the network once in evaluation mode, calls `see` behind every step while its tensors are at hand, and returns what
    the network gave, or the failure that ended it; the network and torch's random state are as before.
    """
    subject = _copied(network) if _lazy(network) else network
    with _unchanged(subject, inputs), torch.no_grad():
        if subject is not network:
            _traced(subject, inputs, training=False)
        trace = Trace(subject.eval(), fields=False, watch_operations=False, see=see)
        output = trace.run(inputs)
    return output, _failure(network, trace.broken) if trace.broken else None


def _failure(network: nn.Module, broken: Broken) -> Failure:
    module = dict(network.named_modules(remove_duplicate=False)).get(broken.name, broken.module)
    return Failure(broken.name, module, broken.inputs, broken.function, broken.exception)


# ---- passes ------------------------------------------------------------------------------------------------------


def _lazy(network: nn.Module) -> bool:
    return any(is_lazy(weight) for weight in (*network.parameters(), *network.buffers()))


def _copied(network: nn.Module) -> nn.Module:
    """Returns a deep copy; buffers without a size, which torch cannot copy, are made anew."""
    sizeless = [buffer for buffer in network.buffers() if is_lazy(buffer)]
    make: Any = UninitializedBuffer
    return copy.deepcopy(network, {id(buffer): make(False, buffer.device, buffer.dtype) for buffer in sizeless})


def example(network: nn.Module, shape: Any, batch: int) -> tuple[Tensor, ...]:
    """Returns inputs of a shape (C, *space) on the network's device, of its type of numbers; tensors are taken as they are."""
    if isinstance(shape, Tensor):
        return (shape,)
    if shape and isinstance(shape[0], Tensor):
        return tuple(shape)
    weights = [weight for weight in (*network.parameters(), *network.buffers()) if not is_lazy(weight)]
    device = weights[0].device if weights else torch.device("cpu")
    if _takes_indices(network):
        return (torch.zeros(batch, *shape, dtype=torch.long, device=device),)
    kind = next((weight.dtype for weight in weights if weight.is_floating_point()), torch.float32)
    if device.type == "meta":
        return (torch.empty(batch, *shape, dtype=kind, device=device),)
    values = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0))
    return (values.to(device, kind),)


def _takes_indices(network: nn.Module) -> bool:
    """True where the first layer with weights is an embedding."""
    first = next((module for module in network.modules() if next(module.parameters(recurse=False), None) is not None), None)
    return isinstance(first, (nn.Embedding, nn.EmbeddingBag))


def _traced(network: nn.Module, inputs: tuple[Tensor, ...], *, training: bool) -> Trace:
    trace = Trace(network, fields=not training, watch_operations=not training)
    network.train(training)
    with torch.set_grad_enabled(training):
        trace.run(inputs)
    return trace


def _kept(network: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, list[int]] | None:
    """Returns the bytes newly kept for the backward pass by each step's name, call after call; None where training fails."""
    trace = _traced(network, inputs, training=True)
    if trace.broken is not None:
        return None
    kept: dict[str, list[int]] = {}
    for step in trace.steps:
        kept.setdefault(step.name, []).append(step.kept_bytes)
    return kept


def _timed(network: nn.Module, inputs: tuple[Tensor, ...], first: Trace) -> tuple[float, list[float]]:
    """Returns median seconds of the whole pass and of each step, one sample at a time, in evaluation mode."""
    one = tuple(tensor[:1] for tensor in inputs)
    network.eval()
    whole, steps = [], []
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            _wait(one)
            start = perf_counter()
            network(*one)
            _wait(one)
            whole.append(perf_counter() - start)
            trace = Trace(network, fields=False, watch_operations=False, wait=lambda: _wait(one))
            trace.run(one)
            steps.append([step.seconds for step in trace.steps])
    fitting = [times for times in steps[1:] if len(times) == len(first.steps)]
    return median(whole[1:]), [median(times) for times in zip(*fitting, strict=True)]


def _wait(inputs: tuple[Tensor, ...]) -> None:
    device = inputs[0].device
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


@contextmanager
def _unchanged(network: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[None]:
    """Puts modes, buffers and random state back, and keeps fused fast paths off, whose parts could not be seen."""
    modes = {module: module.training for module in network.modules()}
    buffers = [(module, dict(module._buffers)) for module in network.modules()]
    found = [buffer for _, kept in buffers for buffer in kept.values() if buffer is not None and not is_lazy(buffer)]
    values = {id(buffer): buffer.clone() for buffer in found}
    fast = torch.backends.mha.get_fastpath_enabled()
    device = inputs[0].device
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for module, kept in buffers:
                module._buffers.clear()
                module._buffers.update(kept)
            for buffer in found:
                if buffer.device.type != "meta" and not torch.equal(buffer, values[id(buffer)]):
                    buffer.copy_(values[id(buffer)])


# ---- what was seen -----------------------------------------------------------------------------------------------


def _anatomy(
    network: nn.Module,
    subject: nn.Module,
    name: str,
    inputs: tuple[Tensor, ...],
    steps: list[Step],
    samples: int,
    kept: dict[str, list[int]] | None,
    seconds: tuple[float, list[float]] | None,
    complete: bool,
) -> Anatomy:
    weights = list(subject.parameters())
    sizes = {id(weight): _count(weight) for weight in weights}
    total = sum(sizes.values())
    counted: set[int] = set()
    layers = [_layer(step, samples, counted, kept) for step in steps]
    cost = sum(layer.multiply_adds for layer in layers)
    times = seconds[1] if seconds and seconds[1] else [None] * len(layers)
    shared = [
        layer.model_copy(
            update={
                "multiply_adds_share": layer.multiply_adds / cost if cost else 0.0,
                "parameters_share": layer.parameters / total if total else 0.0,
                "milliseconds": None if spent is None else 1000 * spent,
            }
        )
        for layer, spent in zip(layers, times, strict=True)
    ]
    return Anatomy(
        network=name or type(network).__name__,
        input=tuple(inputs[0].shape[1:]),
        layers=tuple(shared),
        parameters=total,
        trainable=sum(sizes[id(weight)] for weight in weights if weight.requires_grad),
        multiply_adds=cost,
        forward_bytes=sum(layer.forward_bytes for layer in layers),
        backward_bytes=None if kept is None else sum(layer.backward_bytes or 0 for layer in layers),
        parameter_bytes=sum(size * weight.element_size() for size, weight in zip(sizes.values(), weights, strict=True)),
        milliseconds=1000 * seconds[0] if seconds else None,
        complete=complete,
        unused=tuple(
            Unused(name=key, parameters=sizes[id(weight)])
            for key, weight in subject.named_parameters()
            if id(weight) not in counted and complete
        ),
    )


def _count(weight: Tensor) -> int:
    return 0 if is_lazy(weight) else weight.numel()


def _layer(step: Step, samples: int, counted: set[int], kept: dict[str, list[int]] | None) -> Layer:
    says = told(step)
    _check(step, says)
    new = [weight for weight in step.parameters if id(weight) not in counted]
    counted.update(map(id, new))
    total, fixed = step.multiply_adds, step.fixed_multiply_adds
    if says.multiply_adds is not None and not says.counted:
        total, fixed = says.multiply_adds, 0
    outputs = tuple(_sample(shape, samples) for shape in step.output_shapes)
    inputs = tuple(_sample(shape, samples) for shape in step.input_shapes)
    calls = (kept or {}).get(step.name)
    keeps = calls.pop(0) if calls else None
    field = step.field
    return Layer(
        name=step.name or kind_of(step).lower(),
        kind=kind_of(step),
        input=inputs[0] if inputs else (),
        output=outputs[0] if outputs else (),
        formula=says.formula,
        parameters=sum(weight.numel() for weight in new),
        parameters_formula=parameters_formula([tuple(weight.shape) for weight in new]),
        multiply_adds=(total - fixed) // samples + fixed,
        multiply_adds_formula=says.products,
        receptive_field=field.size if field else None,
        stride=field.stride if field else None,
        offset=field.offset if field else None,
        inputs=inputs,
        outputs=outputs,
        module=step.module is not None,
        sources=step.sources,
        shared=bool(step.parameters) and not new,
        forward_bytes=step.forward_bytes // samples,
        backward_bytes=None if keeps is None else keeps // samples,
    )


def kind_of(step: Step) -> str:
    """Returns the class of a layer, or the name of a function."""
    return function_name(step.function) if step.module is None else type(step.module).__name__.removeprefix("Parametrized")


def _sample(shape: tuple[int, ...], samples: int) -> Shape:
    return shape[1:] if shape and shape[0] == samples else shape


def _check(step: Step, says: Any) -> None:
    """A formula that disagrees with the real pass is a mistake in konv, never shown."""
    real = step.output_shapes[0] if step.output_shapes else ()
    where = f"{step.name or 'network'} ({kind_of(step)})"
    assert says.output is None or says.output == real, f"konv's formula for {where} gives {says.output}, the layer gave {real}."
    if says.multiply_adds is not None and says.counted:
        told_, seen = says.multiply_adds, step.multiply_adds
        assert told_ == seen, f"konv's formula for {where} gives {told_:,} multiply-adds, the layer did {seen:,}."

"""One forward pass, watched: every call of a layer and every function between layers, in the order they run."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from konv.anatomy._field import Field
from konv.anatomy._fields import Fields
from konv.anatomy._macs import multiply_adds
from konv.anatomy._tensors import tensors_of

_CONTAINERS = ("torch.nn.modules.container", "torch.nn.modules.transformer")
_SILENT = {  # functions that change neither values nor shape, or only say something of a tensor
    "to", "contiguous", "detach", "clone", "type", "float", "half", "double", "bfloat16", "requires_grad_", "cpu", "cuda",
    "type_as", "__get__", "__set__", "__setitem__", "retain_grad", "_assert", "alias",
}  # fmt: skip


@dataclass
class Step:
    """What was seen of one call: filled in while it runs."""

    name: str
    module: nn.Module | None
    function: Any  # None for a module
    given: tuple[Any, ...]  # positional arguments
    named: Mapping[str, Any]
    inputs: tuple[Tensor, ...]
    input_shapes: tuple[tuple[int, ...], ...]  # taken before the call: a function may change its input in place
    outputs: tuple[Tensor, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    parameters: tuple[nn.Parameter, ...] = ()
    multiply_adds: int = 0  # measured, whole batch
    fixed_multiply_adds: int = 0  # of these, what does not follow from the input and is done once for any batch
    forward_bytes: int = 0  # whole batch
    kept_bytes: int = 0  # whole batch
    field: Field | None = None
    seconds: float = 0.0
    sources: tuple[int, ...] = ()  # numbers of the steps whose outputs came in; -1 is the network's input


@dataclass
class _Frame:
    """One module being run."""

    name: str
    module: nn.Module
    given: tuple[Any, ...] = ()
    functions: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Broken:
    """Where a forward pass stopped: the innermost module, the step that was open, and what was raised."""

    name: str
    module: nn.Module
    inputs: tuple[Any, ...]  # positional arguments of that step
    function: str | None  # name of the function, where no layer but a function between layers failed
    exception: Exception


class Trace:
    """Steps of one forward pass of a network, and where it broke off."""

    def __init__(
        self, network: nn.Module, *, fields: bool = True, watch_operations: bool = True, wait: Any = None, see: Any = None
    ) -> None:
        self.steps: list[Step] = []
        self.broken: Broken | None = None
        self._network = network
        self._frames: list[_Frame] = []
        self._open: Step | None = None
        self._owner: nn.Module | None = None  # the module whose call is the open step
        self._failed: tuple[Exception, Step | None] | None = None
        self._from = WeakIdKeyDictionary()  # tensors that follow from the input → numbers of the steps they come from
        self._made_of = WeakIdKeyDictionary()  # tensors that follow from parameters alone → those parameters
        self._kept: set[int] = _storages(network)
        self._fields = Fields() if fields else None
        self._watch_operations = watch_operations
        self._wait = wait or (lambda: None)  # for the accelerator, before a clock is read
        self._see = see or (lambda _: None)  # is shown each step while its tensors are at hand

    def run(self, inputs: tuple[Tensor, ...]) -> Any:
        """Runs the network once and returns what it gives; an exception of it is kept in `broken` and None returned."""
        for tensor in inputs:
            self._from[tensor] = frozenset({-1})
            self._kept.add(_storage(tensor))
            if self._fields is not None:
                self._fields.begin(tensor)
        try:
            with self._watching():
                return self._network(*inputs)
        except Exception as error:  # a person's forward may raise anything; it is told back with its layer
            self.broken = self._where(error)
            return None
        finally:
            self._frames.clear()
            self._open = self._owner = None

    @contextmanager
    def _watching(self) -> Iterator[None]:
        handles = [
            handle
            for name, module in self._network.named_modules()
            for handle in (
                module.register_forward_pre_hook(self._entering(name), prepend=True, with_kwargs=True),
                module.register_forward_hook(self._leaving),
            )
        ]
        try:
            with torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor), _Functions(self):
                if self._watch_operations:
                    with _Operations(self):
                        yield
                else:
                    yield
        finally:
            for handle in handles:
                handle.remove()

    # ---- modules ----

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            self._frames.append(_Frame(name, module, given))
            if self._open is None and is_step(module, self._network):
                own = tuple(module.parameters())
                self._start(_step(name, module, None, given, named, own))
                self._owner = module

        return enter

    def _leaving(self, module: nn.Module, _: Any, output: Any) -> None:
        frame = self._frames.pop()
        for tensor in tensors_of(output):
            if tensor not in self._from:  # made by no function of torch: a person's autograd.Function
                self._from[tensor] = self._sources(frame.given)
        if self._owner is module:
            self._finish(output)
            self._owner = None

    # ---- functions ----

    def call(self, function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Runs a function of torch, as a step of its own where it is one."""
        taken = tensors_of((given, named))
        sources = self._sources(taken)
        known = bool(sources)
        inside = self._open is not None
        if known and not inside and self._frames:
            self._start(_step(self._function_name(function), None, function, given, named, self._parameters_in(taken)))
        try:
            output = function(*given, **named)
        except Exception as error:
            self._failed = self._failed or (error, self._open)
            self._open = self._open if inside else None  # the caller may catch it and go on
            raise
        results = tensors_of(output)
        if known:
            for tensor in results:
                self._from[tensor] = sources
        elif results:
            self._note_parameters(taken, results)
        if known and not inside and self._frames:
            self._finish_function(function, output)
        return output

    def _function_name(self, function: Any) -> str:
        frame = self._frames[-1]
        return f"{frame.name}.{function_name(function)}".removeprefix(".")

    def _finish_function(self, function: Any, output: Any) -> None:
        step = self._open
        assert step is not None
        if _is_silent(function, output, step):
            self._open = None
            return
        counter = self._frames[-1].functions
        counter[step.name] += 1
        if counter[step.name] > 1:
            step.name = f"{step.name}_{counter[step.name]}"
        self._finish(output)

    def _parameters_in(self, taken: list[Tensor]) -> tuple[nn.Parameter, ...]:
        found: dict[int, nn.Parameter] = {}
        for tensor in taken:
            for parameter in (tensor,) if isinstance(tensor, nn.Parameter) else self._made_of.get(tensor, ()):
                found[id(parameter)] = parameter
        return tuple(found.values())

    def _note_parameters(self, taken: list[Tensor], results: list[Tensor]) -> None:
        parameters = self._parameters_in(taken)
        for tensor in results:
            if parameters and not isinstance(tensor, nn.Parameter):
                self._made_of[tensor] = parameters

    # ---- steps ----

    def _sources(self, taken: Any) -> frozenset[int]:
        return frozenset(number for tensor in tensors_of(taken) for number in self._from.get(tensor, ()))

    def _start(self, step: Step) -> None:
        step.sources = tuple(sorted(self._sources(step.inputs)))
        self._open = step
        self._wait()
        step.seconds = perf_counter()

    def _finish(self, output: Any) -> None:
        step = self._open
        assert step is not None
        self._wait()
        step.seconds = perf_counter() - step.seconds
        step.outputs = tuple(tensors_of(output))
        step.output_shapes = tuple(tuple(tensor.shape) for tensor in step.outputs)
        came_in = {_storage(tensor) for tensor in step.inputs}
        step.forward_bytes = sum(_bytes(tensor) for tensor in step.outputs if _storage(tensor) not in came_in)
        for tensor in step.outputs:
            self._from[tensor] = frozenset({len(self.steps)})
        if self._fields is not None and step.outputs:
            step.field = self._fields.of(step.outputs[0])
        step.given, step.named = _without_tensors(step.given), {key: _shape_of(value) for key, value in step.named.items()}
        self._see(step)
        step.inputs = step.outputs = ()  # lets go of the features
        self.steps.append(step)
        self._open = None

    def operate(self, operation: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Runs one of torch's own operations, counts its multiply-adds and follows the receptive field."""
        output = operation(*given, **named)
        if self._open is not None:
            count = multiply_adds(operation, given, named, output)
            self._open.multiply_adds += count
            if self._fields is not None and not self._fields.follows((given, named)):
                self._open.fixed_multiply_adds += count
        if self._fields is not None:
            self._fields.follow(operation, given, named, output)
        return output

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        if self._open is not None and storage not in self._kept:
            self._kept.add(storage)
            self._open.kept_bytes += _bytes(tensor)
        return tensor

    def _where(self, error: Exception) -> Broken:
        """A layer that is open failed; else a function between layers; else something between the two."""
        frame = self._frames[-1] if self._frames else _Frame("", self._network)
        step = self._failed[1] if self._failed is not None and self._failed[0] is error else self._open
        if step is None:
            return Broken(frame.name, frame.module, frame.given, None, error)
        if step.module is not None:
            return Broken(step.name, step.module, step.given, None, error)
        return Broken(frame.name, frame.module, step.given, function_name(step.function), error)


class _Functions(TorchFunctionMode):
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._trace.call(func, args, kwargs or {})


class _Operations(TorchDispatchMode):
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._trace.operate(func, args, kwargs or {})


def is_step(module: nn.Module, network: nn.Module) -> bool:
    """True for a module shown as one step: torch's own layers, and a person's modules that hold no others."""
    kind = type(module).__module__
    if nn.utils.parametrize.is_parametrized(module):
        return True
    if next(module.children(), None) is None:
        return module is not network or kind.startswith("torch.nn.")
    return kind.startswith("torch.nn.modules.") and kind not in _CONTAINERS


def function_name(function: Any) -> str:
    """Returns the plain name of one of torch's functions: `add` for `__iadd__` and `add_`."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if name == "__getitem__":
        return "index"
    inner = name.strip("_")
    return inner[1:] if name.startswith("__") and inner[:1] in "ir" and inner[1:] in _OPERATORS else inner


_OPERATORS = {"add", "sub", "mul", "truediv", "matmul", "div", "pow"}


def _step(
    name: str, module: nn.Module | None, function: Any, given: Any, named: Any, parameters: tuple[nn.Parameter, ...]
) -> Step:
    inputs = tuple(tensor for tensor in tensors_of((given, named)) if not isinstance(tensor, nn.Parameter))
    shapes = tuple(tuple(tensor.shape) for tensor in inputs)
    return Step(name, module, function, given, named, inputs, shapes, parameters=parameters)


def _is_silent(function: Any, output: Any, step: Step) -> bool:
    if not tensors_of(output) or str(getattr(function, "__name__", "")) in _SILENT:
        return True
    unchanged = isinstance(output, Tensor) and any(output is tensor for tensor in step.inputs)
    return unchanged and function_name(function) == str(function.__name__)  # in place ends with _, or is written +=


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _storages(network: nn.Module) -> set[int]:
    return {_storage(tensor) for tensor in (*network.parameters(), *network.buffers()) if not is_lazy(tensor)}


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _without_tensors(given: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_shape_of(value) for value in given)


def _shape_of(value: Any) -> Any:
    """Tensors become their shapes, so that a finished step holds no features."""
    if isinstance(value, Tensor):
        return value.shape
    return type(value)(map(_shape_of, value)) if type(value) in (tuple, list) else value

"""A stopwatch for one training step: it charges every moment to one owner, layers forward and backward included."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from konv.models._sequence import Sequence

Owner = tuple[str, str]  # (name of a layer, or "" for a part of the step; "forward", "backward", or the part's name)
CLOCKS: Owner = ("", "clocks")  # what the measuring itself takes; left out of the result
BETWEEN: Owner = ("", "between")


@dataclass(frozen=True)
class Call:
    """What one call of a layer was given and gave back."""

    input_bytes: int
    output_bytes: int
    weight_bytes: int
    output: tuple[int, ...]  # shape of the first tensor
    input_gradient: bool  # the backward pass computes one
    weight_gradient: bool
    view: bool  # the output is the input under another shape: nothing moves
    kind: str = ""  # class of the layer


class Stopwatch:
    """Every moment between `start` and `stop` belongs to the owner entered last, so the owners' seconds add up to the whole."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stack: list[Owner] = []
        self._since = 0.0
        self.seconds: dict[Owner, float] = {}

    @property
    def running(self) -> bool:
        return bool(self._stack)

    def start(self, owner: Owner) -> None:
        self.seconds = {}
        self._since = self.now()
        self._stack = [owner]

    def stop(self) -> None:
        self.mark()
        self._stack = []

    def enter(self, owner: Owner) -> None:
        self.mark()
        self._stack.append(owner)

    def leave(self) -> None:
        self.mark()
        self._stack.pop()

    def turn_to(self, owner: Owner, *, before: Owner | None = None) -> None:
        """Replaces the owner entered last; the time since the last mark is its own, or goes to `before`, if that is said."""
        self._charge(before or self._stack[-1])
        self._stack[-1] = owner

    def mark(self) -> None:
        """Charges what has passed to the owner entered last."""
        self._charge(self._stack[-1])

    @contextmanager
    def of(self, owner: Owner) -> Iterator[None]:
        self.enter(owner)
        yield
        self.leave()

    def _charge(self, owner: Owner) -> None:
        now = self.now()
        self.seconds[owner] = self.seconds.get(owner, 0.0) + now - self._since
        self._since = now

    def now(self) -> float:
        """Returns seconds, once the device has done what it was given."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        return perf_counter()


class Clocks:
    """Clocks on a network: on its layers for the forward pass, on the nodes of the gradient's graph for the backward.

    No module gets a backward hook, which would put nodes of its own into the graph and forbid in-place layers. Layers that
    konv runs as one step have one clock, as hooks would part them. Nodes made by calls outside of any layer belong to
    `BETWEEN`.
    """

    def __init__(self, network: nn.Module, watch: Stopwatch) -> None:
        self._network = network
        self._watch = watch
        self._seen: set[Node] = set()  # also keeps the wrappers alive, by which a node is known again
        self._versions: list[int] = []
        self._joined: set[nn.Module] = set()  # layers that were seen to run as one step with others
        self.calls: dict[str, list[Call]] = {}
        for module in network.modules():
            if isinstance(module, Sequence):
                module.fused = self._joining(module.fused)  # type: ignore[method-assign]

    @contextmanager
    def running(self, owner: Owner) -> Iterator[None]:
        """Puts the clocks on for one step that begins with `owner`'s time, and takes them off again, whatever happens."""
        self.calls = {}
        layers = {name: layer for name, layer in leaves(self._network).items() if layer not in self._joined}
        hooks = [] if "" in layers else [self._network.register_forward_pre_hook(self._begin)]
        for name, layer in layers.items():
            hooks.append(layer.register_forward_pre_hook(self._entering(name), with_kwargs=True))
            hooks.append(layer.register_forward_hook(self._leaving(name), with_kwargs=True))
        if "" not in layers:
            hooks.append(self._network.register_forward_hook(self._end))
        try:
            self._watch.start(owner)
            yield
        finally:
            self._watch.stop()
            for hook in hooks:
                hook.remove()
            self._seen.clear()

    def claim(self, values: object, owner: Owner) -> None:
        """Gives `owner` the backward time of every node behind these tensors that has no owner yet."""
        waiting = [tensor.grad_fn for tensor in tensors(values)]
        while waiting:
            node = waiting.pop()
            if node is None or node in self._seen:
                continue
            self._seen.add(node)
            following = [above for above, _ in node.next_functions]
            waiting += following
            if following:  # the others keep a weight's gradient; a hook there would make them copy it
                node.register_prehook(lambda *_: self._watch.turn_to(owner))  # until the next: what it frees is its own
            if following and not any(above and above.next_functions for above in following):
                # where the backward pass may end; elsewhere a hook after the node would keep its gradients for longer
                node.register_hook(lambda *_: self._watch.mark())

    def _joining(self, fused: Callable[..., Tensor]) -> Callable[..., Tensor]:
        names = {module: name for name, module in leaves(self._network).items()}

        def clocked(values: Tensor, *layers: nn.Module) -> Tensor:
            self._joined.update(layers)
            if not self._watch.running:
                return fused(values, *layers)
            name = f"{names[layers[0]]}…{names[layers[-1]]}"
            with self._watch.of(CLOCKS):
                self.claim(values, BETWEEN)
            with self._watch.of((name, "forward")):
                gave = fused(values, *layers)
            with self._watch.of(CLOCKS):
                self.claim(gave, (name, "backward"))
                self.calls.setdefault(name, []).append(_call(layers, [values], [values._version], [gave]))
            return gave

        return clocked

    # ---- forward hooks ----

    def _begin(self, *_: object) -> None:
        self._watch.enter(BETWEEN)

    def _end(self, _module: nn.Module, _given: object, gave: object) -> None:
        with self._watch.of(CLOCKS):
            self.claim(gave, BETWEEN)
        self._watch.leave()

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._watch.enter(CLOCKS)
            self.claim((args, kwargs), BETWEEN)
            self._versions = [tensor._version for tensor in tensors((args, kwargs))]
            self._watch.leave()
            self._watch.enter((name, "forward"))

        return hook

    def _leaving(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], gave: object) -> None:
            self._watch.leave()
            with self._watch.of(CLOCKS):
                self.claim(gave, (name, "backward"))
                call = _call((module,), tensors((args, kwargs)), self._versions, tensors(gave))
                self.calls.setdefault(name, []).append(call)

        return hook


def leaves(network: nn.Module) -> dict[str, nn.Module]:
    """Returns the modules without children by their dotted names; one that has several names has the first."""
    return {name: module for name, module in network.named_modules() if not any(module.children())}


def tensors(values: object) -> list[Tensor]:
    """Returns the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = tuple(values.values())
    return [tensor for value in values for tensor in tensors(value)] if isinstance(values, (tuple, list)) else []


def _call(layers: tuple[nn.Module, ...], given: list[Tensor], versions: list[int], gave: list[Tensor]) -> Call:
    weights = [weight for layer in layers for weight in layer.parameters(recurse=False)]
    untouched = [tensor._version for tensor in given] == versions
    storages = {tensor.untyped_storage().data_ptr() for tensor in given}
    return Call(
        input_bytes=sum(tensor.nbytes for tensor in given),
        output_bytes=sum(tensor.nbytes for tensor in gave),
        weight_bytes=sum(weight.nbytes for weight in weights),
        output=tuple(gave[0].shape) if gave else (),
        input_gradient=any(tensor.requires_grad for tensor in given),
        weight_gradient=any(weight.requires_grad for weight in weights),
        kind=", ".join(type(layer).__name__ for layer in layers),
        view=untouched and all(tensor.untyped_storage().data_ptr() in storages for tensor in gave),
    )

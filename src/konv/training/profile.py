"""`measure(recipe)`: real training steps under clocks, layer by layer, on a network of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from statistics import median, quantiles
from time import perf_counter
from typing import Any, get_args

import torch
from torch import Tensor, nn

from konv import datasets
from konv.anatomy import dissect
from konv.core.profile import LayerTime, Part, PartTime, Profile
from konv.core.recipe import Recipe
from konv.datasets import Data
from konv.training.environment import choose_device
from konv.training.fit import Batches, Plan, steps, steps_per_epoch
from konv.training.objectives import Objective
from konv.training.preparation import prepare
from konv.training.roofline import Roofs, measure_roofs
from konv.training.state import State
from konv.training.stopwatch import CLOCKS, Call, Clocks, Owner, Stopwatch, leaves
from konv.training.train import threads

WARM_UP = 3  # steps that build kernels and fill the allocator's stock
FEWEST, MOST = 3, 25  # steps measured with clocks, each beside one without
BUDGET = 4.0  # seconds, after which the fewest are enough
BETWEEN_LAYERS = "between layers"  # no name of a module: those hold no blank
PARTS: tuple[Part, ...] = get_args(Part)

Seconds = Mapping[Owner, float]


@dataclass(frozen=True)
class _Measured:
    """Medians over the steps: of a step without clocks, and of every owner's share of one with them."""

    undisturbed: float  # seconds
    spread: float  # middle half of these steps over their median
    seconds: Seconds
    calls: Mapping[str, list[Call]]
    steps: int


def measure(recipe: Recipe, data: Data | None = None) -> Profile:
    """Returns where the time of this recipe's training steps goes.

    The steps are those of the training loop, on batches of the recipe's size, with a network and optimizer of their own and
    a learning rate of zero. Torch's random state is put back, so a training before or after does not notice. On an
    accelerator every clock waits for it, which keeps layers apart that would otherwise overlap.
    """
    with threads(recipe.threads), torch.random.fork_rng():
        device = choose_device(recipe.device)
        data = data or datasets.load(recipe.data)
        plan, network = prepare(recipe, data.train, data.view, len(data.classes), device)
        dtype = torch.bfloat16 if plan.bfloat16 else torch.float32
        before = measure_roofs(device, dtype)
        measured = _measure(State(network, recipe.fit), plan, data, device)
        roofs = before.best(measure_roofs(device, dtype))
        batch = len(data.train) if recipe.fit.batch_size == "all" else recipe.fit.batch_size
        work = multiply_adds(network, data.view.shape)
        layers = _layers(measured, work, batch, roofs)
        seconds = {name: measured.seconds[("", name)] for name in PARTS if ("", name) in measured.seconds}
        parts = [PartTime(name=name, milliseconds=1000 * taken) for name, taken in seconds.items()]
        gflop = sum(layer.gflop for layer in layers) + _gflop(work[BETWEEN_LAYERS], batch, gradients=2)
        gflops = gflop / measured.undisturbed
        return Profile(
            model=recipe.model.name,
            source=recipe.data.source,
            batch_size=batch,
            precision="bfloat16" if plan.bfloat16 else "float32",
            device=device.type,
            threads=torch.get_num_threads(),
            steps=measured.steps,
            layers=tuple(layers),
            parts=tuple(parts),
            milliseconds=sum(layer.milliseconds for layer in layers) + sum(part.milliseconds for part in parts),
            milliseconds_undisturbed=1000 * measured.undisturbed,
            spread=measured.spread,
            pictures_per_second=batch / measured.undisturbed,
            gflop=gflop,
            gflops=gflops,
            gemm_gflops=roofs.gemm_gflops,
            copy_gigabytes_per_second=roofs.copy_gigabytes_per_second,
            gemm_share=gflops / roofs.gemm_gflops,
        )


# ---- steps under clocks ----


def _measure(state: State, plan: Plan, data: Data, device: torch.device) -> _Measured:
    """Runs steps with and without clocks in turn, so that what disturbs the machine disturbs both alike."""
    watch = Stopwatch(device)
    clocks = Clocks(state.network, watch)
    _clock_parts(state, watch)
    endless = plan.fit.model_copy(update={"epochs": 10**9, "patience": 0})
    plan = replace(plan, fit=endless, objective=_clocked(plan.objective, watch, clocks), schedule=lambda *_: 0.0)
    records = steps(state, Batches.of(data.train, device), Batches.of(data.valid, device), plan)

    last = max(steps_per_epoch(len(data.train), plan.fit) - 1, 1)

    def to_a_whole_step() -> None:
        """Passes over an epoch's last batch, which may be smaller, and over the validation."""
        while state.progress.step >= last:
            next(records)

    def without() -> float:
        to_a_whole_step()
        start = watch.now()
        next(records)
        return watch.now() - start

    def under() -> Seconds:
        to_a_whole_step()
        with clocks.running(("", "inputs")):
            next(records)
        return watch.seconds

    for _ in range(WARM_UP):
        without()
    plain, clocked, began = [without()], [under()], perf_counter()
    while len(plain) < FEWEST or (len(plain) < MOST and perf_counter() - began < BUDGET):
        plain.append(without())
        clocked.append(under())
    owners = {owner for seconds in clocked for owner in seconds}
    medians = {owner: median(seconds.get(owner, 0.0) for seconds in clocked) for owner in owners}
    low, middle, high = quantiles(plain, n=4)
    return _Measured(middle, (high - low) / middle, medians, clocks.calls, len(plain))


def _clock_parts(state: State, watch: Stopwatch) -> None:
    """Puts clocks on the optimizer and the running mean of a state that serves the measurement alone."""
    update, average = state.optimizer.step, state.average
    # what has passed since the last node of the backward pass: its end, and the norm of the gradient
    state.optimizer.step = _timed(update, watch, "optimizer", before="gradient")  # type: ignore[method-assign]
    if average is not None:
        average.update_parameters = _timed(average.update_parameters, watch, "average")  # type: ignore[method-assign]


def _timed(function: Callable[..., Any], watch: Stopwatch, part: Part, before: Part = "rest") -> Callable[..., Any]:
    @wraps(function)
    def timed(*given: Any) -> Any:
        if not watch.running:
            return function(*given)
        watch.turn_to(("", part), before=("", before))
        result = function(*given)
        watch.turn_to(("", "rest"))
        return result

    return timed


def _clocked(objective: Objective, watch: Stopwatch, clocks: Clocks) -> Objective:
    """Returns the objective with a clock, which ends the preparation of the inputs."""

    def timed(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if not watch.running:
            return objective(network, inputs, labels)
        watch.turn_to(("", "loss"))
        loss, logits = objective(network, inputs, labels)
        with watch.of(CLOCKS):
            clocks.claim((loss, logits), ("", "loss"))
        watch.turn_to(("", "rest"))
        return loss, logits

    return timed


# ---- from clocks to layers ----


def multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Returns the multiply-adds for one sample by layer; those of functions called outside of any under `BETWEEN_LAYERS`."""
    names, found = leaves(network), dict.fromkeys([BETWEEN_LAYERS], 0)
    for step in dissect(network, shape).layers:
        owner = step.name if step.module else step.name.rpartition(".")[0]
        owner = owner if owner in names else BETWEEN_LAYERS
        found[owner] = found.get(owner, 0) + step.multiply_adds
    return found


def _layers(measured: _Measured, multiply_adds: Mapping[str, int], batch: int, roofs: Roofs) -> list[LayerTime]:
    return [
        _layer(name, calls, measured.seconds, _layer_gflop(calls[0], multiply_adds.get(name, 0), batch), roofs)
        for name, calls in measured.calls.items()
    ]


def _layer_gflop(call: Call, multiply_adds: int, batch: int) -> float:
    return _gflop(multiply_adds, batch, gradients=call.input_gradient + call.weight_gradient)


def _gflop(multiply_adds: int, batch: int, *, gradients: int) -> float:
    """Returns 10⁹ operations of a forward pass and of each gradient, of inputs and of weights, which takes as many again."""
    return 2e-9 * multiply_adds * batch * (1 + gradients)


def _layer(name: str, calls: list[Call], seconds: Seconds, gflop: float, roofs: Roofs) -> LayerTime:
    times = [1000 * seconds.get((name, phase), 0.0) for phase in ("forward", "backward")]
    megabytes, milliseconds = 1e-6 * sum(map(least_bytes, calls)), sum(times)
    bound, roof = roofs.judge(gflop, megabytes, milliseconds)
    return LayerTime(
        name=name or calls[0].kind,
        kind=calls[0].kind,
        output=calls[0].output,
        calls=len(calls),
        milliseconds_forward=times[0],
        milliseconds_backward=times[1],
        gflop=gflop,
        megabytes=megabytes,
        gflops=1000 * gflop / milliseconds,
        gigabytes_per_second=megabytes / milliseconds,
        bound=bound,
        roof=roof,
    )


def least_bytes(call: Call) -> int:
    """Returns the bytes a call must read and write at the least, each tensor once per pass.

    Forward: inputs, weights, outputs. Backward: the outputs' gradient and the inputs; for the inputs' gradient the weights
    and itself; the weights' gradient. A view moves nothing.
    """
    if call.view:
        return 0
    forward = call.input_bytes + call.weight_bytes + call.output_bytes
    if not (call.input_gradient or call.weight_gradient):
        return forward
    backward = call.output_bytes + call.input_bytes
    backward += (call.weight_bytes + call.input_bytes) * call.input_gradient
    return forward + backward + call.weight_bytes * call.weight_gradient

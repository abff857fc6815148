"""One layer at length: a value worked out by hand, and what each argument does to size and cost."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import product as places_of
from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from konv.anatomy._dissect import attempt, dissect
from konv.core.anatomy import Explanation, Grid, Layer, Variant, Worked
from konv.core.errors import UnknownName, did_you_mean

CLOSE = 1e-5  # of a value worked out by hand to torch's, relative to the sum of its parts where that is more than one
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def explain(network: nn.Module, shape: Sequence[int], name: str) -> Explanation:
    """Returns one layer of a network at length; raises UnknownName for a name that no step has.

    A value is worked out for convolution, pooling, batch normalisation and linear layers, with the layer's own weights on an
    input of small whole numbers, and compared with torch; a difference is a mistake in konv.
    """
    layer = _named(dissect(network, shape).layers, name)
    module = dict(network.named_modules()).get(layer.name) if layer.module else None
    module = network if module is None and layer.module else module
    if module is None or any(weight.is_meta for weight in module.parameters()):
        return Explanation(layer=layer, arguments={})
    with torch.no_grad():
        worked = tuple(_worked(_plain(module), layer))
    return Explanation(layer=layer, arguments=_arguments(module), worked=worked, variants=tuple(_variants(module, layer)))


def _named(layers: Sequence[Layer], name: str) -> Layer:
    found = next((layer for layer in layers if layer.name == name), None)
    if found is None:
        known = [layer.name for layer in layers]
        shown = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
        raise UnknownName(f"there is no layer named {name!r}{did_you_mean(name, known) or '.'} Layers: {shown}.")
    return found


def _plain(module: nn.Module) -> nn.Module:
    """Returns a copy on the processor in float64, whose sums carry no rounding that a reader could see."""
    copied = copy.deepcopy(module).to("cpu", torch.float64)
    copied._forward_hooks.clear()
    copied._forward_pre_hooks.clear()
    return copied.eval()


# ---- worked out by hand ------------------------------------------------------------------------------------------


def _worked(module: nn.Module, layer: Layer) -> Iterator[Worked]:
    if isinstance(module, CONVOLUTIONS):
        yield from _convolved(module, layer)
    elif isinstance(module, MAXIMA + AVERAGES):
        yield from _pooled(module, layer)
    elif isinstance(module, NORMS):
        yield _normalised(module, layer)
    elif isinstance(module, nn.Linear):
        yield _weighted(module, layer)


def _small(shape: Sequence[int]) -> Tensor:
    """Returns whole numbers from 1 to 9 that look like no pattern, the same for the same shape, (1, *shape)."""
    return torch.randint(1, 10, (1, *shape), generator=torch.Generator().manual_seed(4)).double()


def _convolved(module: Any, layer: Layer) -> Iterator[Worked]:
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    sides = zip(layer.input[1:], kernel, stride, dilation, strict=True)
    corner = [min(length, step + apart * (side - 1) + 1) for length, side, step, apart in sides]
    values = _small((layer.input[0], *corner))
    real = module(values)
    pads = module._reversed_padding_repeated_twice
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = F.pad(values, pads, mode=mode)[0]
    inputs = module.weight.shape[1]  # of one group; the first output channel takes the first group
    for place in _first_places(real.shape[2:]):
        window = padded[(slice(inputs), *_covered(place, kernel, stride, dilation))]
        products = window * module.weight[0]
        bias = 0.0 if module.bias is None else float(module.bias[0])
        others = {"channels": float(products[1:].sum())} if inputs > 1 else {}
        numbers = {"sum": float(products[0].sum()), **others, **({} if module.bias is None else {"bias": bias})}
        shown = {"window": _grid(window[0]), "kernel": _grid(module.weight[0, 0]), "products": _grid(products[0])}
        yield _checked(place, sum(numbers.values()), real[(0, 0, *place)], numbers=numbers, **shown)


def _pooled(module: Any, layer: Layer) -> Iterator[Worked]:
    count = len(layer.input) - 1
    kernel, stride = _sides(module.kernel_size, count), _sides(module.stride, count)
    padding, dilation = _sides(module.padding, count), _sides(getattr(module, "dilation", 1), count)
    values = _small((1, *layer.input[1:]))
    real = F.__dict__[f"{'max' if isinstance(module, MAXIMA) else 'avg'}_pool{count}d"]
    options = {"dilation": dilation} if isinstance(module, MAXIMA) else {"count_include_pad": module.count_include_pad}
    after = real(values, kernel, stride, padding, ceil_mode=module.ceil_mode, **options)
    empty = float("-inf") if isinstance(module, MAXIMA) else 0.0
    edge = [(side, side + step + reach) for side, step, reach in zip(padding, stride, kernel, strict=True)]
    padded = F.pad(values, [number for pair in reversed(edge) for number in pair], value=empty)[0, 0]
    inside = F.pad(torch.ones_like(values), [number for pair in reversed(edge) for number in pair])[0, 0]
    for place in _first_places(after.shape[2:]):
        covered = _covered(place, kernel, stride, dilation)
        window = padded[covered]
        if isinstance(module, MAXIMA):
            result, numbers = float(window.max()), {}
        else:
            counted = _divisor(module, inside[covered], place, kernel, stride, padding, layer.input[1:])
            numbers = {"sum": float(window.sum()), "divisor": counted}
            result = numbers["sum"] / counted
        shown = torch.where(window == float("-inf"), torch.zeros_like(window), window)
        yield _checked(place, result, after[(0, 0, *place)], window=_grid(shown), numbers=numbers)


def _divisor(module: Any, inside: Tensor, place: Sequence[int], kernel: Any, stride: Any, padding: Any, space: Any) -> float:
    """Average pooling divides by what the window covers: with the padding, but never beyond it (ceil mode)."""
    if getattr(module, "divisor_override", None):
        return float(module.divisor_override)
    if not module.count_include_pad:
        return float(inside.sum())
    covered = 1
    for at, side, step, pad, length in zip(place, kernel, stride, padding, space, strict=True):
        covered *= min(at * step + side, length + 2 * pad) - at * step
    return float(covered)


def _normalised(module: Any, layer: Layer) -> Worked:
    values = _small(layer.input)
    real = module(values)
    place = (0,) * (len(layer.input) - 1)
    if module.running_mean is None:  # no running statistics: those of the batch
        mean, variance = values[:, 0].mean(), values[:, 0].var(unbiased=False)
    else:
        mean, variance = module.running_mean[0], module.running_var[0]
    gamma, beta = (1.0, 0.0) if module.weight is None else (float(module.weight[0]), float(module.bias[0]))
    value = float(values[(0, 0, *place)])
    numbers = {
        "x": value,
        "mean": float(mean),
        "variance": float(variance),
        "epsilon": module.eps,
        "gamma": gamma,
        "beta": beta,
    }
    result = (value - float(mean)) / sqrt(float(variance) + module.eps) * gamma + beta
    return _checked(place, result, real[(0, 0, *place)], window=((value,),), numbers=numbers)


def _weighted(module: Any, layer: Layer) -> Worked:
    values = _small(layer.input)
    real = module(values)
    first = values.flatten(0, -2)[0]
    products = first * module.weight[0]
    shown = 5
    others = {"features": float(products[shown:].sum())} if len(products) > shown else {}
    bias = {} if module.bias is None else {"bias": float(module.bias[0])}
    numbers = {"sum": float(products[:shown].sum()), **others, **bias}
    grids = {"window": _grid(first[:shown]), "kernel": _grid(module.weight[0, :shown]), "products": _grid(products[:shown])}
    return _checked((0,), sum(numbers.values()), real.flatten(0, -2)[0, 0], numbers=numbers, **grids)


def _checked(place: Sequence[int], result: float, real: Tensor, **shown: Any) -> Worked:
    seen = float(real)
    parts = 1 + sum(map(abs, shown.get("numbers", {}).values()))
    assert abs(result - seen) <= CLOSE * parts, f"konv's worked example gives {result}, torch gives {seen}."
    return Worked(place=tuple(place), result=result, torch=seen, **shown)


def _covered(place: Sequence[int], kernel: Any, stride: Any, dilation: Any) -> tuple[slice, ...]:
    sides = zip(place, kernel, stride, dilation, strict=True)
    return tuple(slice(at * step, at * step + apart * (side - 1) + 1, apart) for at, side, step, apart in sides)


def _first_places(space: Sequence[int]) -> list[tuple[int, ...]]:
    """Returns the first place and its neighbour along the last axis."""
    return list(places_of(*[range(1)] * (len(space) - 1), range(min(2, space[-1]))))


def _grid(values: Tensor) -> Grid:
    """Returns the first plane as rows."""
    while values.ndim > 2:
        values = values[0]
    return tuple(tuple(row) for row in (values if values.ndim == 2 else values[None]).tolist())


def _sides(value: Any, count: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


# ---- arguments ---------------------------------------------------------------------------------------------------

_SHOWN = {
    CONVOLUTIONS: ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"),
    MAXIMA: ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    AVERAGES: ("kernel_size", "stride", "padding", "ceil_mode"),
    NORMS: ("num_features", "eps", "momentum", "affine"),
    (nn.Linear,): ("in_features", "out_features", "bias"),
}


def _kwargs(module: nn.Module) -> dict[str, Any]:
    names = next((names for kinds, names in _SHOWN.items() if isinstance(module, kinds)), ())
    return {name: getattr(module, name) is not None if name == "bias" else getattr(module, name) for name in names}


def _arguments(module: nn.Module) -> dict[str, str]:
    return {name: _text(value) for name, value in _kwargs(module).items()}


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return str(value[0]) if len(set(value)) == 1 else "×".join(map(str, value))
    return str(value)


def _variants(module: nn.Module, layer: Layer) -> Iterator[Variant]:
    """Yields the layer as it is, then with one argument changed at a time, each really built and run on shapes alone."""
    given = _kwargs(module)
    kind = next((kind for kinds in _SHOWN for kind in kinds if isinstance(module, kind)), None)
    if kind is None:
        return
    yield _variant(kind, given, "", "", layer)
    for name, values in _changes(module, layer):
        for value in values:
            if _text(value) != _text(given[name]):
                yield _variant(kind, {**given, name: value}, name, _text(value), layer)


def _changes(module: Any, layer: Layer) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(module, CONVOLUTIONS):
        channels = layer.input[0]
        yield "kernel_size", [1, 3, 5, 7]
        yield "stride", [1, 2, 3]
        yield "padding", [0, 1, 2, "same"]
        yield "dilation", [1, 2, 3]
        yield "groups", [groups for groups in (1, 2, 4, channels) if channels % groups == module.out_channels % groups == 0]
        yield "bias", [True, False]
    elif isinstance(module, MAXIMA + AVERAGES):
        yield "kernel_size", [2, 3, 4]
        yield "stride", [1, 2, 3]
        yield "padding", [0, 1]
        if isinstance(module, MAXIMA):
            yield "dilation", [1, 2]
        yield "ceil_mode", [False, True]
    elif isinstance(module, NORMS):
        yield "affine", [True, False]
    elif isinstance(module, nn.Linear):
        yield "out_features", sorted({max(1, module.out_features // 2), 2 * module.out_features})
        yield "bias", [True, False]


def _variant(kind: Callable[..., nn.Module], options: dict[str, Any], name: str, value: str, layer: Layer) -> Variant:
    try:
        with torch.device("meta"):
            network = nn.Sequential(kind(**options))
    except (ValueError, RuntimeError):
        return Variant(argument=name, value=value, output=None)
    found = attempt(network, layer.input)
    if found.failure is not None:
        return Variant(argument=name, value=value, output=None)
    step = found.anatomy.layers[0]
    facts = {key: getattr(step, key) for key in ("output", "parameters", "multiply_adds", "receptive_field")}
    return Variant(argument=name, value=value, **facts)

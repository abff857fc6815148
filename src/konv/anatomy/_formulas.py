"""The arithmetic of a layer, written with its numbers: output size, parameters, multiply-adds."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from konv.anatomy._tracing import Step, function_name
from konv.anatomy._windows import Spread, Window, along, padding_of, parted, sides_of, slid
from konv.models._layers import Flatten


@dataclass(frozen=True)
class Told:
    """What the formulas of a step say; shapes and counts are of the whole batch, for comparison with what was measured."""

    formula: str
    output: tuple[int, ...] | None = None  # None: the real output is taken
    multiply_adds: int | None = None  # None: the measured count is taken
    products: str = ""  # the multiply-adds of one sample
    counted: bool = True  # False: torch does not count these operations, the formula stands alone


def told(step: Step) -> Told:
    """Returns the formulas of a step; a step without one of its own is told by its real output."""
    rule = _FORWARD.get(type(step.module).forward) if step.module is not None else _FUNCTIONS.get(function_name(step.function))
    found = rule(step) if rule is not None and step.input_shapes and step.output_shapes else None
    return found or Told(_real(step))


def parameters_formula(shapes: Sequence[Sequence[int]]) -> str:
    """Returns `64·32·3·3 + 64` for a weight and a bias; the same term many times is written once."""
    terms = Counter(product(shape) for shape in shapes)
    return " + ".join(
        term if count == 1 else f"{count}·({term})" if "·" in term else f"{count}·{term}" for term, count in terms.items()
    )


def product(numbers: Sequence[int]) -> str:
    return "·".join(map(str, numbers)) or "1"


def cross(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"


def _real(step: Step) -> str:
    first = step.input_shapes[0][1:] if step.input_shapes else ()
    after = step.output_shapes[0][1:] if step.output_shapes else ()
    return f"{cross(first)} → {cross(after)}"


# ---- windows -----------------------------------------------------------------------------------------------------


def _convolution(step: Step, weight: Sequence[int], stride: Any, padding: Any, dilation: Any) -> Told:
    outputs, inputs, *kernel = weight  # inputs: of one group
    count = len(kernel)
    steps, apart = sides_of(stride, count), sides_of(dilation, count)
    pads = padding_of(padding, kernel, apart)
    windows = [Window(*sides[:2], *sides[2], sides[3]) for sides in zip(kernel, steps, pads, apart, strict=True)]
    before = step.input_shapes[0]
    space, text = slid(before[-count:], windows)
    lead = before[: -count - 1]
    total = prod(lead) * outputs * prod(space) * inputs * prod(kernel)
    return Told(text, (*lead, outputs, *space), total, f"{product((outputs, *space))} · {product((inputs, *kernel))}")


def _transposed(step: Step, weight: Sequence[int], stride: Any, padding: Any, dilation: Any, extra: Any, groups: int) -> Told:
    _, outputs, *kernel = weight  # outputs: of one group
    count = len(kernel)
    before, after = step.input_shapes[0], step.output_shapes[0]
    sides = list(
        zip(
            kernel,
            sides_of(stride, count),
            sides_of(padding, count),
            sides_of(dilation, count),
            sides_of(extra, count),
            strict=True,
        )
    )
    spreads = [Spread(*numbers) for numbers in sides]
    space = tuple(spread.size(length) for spread, length in zip(spreads, before[-count:], strict=True))
    text = along([spread.text(length) for spread, length in zip(spreads, before[-count:], strict=True)])
    lead = after[: -count - 1]
    total = prod(lead) * prod(before[-count:]) * prod(weight)
    return Told(text, (*lead, outputs * groups, *space), total, f"{product(before[-count:])} · {product(weight)}")


def _pool(step: Step, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, count: int) -> Told:
    kernels = sides_of(kernel, count)
    parts = zip(kernels, sides_of(stride or kernel, count), sides_of(padding, count), sides_of(dilation, count), strict=True)
    windows = [Window(side, step_, pad, pad, apart, ceil) for side, step_, pad, apart in parts]
    before = step.input_shapes[0]
    space, text = slid(before[-count:], windows)
    return Told(text, (*before[:-count], *space), 0)


def _adaptive(step: Step, wanted: Any, count: int) -> Told:
    before = step.input_shapes[0]
    space = before[-count:]
    sizes = tuple(length if size is None else size for size, length in zip(sides_of(wanted, count), space, strict=True))
    texts = [parted(length, parts) for length, parts in zip(space, sizes, strict=True)]
    return Told(along(texts), (*before[:-count], *sizes), 0)


# ---- layers ------------------------------------------------------------------------------------------------------


def _conv_layer(step: Step) -> Told:
    layer: Any = step.module
    return _convolution(step, layer.weight.shape, layer.stride, layer.padding, layer.dilation)


def _transposed_layer(step: Step) -> Told:
    layer: Any = step.module
    extra = layer.output_padding
    if len(step.given) > 1 or step.named.get("output_size") is not None:  # the caller named the size: padding follows from it
        plain = _transposed(step, layer.weight.shape, layer.stride, layer.padding, layer.dilation, 0, layer.groups)
        assert plain.output is not None
        extra = tuple(real - base for real, base in zip(step.output_shapes[0][2:], plain.output[2:], strict=True))
    return _transposed(step, layer.weight.shape, layer.stride, layer.padding, layer.dilation, extra, layer.groups)


def _max_pool_layer(count: int) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        layer: Any = step.module
        return _pool(step, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, count)

    return tell


def _average_pool_layer(count: int) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        layer: Any = step.module
        return _pool(step, layer.kernel_size, layer.stride, getattr(layer, "padding", 0), 1, layer.ceil_mode, count)

    return tell


def _adaptive_layer(count: int) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        layer: Any = step.module
        return _adaptive(step, layer.output_size, count)

    return tell


def _unpool_layer(count: int) -> Callable[[Step], Told | None]:
    def tell(step: Step) -> Told | None:
        if len(step.given) > 2 or step.named.get("output_size") is not None:
            return None
        layer: Any = step.module
        before = step.input_shapes[0]
        sides = zip(
            sides_of(layer.kernel_size, count), sides_of(layer.stride, count), sides_of(layer.padding, count), strict=True
        )
        spreads = [Spread(kernel, stride, padding, 1, 0) for kernel, stride, padding in sides]
        pairs = list(zip(spreads, before[-count:], strict=True))
        space = tuple(spread.size(length) for spread, length in pairs)
        return Told(along([spread.text(length) for spread, length in pairs]), (*before[:-count], *space), 0)

    return tell


def _linear(step: Step, weight: Sequence[int]) -> Told:
    outputs, inputs = weight
    before = step.input_shapes[0]
    repeats = before[1:-1]
    lead = f"{product(repeats)} · " if repeats else ""
    return Told(
        f"{cross(before[1:])} → {cross((*repeats, outputs))}",
        (*before[:-1], outputs),
        prod(before[:-1]) * inputs * outputs,
        f"{lead}{product((outputs, inputs))}",
    )


def _linear_layer(step: Step) -> Told:
    layer: Any = step.module
    return _linear(step, layer.weight.shape)


def _norm_layer(step: Step) -> Told:
    layer: Any = step.module
    affine = getattr(layer, "weight", None) is not None
    shift = " + β" if getattr(layer, "bias", None) is not None else ""
    return Told(f"(x − μ)/√(σ² + {layer.eps:g}){'·γ' if affine else ''}{shift}", step.input_shapes[0], 0)


def _recurrent(step: Step) -> Told:
    """Every weight matrix is used once per time step and sample."""
    layer: Any = step.module
    before = step.input_shapes[0]
    samples, steps = (
        (1, before[0]) if len(before) == 2 else (before[0], before[1]) if layer.batch_first else (before[1], before[0])
    )
    matrices = [tuple(weight.shape) for name, weight in layer.named_parameters() if name.startswith("weight")]
    width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
    return Told(
        f"{steps}×{before[-1]} → {steps}×{width}",
        (*before[:-1], width),
        samples * steps * sum(map(prod, matrices)),
        f"{steps}·({parameters_formula(matrices)})",
        counted=False,
    )


def _recurrent_cell(step: Step) -> Told:
    layer: Any = step.module
    before = step.input_shapes[0]
    matrices = [tuple(layer.weight_ih.shape), tuple(layer.weight_hh.shape)]
    samples = before[0] if len(before) == 2 else 1
    total = samples * sum(map(prod, matrices))
    return Told(
        f"{before[-1]} → {layer.hidden_size}", (*before[:-1], layer.hidden_size), total, parameters_formula(matrices), False
    )


def _attention(step: Step) -> Told | None:
    """The four projections, the scores and the weighted mean."""
    layer: Any = step.module
    if len(step.input_shapes) < 3 or len(step.input_shapes[0]) != 3:
        return None
    long = 1 if layer.batch_first else 0
    asked, offered, width = step.input_shapes[0][long], step.input_shapes[1][long], layer.embed_dim
    keys, values = layer.kdim, layer.vdim
    terms = [
        f"2·{asked}·{width}·{width}",
        f"{offered}·{keys}·{width}",
        f"{offered}·{values}·{width}",
        f"2·{asked}·{offered}·{width}",
    ]
    return Told(f"{asked}×{width} → {asked}×{width}", step.input_shapes[0], None, " + ".join(terms))


def _embedding(step: Step) -> Told:
    layer: Any = step.module
    before = step.input_shapes[0]
    return Told(f"{cross(before[1:])} → {cross((*before[1:], layer.embedding_dim))}", (*before, layer.embedding_dim), 0)


def _flatten_layer(step: Step) -> Told:
    layer: Any = step.module
    return _flattened(step, layer.start_dim, layer.end_dim)


def _flattened(step: Step, start: int, end: int) -> Told:
    before = step.input_shapes[0]
    first, last = start % len(before), end % len(before)
    joined = prod(before[first : last + 1])
    return Told(f"{product(before[first : last + 1])} = {joined}", (*before[:first], joined, *before[last + 1 :]), 0)


# ---- functions ---------------------------------------------------------------------------------------------------


def _arguments(step: Step, *names: str, **defaults: Any) -> list[Any]:
    """Returns the arguments behind the input by these names, given by place or by name."""
    given = dict(zip(names, step.given[1:], strict=False))
    return [given.get(name, step.named.get(name, defaults.get(name))) for name in names]


def _conv_function(step: Step) -> Told:
    names = ("weight", "bias", "stride", "padding", "dilation", "groups")
    weight, _, stride, padding, dilation, _ = _arguments(step, *names, stride=1, padding=0, dilation=1)
    return _convolution(step, weight, stride, padding, dilation)


def _transposed_function(step: Step) -> Told:
    names = ("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    weight, _, stride, padding, extra, groups, dilation = _arguments(step, *names, **defaults)
    return _transposed(step, weight, stride, padding, dilation, extra, groups)


def _max_pool_function(count: int) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        kernel, stride, padding, dilation, ceil = _arguments(step, *names, padding=0, dilation=1, ceil_mode=False)
        return _pool(step, kernel, stride, padding, dilation, ceil, count)

    return tell


def _average_pool_function(count: int) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        names = ("kernel_size", "stride", "padding", "ceil_mode")
        kernel, stride, padding, ceil = _arguments(step, *names, padding=0, ceil_mode=False)
        return _pool(step, kernel, stride, padding, 1, ceil, count)

    return tell


def _adaptive_function(count: int) -> Callable[[Step], Told]:
    return lambda step: _adaptive(step, _arguments(step, "output_size")[0], count)


def _linear_function(step: Step) -> Told:
    return _linear(step, _arguments(step, "weight")[0])


def _flatten_function(step: Step) -> Told:
    start, end = _arguments(step, "start_dim", "end_dim", start_dim=0, end_dim=-1)
    return _flattened(step, start, end)


def _cat(step: Step) -> Told:
    place = _arguments(step, "dim", dim=0)[0] % len(step.output_shapes[0])
    parts = [shape[place] for shape in step.input_shapes if len(shape) == len(step.output_shapes[0])]
    after = step.output_shapes[0]
    return Told(f"{' + '.join(map(str, parts))} = {sum(parts)}", (*after[:place], sum(parts), *after[place + 1 :]), 0)


def _elementwise(sign: str) -> Callable[[Step], Told]:
    def tell(step: Step) -> Told:
        shapes = [cross(shape[1:]) for shape in step.input_shapes]
        return Told(f" {sign} ".join(shapes) if len(shapes) > 1 else _real(step), None, 0)

    return tell


def _view(step: Step) -> Told:
    before, after = step.input_shapes[0], step.output_shapes[0]
    return Told(f"{product(before[1:])} = {product(after[1:])}", None, 0)


_DIMENSIONS: tuple[tuple[int, Any, Any, Any, Any, Any, Any, Any], ...] = (
    (1, nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d, nn.MaxUnpool1d),
    (2, nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, nn.MaxUnpool2d),
    (3, nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveMaxPool3d, nn.AdaptiveAvgPool3d, nn.MaxUnpool3d),
)

_FORWARD: dict[Any, Callable[[Step], Told | None]] = {  # by forward, not by class: a subclass may compute something else
    nn.Linear.forward: _linear_layer,
    nn.Flatten.forward: _flatten_layer,
    Flatten.forward: _flatten_layer,
    nn.Embedding.forward: _embedding,
    nn.RNN.forward: _recurrent,
    nn.LSTM.forward: _recurrent,
    nn.GRU.forward: _recurrent,
    nn.RNNCell.forward: _recurrent_cell,
    nn.LSTMCell.forward: _recurrent_cell,
    nn.GRUCell.forward: _recurrent_cell,
    nn.MultiheadAttention.forward: _attention,
    nn.LayerNorm.forward: _norm_layer,
    nn.GroupNorm.forward: _norm_layer,
    nn.BatchNorm2d.forward: _norm_layer,  # one forward serves all three
    nn.InstanceNorm2d.forward: _norm_layer,
}
_FUNCTIONS: dict[str, Callable[[Step], Told | None]] = {
    "linear": _linear_function,
    "flatten": _flatten_function,
    "cat": _cat,
    "concat": _cat,
    "add": _elementwise("+"),
    "sub": _elementwise("−"),
    "mul": _elementwise("·"),
    "view": _view,
    "reshape": _view,
}
for _count, _conv, _spread, _max, _average, _adaptive_max, _adaptive_average, _unpool in _DIMENSIONS:
    _FORWARD |= {
        _conv.forward: _conv_layer,
        _spread.forward: _transposed_layer,
        _max.forward: _max_pool_layer(_count),
        _average.forward: _average_pool_layer(_count),
        _adaptive_max.forward: _adaptive_layer(_count),
        _adaptive_average.forward: _adaptive_layer(_count),
        _unpool.forward: _unpool_layer(_count),
    }
    _FUNCTIONS |= {
        f"conv{_count}d": _conv_function,
        f"conv_transpose{_count}d": _transposed_function,
        f"max_pool{_count}d": _max_pool_function(_count),
        f"avg_pool{_count}d": _average_pool_function(_count),
        f"adaptive_max_pool{_count}d": _adaptive_function(_count),
        f"adaptive_avg_pool{_count}d": _adaptive_function(_count),
    }

"""How each of torch's operations changes the fields of what it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, prod
from typing import Any

import torch

from konv.anatomy._field import Atom, Axis, Field, Lost


@dataclass(frozen=True)
class Call:
    """One of torch's operations as it was called, with the fields of what came in."""

    name: str
    given: tuple[Any, ...]
    named: dict[str, Any]
    fields: list[Field]  # of the tensors that follow from the input
    placed: list[Field | None]  # the same by position of the argument

    @property
    def first(self) -> Field:
        return self.fields[0]

    def at(self, position: int, name: str = "", default: Any = None) -> Any:
        return self.given[position] if position < len(self.given) else self.named.get(name, default)


Rule = Callable[[Call, tuple[int, ...]], Field]


def rule_of(name: str, operation: Any) -> Rule:
    """Returns how the field of the output follows from the fields of the inputs."""
    if name in _RULES:
        return _RULES[name]
    if name.startswith(("upsample_", "_upsample_")):
        return _upsample
    if name in _POINTWISE or torch.Tag.pointwise in operation.tags:
        return _together
    return _constant


# ---- windows -----------------------------------------------------------------------------------------------------


def _convolution(call: Call, shape: tuple[int, ...]) -> Field:
    weight, stride, padding, dilation = call.given[1], call.given[3], call.given[4], call.given[5]
    transposed, kernel = call.given[6], tuple(weight.shape[2:])
    if call.placed[0] is None:
        return _everything(call, shape)
    window = _transposed if transposed else _slid
    return _over_space(call.first, shape, window, kernel, stride, padding, dilation)


def _pool(call: Call, shape: tuple[int, ...]) -> Field:
    kernel = call.given[1]
    stride, padding = call.at(2, "stride") or kernel, call.at(3, "padding", [0])
    dilation = call.at(4, "dilation", [1]) if "max" in call.name else [1]
    return _over_space(call.first, shape, _slid, kernel, stride, padding, dilation)


def _over_space(field: Field, shape: tuple[int, ...], window: Any, kernel: Sequence[int], *rest: Sequence[int]) -> Field:
    """Applies a window to the last dimensions; those before them that run along an axis are mixed by a convolution."""
    count = len(kernel)
    first = len(shape) - count
    field = _mixed(field, range(1, first))
    axes, layout = list(field.axes), _plain(shape)
    for place in range(count):
        atoms = field.layout[first + place]
        sides = [kernel[place], *(part[place % len(part)] for part in rest)]
        for axis in _moving(field, atoms):
            if len(atoms) > 1:
                raise Lost
            axes[axis] = window(axes[axis], shape[first + place], *sides)
            layout[first + place] = (Atom(shape[first + place], axis),)
    layout[0] = field.layout[0] if first > 1 else layout[0]
    return Field(tuple(axes), tuple(layout))


def _slid(axis: Axis, length: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    reach = (kernel - 1) * dilation
    start = axis.start + (Fraction(reach, 2) - padding) * axis.stride
    return Axis(axis.size + reach * axis.stride, axis.stride * stride, start, length)


def _transposed(axis: Axis, length: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """Each output value meets ⌈kernel / (stride / common)⌉ taps of the kernel, on inputs dilation / common apart."""
    common = gcd(stride, dilation)
    taps = -(-kernel // (stride // common))
    size = axis.size + (taps - 1) * (dilation // common) * axis.stride
    start = axis.start + Fraction(2 * padding - (kernel - 1) * dilation, 2 * stride) * axis.stride
    return Axis(size, axis.stride / stride, start, length)


def _adaptive(call: Call, shape: tuple[int, ...]) -> Field:
    outputs = call.given[1]
    field, count = call.first, len(call.given[1])
    axes, layout = list(field.axes), list(field.layout)
    for place in range(len(shape) - count, len(shape)):
        for axis in _moving(field, field.layout[place]):
            if len(field.layout[place]) > 1:
                raise Lost
            axes[axis] = _parted(axes[axis], outputs[place - len(shape)])
            layout[place] = (Atom(outputs[place - len(shape)], axis),)
        if not _moving(field, field.layout[place]):
            layout[place] = (Atom(shape[place]),)
    return Field(tuple(axes), tuple(layout))


def _parted(axis: Axis, parts: int) -> Axis:
    """Part i of n takes the values from ⌊i·length/n⌋ to ⌈(i + 1)·length/n⌉."""
    widest = max(-(-(part + 1) * axis.length // parts) - part * axis.length // parts for part in range(parts))
    first = -(-axis.length // parts)
    start = axis.start + Fraction(first - 1, 2) * axis.stride
    stride = axis.stride * Fraction(axis.length, parts) if parts > 1 else Fraction(0)
    return Axis(axis.size + (widest - 1) * axis.stride, stride, start, parts)


def _upsample(call: Call, shape: tuple[int, ...]) -> Field:
    """Nearest takes one neighbour, linear two, cubic four; corners that are aligned are not followed."""
    taps = 1 if "nearest" in call.name else 4 if "cubic" in call.name else 2
    if taps > 1 and (call.at(2, "align_corners") or call.name.endswith("_aa")):
        raise Lost
    field = call.first
    axes, layout = list(field.axes), [*field.layout[:1], *_plain(shape)[1:]]
    for place in range(2, len(shape)):
        for axis in _moving(field, field.layout[place]):
            old = axes[axis]
            stride = old.stride * Fraction(old.length, shape[place])
            size = old.size + (taps - 1) * old.stride
            axes[axis] = Axis(size, stride, old.start + (stride - old.stride) / 2, shape[place])
            layout[place] = (Atom(shape[place], axis),)
    return Field(tuple(axes), tuple(layout))


def _unpool(call: Call, shape: tuple[int, ...]) -> Field:
    return _upsample(replace(call, name="nearest"), shape)


def _pad(call: Call, shape: tuple[int, ...]) -> Field:
    widths = call.given[1]
    field = call.first
    axes, layout = list(field.axes), list(field.layout)
    for number in range(len(widths) // 2):
        place = len(shape) - 1 - number
        for axis in _moving(field, field.layout[place]):
            old = axes[axis]
            axes[axis] = replace(old, start=old.start - widths[2 * number] * old.stride, length=shape[place])
            layout[place] = (Atom(shape[place], axis),)
        if not _moving(field, field.layout[place]):
            layout[place] = (Atom(shape[place]),)
    return Field(tuple(axes), tuple(layout))


def _plain(shape: tuple[int, ...]) -> list[tuple[Atom, ...]]:
    """Returns dimensions that run along no axis."""
    return [(Atom(length),) for length in shape]


# ---- mixing ------------------------------------------------------------------------------------------------------


def _moving(field: Field, atoms: tuple[Atom, ...]) -> list[int]:
    """Returns the axes that these atoms run along and on which neighbours see different parts."""
    return [atom.axis for atom in atoms if atom.axis is not None and field.axes[atom.axis].stride]


def _mixed(field: Field, dimensions: Sequence[int]) -> Field:
    """Returns the field of values that each depend on all of these dimensions."""
    axes = list(field.axes)
    for dimension in dimensions:
        for axis in _moving(field, field.layout[dimension]):
            axes[axis] = _whole(axes[axis])
    return replace(field, axes=tuple(axes))


def _whole(axis: Axis) -> Axis:
    reach = (axis.length - 1) * axis.stride
    return Axis(axis.size + reach, Fraction(0), axis.start + reach / 2, 1)


def _everything(call: Call, shape: tuple[int, ...]) -> Field:
    """Each value depends on all that came in: matrix products of features, attention, recurrent layers."""
    fields = [replace(field, axes=tuple(_whole(axis) for axis in field.axes)) for field in call.fields]
    return Field(_axes_of(fields), tuple(_plain(shape)))


def _constant(call: Call, shape: tuple[int, ...]) -> Field:
    """An operation without a rule is followed only where every value sees the same anyway."""
    if any(axis.stride for field in call.fields for axis in field.axes):
        raise Lost
    return _everything(call, shape)


def _matrix(call: Call, shape: tuple[int, ...]) -> Field:
    """Rows times a matrix of weights: the last dimension is mixed, the rows stay apart."""
    left = 1 if call.name in ("addmm", "baddbmm") else 0
    field = call.placed[left]
    if field is None or len(call.fields) > 1:
        return _everything(call, shape)
    field = _mixed(field, [len(shape) - 1])
    return replace(field, layout=(*field.layout[:-1], (Atom(shape[-1]),)))


def _reduced(call: Call, shape: tuple[int, ...]) -> Field:
    dimensions = call.at(1, "dim")
    field, count = call.first, len(call.first.layout)
    if isinstance(dimensions, int):
        dimensions = [dimensions]
    mixed = {place % count for place in dimensions} if dimensions else set(range(count))
    field = _mixed(field, sorted(mixed))
    kept = len(shape) == count
    layout = [(Atom(1),) if place in mixed else atoms for place, atoms in enumerate(field.layout) if kept or place not in mixed]
    return replace(field, layout=tuple(layout))


def _softmax(call: Call, shape: tuple[int, ...]) -> Field:
    return _mixed(call.first, [call.given[1] % len(shape)])


def _together(call: Call, shape: tuple[int, ...]) -> Field:
    """Values at the same place: the widest of what they see."""
    layout: list[tuple[Atom, ...]] = []
    for place in range(-len(shape), 0):
        known = [field.layout[place] for field in call.fields if len(field.layout) >= -place]
        fitting = [atoms for atoms in known if prod(atom.length for atom in atoms) == shape[place]]
        layout.append(
            max(fitting, key=lambda atoms: sum(atom.axis is not None for atom in atoms), default=(Atom(shape[place]),))
        )
    return Field(_axes_of(call.fields), tuple(layout))


def _axes_of(fields: list[Field]) -> tuple[Axis, ...]:
    if len({len(field.axes) for field in fields}) > 1:
        raise Lost
    return tuple(_widest([field.axes[number] for field in fields]) for number in range(len(fields[0].axes)))


def _widest(axes: list[Axis]) -> Axis:
    moving = [axis for axis in axes if axis.stride]
    longest = max((axis.length for axis in moving), default=1)
    moving = [axis for axis in moving if longest in (axis.length, 1)]
    if len({axis.stride for axis in moving}) > 1:
        raise Lost
    first = (moving or axes)[0]
    alike = moving or axes
    low = min(axis.start - (axis.size - 1) / 2 for axis in alike)
    high = max(axis.start + (axis.size - 1) / 2 for axis in alike)
    size = max(high - low + 1, *(axis.size for axis in axes)) if len(axes) > 1 else high - low + 1
    return Axis(size, first.stride, (low + high) / 2, first.length)


# ---- other shapes ------------------------------------------------------------------------------------------------


def _cat(call: Call, shape: tuple[int, ...]) -> Field:
    place = call.at(1, "dim", 0) % len(shape)
    if any(_moving(field, field.layout[place]) for field in call.fields):
        raise Lost
    joined = _together(call, shape)
    return replace(joined, layout=(*joined.layout[:place], (Atom(shape[place]),), *joined.layout[place + 1 :]))


def _cut(call: Call, shape: tuple[int, ...]) -> Field:
    """split, split_with_sizes, narrow: the same along dimensions that do not move."""
    place = call.at(2, "dim", 0) % len(shape)
    return _without(call.first, place, shape)


def _without(field: Field, place: int, shape: tuple[int, ...]) -> Field:
    if _moving(field, field.layout[place]):
        raise Lost
    return replace(field, layout=(*field.layout[:place], (Atom(shape[place]),), *field.layout[place + 1 :]))


def _slice(call: Call, shape: tuple[int, ...]) -> Field:
    place = call.at(1, "dim", 0) % len(shape)
    begin, step = call.at(2, "start", 0) or 0, call.at(4, "step", 1)
    field = call.first
    for axis in _moving(field, field.layout[place]):
        if len(field.layout[place]) > 1:
            raise Lost
        old = field.axes[axis]
        begin = begin + old.length if begin < 0 else begin
        made = Axis(old.size, old.stride * step, old.start + begin * old.stride, shape[place])
        axes = (*field.axes[:axis], made, *field.axes[axis + 1 :])
        return Field(axes, (*field.layout[:place], (Atom(shape[place], axis),), *field.layout[place + 1 :]))
    return _without(field, place, shape)


def _select(call: Call, _: tuple[int, ...]) -> Field:
    field = call.first
    place, index = call.given[1] % len(field.layout), call.given[2]
    axes = list(field.axes)
    for axis in _moving(field, field.layout[place]):
        if len(field.layout[place]) > 1:
            raise Lost
        old = axes[axis]
        axes[axis] = Axis(old.size, Fraction(0), old.start + (index % old.length) * old.stride, 1)
    return Field(tuple(axes), (*field.layout[:place], *field.layout[place + 1 :]))


def _permute(call: Call, _: tuple[int, ...]) -> Field:
    return replace(call.first, layout=tuple(call.first.layout[place] for place in call.given[1]))


def _transpose(call: Call, shape: tuple[int, ...]) -> Field:
    places = list(range(len(shape)))
    one, other = (call.given[1:3]) if call.name == "transpose" else (0, -1)
    places[one], places[other] = places[other], places[one]
    return replace(call.first, layout=tuple(call.first.layout[place] for place in places))


def _unsqueeze(call: Call, shape: tuple[int, ...]) -> Field:
    place, layout = call.given[1] % len(shape), call.first.layout
    return replace(call.first, layout=(*layout[:place], (Atom(1),), *layout[place:]))


def _expand(call: Call, shape: tuple[int, ...]) -> Field:
    field = call.first
    layout = _plain(shape)
    axes = list(field.axes)
    for place in range(-len(field.layout), 0):
        old = field.layout[place]
        if prod(atom.length for atom in old) == shape[place]:
            layout[place] = old
        for axis in _moving(field, old) if layout[place] != old else []:
            axes[axis] = _whole(axes[axis])
    return Field(tuple(axes), tuple(layout))


def _reshape(call: Call, shape: tuple[int, ...]) -> Field:
    """Deals the atoms out again in their order; an atom that runs along an axis cannot be split."""
    field = call.first
    atoms = [atom for dimension in field.layout for atom in dimension]
    layout: list[tuple[Atom, ...]] = []
    for length in shape:
        taken: list[Atom] = []
        while prod(atom.length for atom in taken) < length:
            atom, missing = atoms.pop(0), length // prod(part.length for part in taken)
            if atom.length > missing:
                atom, rest = _split(field, atom, missing)
                atoms.insert(0, rest)
            taken.append(atom)
        if not taken and atoms and atoms[0].length == 1:
            taken.append(atoms.pop(0))
        layout.append(_tidy(taken))
    layout[-1:] = [_tidy([*layout[-1], *atoms])] if layout else []
    if [prod(atom.length for atom in dimension) for dimension in layout] != list(shape):
        raise Lost
    return replace(field, layout=tuple(layout))


def _tidy(atoms: list[Atom]) -> tuple[Atom, ...]:
    """Leaves out factors of one that run along no axis."""
    return tuple(atom for atom in atoms if atom != Atom(1)) or (Atom(1),)


def _split(field: Field, atom: Atom, first: int) -> tuple[Atom, Atom]:
    if _moving(field, (atom,)) or atom.length % first:
        raise Lost
    return Atom(first), Atom(atom.length // first)


def _shuffled(call: Call, shape: tuple[int, ...]) -> Field:
    """pixel_shuffle: channels become r·r pixels where there was one."""
    return _upsample(replace(call, name="nearest"), shape)


_POINTWISE = {
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "miopen_batch_norm", "batch_norm_with_update", "_batch_norm_with_update", "native_layer_norm", "native_group_norm",
    "_fused_rms_norm", "hardswish", "prelu", "_prelu_kernel", "rrelu_with_noise", "_to_copy", "alias", "detach", "lift_fresh",
    "contiguous", "channel_shuffle", "native_channel_shuffle", "native_dropout", "copy", "fill", "log_sigmoid_forward",
}  # fmt: skip

_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"), _pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"), _adaptive),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), _unpool),
    **{f"{kind}_pad{dimensions}d": _pad for kind in ("reflection", "replication") for dimensions in (1, 2, 3)},
    "constant_pad_nd": _pad,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "var", "std", "logsumexp", "var_mean"), _reduced),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _matrix),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _softmax),
    "cat": _cat,
    **dict.fromkeys(("split", "split_with_sizes"), _cut),
    "slice": _slice,
    "select": _select,
    "permute": _permute,
    **dict.fromkeys(("transpose", "t"), _transpose),
    "unsqueeze": _unsqueeze,
    "expand": _expand,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze"), _reshape),
    "pixel_shuffle": _shuffled,
    **{
        f"_scaled_dot_product_{kind}": _everything
        for kind in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
            "fused_attention_overrideable",
            "attention_math",
        )
    },
    **dict.fromkeys(("mkldnn_rnn_layer", "_cudnn_rnn", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"), _everything),
}

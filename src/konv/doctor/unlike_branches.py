"""Two branches meet, in an addition or a concatenation, with shapes that do not fit."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits
from konv.doctor._edits import with_made, without

RANK = 50
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} was given {shapes}, which do not fit each other.",
        "why": "{steps}. They differ along axis {axis}: {first} and {second}.",
        "fix": "Make both branches give the same shape: the same number of channels, stride and padding.",
    },
    "ko": {
        "what": "{layer}에 들어온 모양이 서로 맞지 않습니다: {shapes}.",
        "why": "{steps}. {axis}번 축의 길이가 다릅니다: {first}, {second}.",
        "fix": "두 갈래의 채널 수, 스트라이드, 패딩을 맞추어 같은 모양이 나오게 하세요.",
    },
}
JOINING = {"add", "sub", "mul", "truediv", "div", "cat", "concat", "stack", "maximum", "minimum"}


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None or case.failure.function not in JOINING or len(case.taken) < 2:
        return
    first, second = next(_unlike(case.taken), (case.taken[0], case.taken[1]))
    axis = next((axis for axis, sides in enumerate(zip(first.shape, second.shape, strict=False)) if sides[0] != sides[1]), None)
    sides = (first.shape[axis], second.shape[axis]) if axis is not None else (first.ndim, second.ndim)
    numbers = {
        "shapes": ", ".join(shown(tensor.shape) for tensor in case.taken), "axis": 0 if axis is None else axis,
        "first": sides[0], "second": sides[1],
    }  # fmt: skip
    candidates = (*_other_axis(case), *_fitted(case))
    yield Suspicion(case.failing, numbers, len(case.steps), case.stopped_at, candidates)


def _unlike(tensors: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    for tensor in tensors[1:]:
        if tensor.shape != tensors[0].shape:
            yield tensors[0], tensor


def _other_axis(case: Case) -> Iterator[Edits]:
    """A concatenation along the channels joins branches of the same map."""
    code = case.code
    call = code.call(case.stopped_at[0]) if code and case.stopped_at else None
    if code is not None and call is not None and case.failure is not None and case.failure.function in ("cat", "concat"):
        yield (code.with_argument(call, "dim", 1, "1"),)


def _fitted(case: Case) -> Iterator[Edits]:
    """Yields the corrections of one layer of one branch, after which it might give what the other gives."""
    paths = [[number for start in starts for number in case.before(start)] for starts in case.failed_from]
    common = set.intersection(*map(set, paths))
    for tensor, path in zip(case.taken, paths, strict=True):
        for other in case.taken:
            if other is not tensor and other.shape != tensor.shape and tensor.ndim == other.ndim > 1:
                own = [number for number in path if number not in common]
                yield from _layers_fitted(case, own, tensor.shape, other.shape)


def _layers_fitted(case: Case, path: list[int], own: Any, other: Any) -> Iterator[Edits]:
    norms: list[Edits] = []
    for number in path:
        step = case.steps[number]
        module: Any = step.module
        if module is None:
            continue
        yield from _moved(case, step.name, module, own, other)
        if "Pool" in step.kind and own[2:] != other[2:]:
            yield from without(case, step.name, step.spans)
        name, axis = ("out_features", -1) if hasattr(module, "out_features") else ("out_channels", 1)
        if own[axis] == other[axis]:
            continue
        if getattr(module, "num_features", None) == own[1]:
            norms += list(with_made(case, step.name, module, num_features=other[1]))[:1]
        if getattr(module, name, None) == own[axis]:
            for edits in with_made(case, step.name, module, **{name: other[axis]}):
                yield (*edits, *(edit for norm in norms for edit in norm))
            return


def _moved(case: Case, name: str, module: nn.Module, own: Any, other: Any) -> Iterator[Edits]:
    """Yields other paddings and strides where the maps have other sides."""
    kernel: Any = getattr(module, "kernel_size", None)
    if kernel is None or own[2:] == other[2:]:
        return
    side = kernel if isinstance(kernel, int) else kernel[0]
    stride: Any = getattr(module, "stride", 1)
    stride = stride if isinstance(stride, int) else stride[0]
    if own[2] < other[2]:
        yield from with_made(case, name, module, padding=side // 2)
        if stride > 1:
            yield from with_made(case, name, module, stride=1)
    else:
        yield from with_made(case, name, module, stride=max(2, round(own[2] / other[2])) * stride)
        yield from with_made(case, name, module, padding=0)

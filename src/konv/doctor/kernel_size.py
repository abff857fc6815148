"""A kernel is larger than what it slides over, so no place is left for it."""

from collections.abc import Iterator
from typing import Any

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits
from konv.doctor._edits import made_at, with_made, without, written

RANK = 55
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) was given {got}; its kernel spans {spans} and finds {room} with padding.",
        "why": "{steps}. (n − d·(k − 1) − 1 + 2·p)/s + 1 gives {sum}: less than one value is left.",
        "fix": "Take a smaller kernel, more padding, or one step fewer that halves the map.",
    },
    "ko": {
        "what": "{layer} 층({kind})에 들어온 모양은 {got}입니다. "
        "커널이 차지하는 길이는 {spans}인데 패딩까지 합쳐도 {room}뿐입니다.",
        "why": "{steps}. (n − d·(k − 1) − 1 + 2·p)/s + 1 = {sum}이므로 남는 값이 없습니다.",
        "fix": "커널을 줄이거나, 패딩을 늘리거나, 맵을 줄이는 단계를 하나 빼세요.",
    },
}
SIZES = (3, 2, 5, 7, 1, 4, 6, 9, 11)  # kernels as people take them, the likeliest first


def check(case: Case) -> Iterator[Suspicion]:
    module: Any = case.failure.module if case.failure and not case.failure.function else None
    kernel = getattr(module, "kernel_size", None)
    if kernel is None or not case.taken or "Unpool" in type(module).__name__ or "Transpose" in type(module).__name__:
        return
    count = int(type(module).__name__[-2])
    given = case.taken[0].shape
    kernels, dilations, strides = (_sides(getattr(module, name, 1) or kernel, count) for name in NAMES)
    pads = _padding(module, kernels, dilations)
    reach = [dilation * (side - 1) + 1 for side, dilation in zip(kernels, dilations, strict=True)]
    room = [side + 2 * pad for side, pad in zip(given[-count:], pads, strict=True)]
    axis = next((axis for axis in range(count) if reach[axis] > room[axis]), None)
    if axis is None or len(given) < count + 1:
        return
    total = (
        f"({room[axis] - 2 * pads[axis]} − {dilations[axis]}·({kernels[axis]} − 1) − 1 + 2·{pads[axis]})/{strides[axis]} + 1"
    )
    numbers = {
        "kind": type(module).__name__, "got": shown(given), "spans": written(tuple(reach)), "room": written(tuple(room)),
        "sum": f"{total} = {(room[axis] - reach[axis]) // strides[axis] + 1}",
    }  # fmt: skip
    name = case.failing
    candidates = (*_smaller(case, module, min(room), kernels, pads), *without(case, name, case.stopped_at))
    yield Suspicion(name, numbers, len(case.steps), made_at(case, name), candidates)


NAMES = ("kernel_size", "dilation", "stride")


def _smaller(case: Case, module: Any, room: int, kernels: list[int], pads: list[int]) -> Iterator[Edits]:
    name = case.failing
    for size in [size for size in SIZES if size <= room and size < max(kernels)]:
        if max(pads) <= size // 2:
            yield from with_made(case, name, module, kernel_size=size)
        else:
            yield from with_made(case, name, module, kernel_size=size, padding=size // 2)
    yield from with_made(case, name, module, padding=max(kernels) // 2)
    if max(_sides(getattr(module, "dilation", 1), 1)) > 1:
        yield from with_made(case, name, module, dilation=1)


def _sides(value: Any, count: int) -> list[int]:
    return list(value) if isinstance(value, tuple) else [int(value)] * count


def _padding(module: Any, kernels: list[int], dilations: list[int]) -> list[int]:
    padding = getattr(module, "padding", 0)
    if isinstance(padding, str):  # "same" leaves room for any kernel
        return kernels if padding == "same" else [0] * len(kernels)
    return _sides(padding, len(dilations))

"""A layer was made for another number of channels or features than it is given."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._edits import made_at, with_made

RANK = 60
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) was given {got}: {given} along axis {axis}, and was made for {needed}.",
        "why": "{steps}. So {argument} must be {given}.",
        "fix": "Give {layer} {argument} = {given}.",
    },
    "ko": {
        "what": "{layer} 층({kind})에 들어온 모양은 {got}입니다. "
        "{axis}번 축의 길이는 {given}인데, 층은 {needed}에 맞춰 만들어져 있습니다.",
        "why": "{steps}. 따라서 맞는 값은 {argument} = {given}입니다.",
        "fix": "{layer} 층의 인자를 {argument} = {given}(으)로 고치세요.",
    },
}
KINDS: tuple[tuple[Any, str, int], ...] = (  # class, argument that says the width, axis it is compared with
    (nn.Linear, "in_features", -1),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), "in_channels", 1),
    (nn.modules.batchnorm._NormBase, "num_features", 1),
    (nn.GroupNorm, "num_channels", 1),
    (nn.LayerNorm, "normalized_shape", -1),
    (nn.modules.rnn.RNNBase, "input_size", -1),
    (nn.modules.rnn.RNNCellBase, "input_size", -1),
    (nn.MultiheadAttention, "embed_dim", -1),
    (nn.PReLU, "num_parameters", 1),
)


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None or case.failure.function or not case.taken:
        return
    module, given = case.failure.module, case.taken[0]
    kind = next((kind for kind in KINDS if isinstance(module, kind[0])), None)
    if kind is None or given.ndim < 2:
        return
    _, argument, axis = kind
    needed, real = _width(module, argument, given)
    if needed == real or (argument == "num_parameters" and needed == 1):
        return
    values = {argument: real, **_divided(module, real)}
    numbers = {
        "kind": type(module).__name__, "got": shown(given.shape), "given": _told(real), "needed": _told(needed), "axis": axis,
        "argument": argument,
    }  # fmt: skip
    name = case.failing
    candidates = (*with_made(case, name, module, **values), *_sources(case, needed))
    yield Suspicion(name, numbers, len(case.steps), made_at(case, name), candidates)


def _width(module: Any, argument: str, given: torch.Tensor) -> tuple[Any, Any]:
    needed = getattr(module, argument)
    if argument == "normalized_shape":
        real = tuple(given.shape[-len(needed) :])
        return (needed[0], real[0]) if len(needed) == 1 else (tuple(needed), real)
    if isinstance(module, nn.Linear | nn.modules.rnn.RNNBase | nn.modules.rnn.RNNCellBase | nn.MultiheadAttention):
        return needed, given.shape[-1]
    return needed, given.shape[1]


def _divided(module: Any, width: int) -> dict[str, int]:
    """A number of groups or heads that no longer divides the width is lowered to one that does."""
    for argument in ("groups", "num_groups", "num_heads"):
        count = getattr(module, argument, 1)
        if isinstance(count, int) and count > 1 and width % count:
            return {argument: max(part for part in range(1, count + 1) if width % part == 0)}
    return {}


def _sources(case: Case, needed: Any) -> Iterator[Any]:
    """Yields the other side: the nearest layer before it gives what is needed."""
    for number in case.before(len(case.steps) - 1):
        step = case.steps[number]
        for argument in ("out_features", "out_channels"):
            if step.module is not None and hasattr(step.module, argument) and isinstance(needed, int):
                yield from with_made(case, step.name, step.module, **{argument: needed})
                return


def _told(width: Any) -> str:
    return "×".join(map(str, width)) if isinstance(width, tuple) else str(width)

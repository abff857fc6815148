"""A layer lies on another device than what it is given."""

import ast
from collections.abc import Iterator

import torch

from konv.doctor._case import Case, Suspicion
from konv.doctor._code import Code, Edits

RANK = 15
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} lies on {own} and was given something on {given}.",
        "why": "Both must lie on one device. A tensor made in __init__ without register_buffer or nn.Parameter does not "
        "move with the network, and device=… pins a layer to one place.",
        "fix": "Leave the device to .to(device) of the whole network.",
    },
    "ko": {
        "what": "{layer} 층은 {own}에 있는데 {given}에 있는 값이 들어왔습니다.",
        "why": "둘은 같은 장치에 있어야 합니다. register_buffer나 nn.Parameter 없이 __init__에서 만든 텐서는 신경망을 옮겨도 "
        "따라가지 않고, device=…는 층을 한곳에 묶어 둡니다.",
        "fix": "장치는 신경망 전체의 .to(device)에 맡기세요.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    found = _place(case)
    if found is None:
        return
    layer, own, given, at = found
    spans = case.made.get(layer, ()) or (case.steps[at].spans if at < len(case.steps) else case.stopped_at)
    candidates = () if case.code is None else tuple(_without_devices(case.code))
    yield Suspicion(layer, {"own": own, "given": given}, at, spans, candidates)


def _place(case: Case) -> tuple[str, torch.device, torch.device, int] | None:
    """Returns layer, its device, the other one and the number of the step: where it failed, or where the values moved."""
    usual = next((place for step in case.steps for place in step.devices if place.type != "meta"), None)
    for number, step in enumerate(case.steps):
        own = next(iter(step.module.parameters()), None) if step.module is not None else None
        if (
            usual is not None and own is not None and own.device != usual
        ):  # a convolution of torch reads weights that are nowhere
            return step.name, own.device, usual, number
    if case.failure is None or not case.taken:
        return None
    weight = next(case.failure.module.parameters(recurse=False), None)
    places = [part.device for part in case.taken]
    if weight is not None and not case.failure.function:
        places.insert(0, weight.device)
    other = next((place for place in places if place != places[0]), None)
    return None if other is None else (case.failing, places[0], other, len(case.steps))


def _without_devices(code: Code) -> Iterator[Edits]:
    for call in code.calls():
        edit = code.without_argument(call, "device")
        if edit is not None:
            yield (edit,)
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("to", "cuda", "cpu"):
            yield (code.replaced(call, code.segment(call.func.value)),)

"""A layer for signals, pictures or volumes was given something with another number of axes."""

import re
from collections.abc import Iterator

from konv.anatomy import cross
from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits
from konv.doctor._edits import made_at, making, reshaping_before, with_input, without_step

RANK = 35
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) was given {got}, which has {axes} axes; it takes {needed}.",
        "why": "{kind} works on {form}. {steps}.",
        "fix": "Take the kind of layer that fits, or give {layer} what it takes.",
    },
    "ko": {
        "what": "{layer} 층({kind})에 들어온 모양은 {got}, 축이 {axes}개입니다. 이 층이 받는 축은 {needed}개입니다.",
        "why": "{kind}의 입력은 {form}입니다. {steps}.",
        "fix": "입력에 맞는 종류의 층을 쓰거나, {layer}에 맞는 입력을 주세요.",
    },
}
FORMS = {1: "N×C×L", 2: "N×C×H×W", 3: "N×C×D×H×W"}


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None or case.failure.function or not case.taken:
        return
    module, given = case.failure.module, case.taken[0]
    kind = type(module).__name__
    found = re.fullmatch(r"(\w+?)([123])d", kind)
    recurrent = kind in ("RNN", "LSTM", "GRU")
    if not type(module).__module__.startswith("torch.nn") or not (found or recurrent):
        return
    dimensions = int(found[2]) if found else 1
    flat = kind == "BatchNorm1d" and given.ndim == 2
    if given.ndim == dimensions + 2 or flat:
        return
    forms = {"axes": given.ndim, "needed": dimensions + 2, "form": "N×L×F" if recurrent else FORMS[dimensions]}
    candidates = [*_renamed(case, found[1] if found else "", given.ndim - 2), *_other_input(case, given.ndim, dimensions)]
    if found and found[1] in ("Conv", "ConvTranspose"):
        candidates = [*_other_input(case, given.ndim, dimensions), *_renamed(case, found[1], given.ndim - 2)]
    numbers = {"kind": kind, "got": shown(given.shape), **forms, "shape": cross(case.shape)}
    place = made_at(case, case.failing)
    yield Suspicion(case.failing, numbers, len(case.steps), place, tuple(candidates))


def _renamed(case: Case, base: str, dimensions: int) -> Iterator[Edits]:
    call = making(case, case.failing)
    if case.code is None or call is None or not base or dimensions > 3:
        return
    if dimensions >= 1 or base == "BatchNorm":
        yield (case.code.renamed(call, f"{base}{max(dimensions, 1)}d"),)


def _other_input(case: Case, axes: int, dimensions: int) -> Iterator[Edits]:
    for step in reshaping_before(case, len(case.steps) - 1):
        yield from without_step(case, step)
    for called in ["unsqueeze(1)"] if axes == dimensions + 1 else ["flatten(2)", "squeeze(1)"] if axes > dimensions + 2 else []:
        yield from with_input(case, case.failing, case.stopped_at, called)

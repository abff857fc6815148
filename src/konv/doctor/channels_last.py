"""Channels stand behind height and width, where a convolution looks for a side."""

from collections.abc import Iterator
from typing import Any

from konv.anatomy import cross
from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._edits import made_at, reshaping_before, without_step

RANK = 30
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) was given {got}: the channels that it needs, {needed}, stand last.",
        "why": "PyTorch takes N×C×{axes}. {steps}.",
        "fix": "Put the channels first, in an input of {turned}.",
    },
    "ko": {
        "what": "{layer} 층({kind})에 들어온 모양은 {got}입니다. 필요한 채널 {needed}개가 맨 뒤에 있습니다.",
        "why": "PyTorch의 순서는 N×C×{axes}입니다. {steps}.",
        "fix": "채널이 앞에 오도록 하세요. 입력 하나는 {turned}입니다.",
    },
}
AXES = {1: "L", 2: "H×W", 3: "D×H×W"}


def check(case: Case) -> Iterator[Suspicion]:
    module: Any = case.failure.module if case.failure and not case.failure.function else None
    needed = getattr(module, "in_channels", None)
    if needed is None or not case.taken:
        return
    given = case.taken[0].shape
    if len(given) != len(module.kernel_size) + 2 or given[1] == needed or given[-1] != needed:
        return
    turned = [step for step in reshaping_before(case, len(case.steps) - 1) if len(step.inputs[0]) == len(step.outputs[0])]
    if case.steps and not turned:
        return
    candidates = tuple(edits for step in turned[:2] for edits in without_step(case, step))
    place = turned[0].spans if turned else made_at(case, case.failing)
    numbers = {
        "kind": type(module).__name__, "got": shown(given), "needed": needed, "axes": AXES[len(module.kernel_size)],
        "turned": cross((needed, *given[1:-1])),
    }  # fmt: skip
    yield Suspicion(case.failing, numbers, len(case.steps), place, candidates)

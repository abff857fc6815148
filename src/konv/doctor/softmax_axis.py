"""Softmax along the samples: the scores of one sample depend on the others."""

import ast
from collections.abc import Iterator

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits
from konv.doctor._edits import making
from konv.doctor._mixing import mixed_at

RANK = 70
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} normalises along the samples: it works on axis 0 of {before}.",
        "why": "Along axis 0 each class sums up to 1 over the batch, and a sample's scores depend on the others. {steps}.",
        "fix": "Take the axis of the classes: dim=1.",
    },
    "ko": {
        "what": "{layer}에서 샘플 축을 따라 정규화합니다. {before}의 0번 축입니다.",
        "why": "0번 축을 따르면 클래스마다 배치 전체의 합이 1이 되고, 한 샘플의 점수가 다른 샘플에 따라 달라집니다. {steps}.",
        "fix": "클래스 축인 dim=1을 쓰세요.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    at = mixed_at(case)
    if at is None or "softmax" not in case.steps[at].kind.lower():
        return
    step = case.steps[at]
    spans = case.made.get(step.name, ()) if step.module is not None else step.spans
    yield Suspicion(step.name, {"before": shown(step.inputs[0])}, at, spans or step.spans, tuple(_along_classes(case, at)))


def _along_classes(case: Case, at: int) -> Iterator[Edits]:
    code, step = case.code, case.steps[at]
    call = making(case, step.name) if step.module is not None else None
    if code is None:
        return
    if call is not None:
        yield (code.with_argument(call, "dim", 0, "1"),)
    call = code.call(step.spans[0]) if step.spans else None
    if call is not None and isinstance(call.func, ast.Call):  # nn.Softmax(0)(x), made where it is called
        yield (code.with_argument(call.func, "dim", 0, "1"),)
    elif call is not None:
        place = 1 if call.args and code.subject(call) is call.args[0] else 0
        yield (code.with_argument(call, "dim", place, "1"),)

"""The network gives another number of scores than there are classes."""

from collections.abc import Iterator
from typing import Any

from konv.doctor._case import SAMPLES, Case, Suspicion, shown
from konv.doctor._code import Edits, method
from konv.doctor._edits import made_at, with_made

RANK = 80
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "the network gives {got}; for {classes} classes it must be N×{classes}: one score per class.",
        "why": "{steps}.",
        "fix": "Let the last layer, {layer}, give {classes} values per sample.",
    },
    "ko": {
        "what": "신경망의 출력은 {got}입니다. 클래스가 {classes}개이므로 N×{classes}, 곧 클래스마다 점수 하나여야 합니다.",
        "why": "{steps}.",
        "fix": "마지막 층 {layer}에서 샘플마다 값 {classes}개가 나오게 하세요.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    scores = case.scores
    if case.failure is not None or case.classes is None or scores is None or not case.steps:
        return
    if tuple(scores.shape) == (SAMPLES, case.classes):
        return
    at = next((number for number in case.before(case.last) if _width(case, number) is not None), case.last)
    step = case.steps[at]
    numbers = {"got": shown(tuple(scores.shape)), "classes": case.classes}
    spans = made_at(case, step.name) or step.spans
    yield Suspicion(step.name, numbers, len(case.steps), spans, tuple(_corrections(case, at)))


def _width(case: Case, number: int) -> str | None:
    module: Any = case.steps[number].module
    return next((name for name in ("out_features", "out_channels") if hasattr(module, name)), None)


def _corrections(case: Case, at: int) -> Iterator[Edits]:
    step, width = case.steps[at], _width(case, at)
    if case.classes is None:
        return
    if case.scores is not None and case.scores.ndim > 2:
        yield from _at_the_end(case, "flatten(1)")
        last = case.scores.shape[-1] == case.classes
        axes = range(1, case.scores.ndim - 1) if last else range(2, case.scores.ndim)
        yield from _at_the_end(case, f"mean(dim={tuple(axes)})")
    if width is not None and step.module is not None:
        yield from with_made(case, step.name, step.module, **{width: case.classes})


def _at_the_end(case: Case, called: str) -> Iterator[Edits]:
    """Yields the correction of what forward gives back."""
    code, spans = case.code, case.steps[case.last].spans
    call = code.call(spans[0]) if code and spans else None
    if code is not None and call is not None:
        yield (code.replaced(call, method(code.segment(call), call, called)),)

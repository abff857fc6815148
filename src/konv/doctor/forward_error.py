"""The forward pass stops for a reason that no other rule knows."""

from collections.abc import Iterator

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._edits import made_at

RANK = 100
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} stops: {reason}.",
        "why": "It was given {got}. {steps}.",
        "fix": "Look at the line and at what comes before it.",
        "nowhere": {
            "what": "the network cannot take an input of {whole}: {reason}.",
            "why": "It stops in forward, between two layers. {steps}.",
            "fix": "Look at the line and at what comes before it.",
        },
    },
    "ko": {
        "what": "{layer}에서 멈춥니다: {reason}.",
        "why": "들어온 모양은 {got}입니다. {steps}.",
        "fix": "그 행과 그 앞을 살펴보세요.",
        "nowhere": {
            "what": "모양이 {whole}인 입력에서 멈춥니다: {reason}.",
            "why": "forward에서 층과 층 사이에 멈춥니다. {steps}.",
            "fix": "그 행과 그 앞을 살펴보세요.",
        },
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None:
        return
    error = case.failure.exception
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    numbers = {
        "reason": reason,
        "got": ", ".join(shown(tensor.shape) for tensor in case.taken) or "–",
        "whole": "×".join(map(str, ("N", *case.shape))),
    }
    between = not case.failure.name and not case.failure.function
    layer, words = ("", "nowhere") if between else (case.failing, "")
    yield Suspicion(layer, numbers, len(case.steps), case.stopped_at or made_at(case, case.failing), words=words)

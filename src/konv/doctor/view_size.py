"""A view or reshape asks for another number of values than there are."""

from collections.abc import Iterator
from math import prod

from torch import Tensor

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits, method

RANK = 50
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} cannot turn {before} into the shape it asks for.",
        "why": "{steps}. Each sample has {product} = {features} values; torch says: {reason}.",
        "fix": "Ask for as many values as there are; x.flatten(1) needs no number.",
    },
    "ko": {
        "what": "{layer}: {before} 모양은 요청한 모양이 될 수 없습니다.",
        "why": "{steps}. 샘플 하나의 값은 {product} = {features}개입니다. torch의 말: {reason}.",
        "fix": "있는 만큼만 요청하세요. x.flatten(1)에는 숫자가 필요 없습니다.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    failure = case.failure
    if failure is None or failure.function not in ("view", "reshape", "unflatten") or not isinstance(failure.inputs[0], Tensor):
        return
    before = tuple(failure.inputs[0].shape)
    numbers = {
        "before": shown(before), "product": "·".join(map(str, before[1:])), "features": prod(before[1:]),
        "reason": (str(failure.exception).splitlines() or [""])[0].rstrip("."),
    }  # fmt: skip
    yield Suspicion(case.failing, numbers, len(case.steps), case.stopped_at, tuple(_corrections(case)))


def _corrections(case: Case) -> Iterator[Edits]:
    code = case.code
    call = code.call(case.stopped_at[0]) if code and case.stopped_at else None
    subject = code.subject(call) if code and call else None
    if code is None or call is None or subject is None or case.failure is None:
        return
    text, before = code.segment(subject), case.failure.inputs[0].shape
    if case.failure.function == "view":
        yield (code.renamed(call, "reshape"),)  # where only the order in memory forbids a view
    values = [value for value in call.args if value is not subject]
    for value in values[1:]:
        asked = [side for side in case.failure.inputs[1:] if isinstance(side, int)]
        place = values.index(value)
        others = prod(side for number, side in enumerate(asked) if number not in (0, place))
        if len(asked) == len(values) and others > 0 and prod(before[1:]) % others == 0:
            yield (code.replaced(value, str(prod(before[1:]) // others)),)
    yield (code.replaced(call, method(text, subject, "flatten(1)")),)

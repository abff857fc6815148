"""What the network says of one sample depends on the other samples of the batch."""

from collections.abc import Iterator

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._code import Edits
from konv.doctor._edits import RESHAPING, made_at, making, reshaping_before, without_step
from konv.doctor._mixing import mixed_at

RANK = 75
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} ({kind}) mixes the samples of a batch: changing the first one changes the scores of the others.",
        "why": "It takes {before} and gives {after}. Nothing crashes, but a prediction depends on its batch. {steps}.",
        "fix": "Move the samples to the first axis and leave them there; recurrent layers and attention need batch_first=True.",
    },
    "ko": {
        "what": "{layer}({kind})에서 배치의 샘플들이 섞입니다. 첫 샘플을 바꾸면 다른 샘플의 점수도 바뀝니다.",
        "why": "들어온 모양은 {before}, 나간 모양은 {after}입니다. "
        "오류는 나지 않지만 함께 묶인 샘플에 따라 예측이 달라집니다. {steps}.",
        "fix": "샘플은 첫 축에 두고 옮기지 마세요. 순환 층과 어텐션에는 batch_first=True가 필요합니다.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    at = mixed_at(case)
    if at is None or "softmax" in case.steps[at].kind.lower():
        return
    step = case.steps[at]
    numbers = {
        "kind": step.kind, "before": shown(step.inputs[0]) if step.inputs else "", "after": shown(step.outputs[0]),
    }  # fmt: skip
    spans = made_at(case, step.name) if step.module is not None else step.spans
    yield Suspicion(step.name, numbers, at, spans or step.spans, tuple(_apart(case, at)))


def _apart(case: Case, at: int) -> Iterator[Edits]:
    code, step = case.code, case.steps[at]
    if code is None:
        return
    made = making(case, step.name)
    if made is not None and getattr(step.module, "batch_first", True) is False:
        yield (code.with_argument(made, "batch_first", None, "True"),)
    turns = [turn for turn in reshaping_before(case, at) if turn.kind in ("permute", "transpose", "movedim", "t", "swapaxes")]
    for turn in turns[:3]:
        yield from without_step(case, turn)
    call = code.call(step.spans[0]) if step.spans and step.module is None else None
    if call is not None and step.kind in ("mean", "sum", "amax", "std", "var"):
        place = 1 if call.args and code.subject(call) is call.args[0] else 0
        yield (code.with_argument(call, "dim", place, "1"),)
        kept = code.argument(call, "keepdim", None)
        yield (
            code.with_argument(call, "dim", place, "1"),
            *(() if kept else (code.with_argument(call, "keepdim", None, "True"),)),
        )
    elif call is not None and step.kind in RESHAPING:
        yield from without_step(case, step)

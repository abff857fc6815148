"""Samples move into features, or features into samples: the first axis no longer counts the batch."""

from collections.abc import Iterator
from math import prod
from typing import Any

from torch import Tensor

from konv.doctor._case import SAMPLES, Case, Suspicion, shown
from konv.doctor._code import Edits, method
from konv.doctor._edits import making, without
from konv.doctor._script import Spans

RANK = 10
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "{layer} turns {before} into {after}: the first axis no longer counts the samples.",
        "why": "{steps}. Each sample has {product} = {features} values.",
        "fix": "Keep the first axis as it is; x.flatten(1) joins the others.",
    },
    "ko": {
        "what": "{layer}: {before} → {after}. 첫 축이 더는 샘플 수가 아닙니다.",
        "why": "{steps}. 샘플 하나의 값은 {product} = {features}개입니다.",
        "fix": "첫 축은 그대로 두세요. x.flatten(1)은 나머지 축만 이어 붙입니다.",
    },
}
RESHAPES = ("view", "reshape")


def check(case: Case) -> Iterator[Suspicion]:
    yield from _in_a_failing_view(case)
    at = _lost_at(case)
    if at is None:
        return
    step = case.steps[at]
    before = next(shape for shape in step.inputs if shape[:1] == (SAMPLES,))
    after = step.outputs[0] if step.outputs else ()
    candidates = tuple(_kept(case, step.name if step.module is not None else "", step.kind, step.spans, before, after))
    yield Suspicion(step.name, _numbers(before, after), at, step.spans or case.made.get(step.name, ()), candidates)


def _in_a_failing_view(case: Case) -> Iterator[Suspicion]:
    failure = case.failure
    if failure is None or failure.function not in RESHAPES or not isinstance(failure.inputs[0], Tensor):
        return
    wanted = _shape_asked(failure.inputs[1:])
    before = tuple(failure.inputs[0].shape)
    features = prod(before[1:])
    if before[0] != SAMPLES or not wanted or wanted[0] == SAMPLES:
        return
    if wanted[0] == -1 and len(wanted) > 1 and features == prod(wanted[1:]):
        return
    spans = case.stopped_at
    candidates = tuple(_kept(case, "", failure.function, spans, before, wanted))
    yield Suspicion(case.failing, _numbers(before, wanted), len(case.steps), spans, candidates)


def _shape_asked(given: tuple[Any, ...]) -> tuple[int, ...]:
    wanted = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return tuple(side for side in wanted if isinstance(side, int))


def _numbers(before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, Any]:
    return {
        "before": shown(before),
        "after": shown(after),
        "product": "·".join(map(str, before[1:])),
        "features": prod(before[1:]),
    }


def _lost_at(case: Case) -> int | None:
    """Returns the last step that takes the samples along its first axis and gives them along none, for good."""
    if case.failure is None:
        ends = case.scores is not None and (case.scores.ndim == 0 or case.scores.shape[0] != SAMPLES)
    else:
        ends = bool(case.taken) and SAMPLES not in case.taken[0].shape
    if not ends or case.last < 0:
        return None
    for number in case.before(case.last):
        step = case.steps[number]
        came = any(shape[:1] == (SAMPLES,) for shape in step.inputs)
        gone = bool(step.outputs) and step.outputs[0][:1] != (SAMPLES,)
        if came and gone and (case.failure is None or SAMPLES not in step.outputs[0]):
            return number
        if not came and any(SAMPLES in shape for shape in step.inputs):
            return None
    return None


def _kept(case: Case, layer: str, kind: str, spans: Spans, before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[Edits]:
    """Yields the corrections that keep the samples apart."""
    code = case.code
    if code is None:
        return
    if kind == "index" and (index := code.subscript(spans[0] if spans else None)) is not None:
        text = code.segment(index.value)
        yield (code.replaced(index, f"{text}[:, {code.segment(index.slice)}]"),)
        yield (code.replaced(index, text),)
    if layer and (made := making(case, layer)) is not None and kind == "Flatten":
        yield (code.with_argument(made, "start_dim", 0, "1"),)
    call = code.call(spans[0]) if spans else None
    subject = code.subject(call) if call is not None else None
    if call is None or subject is None or layer:
        return
    text = code.segment(subject)
    if kind in (*RESHAPES, "flatten", "squeeze"):
        if len(after) > 2:
            yield from (
                (code.replaced(call, method(text, subject, f"reshape({sides})")),) for sides in _sides(text, before, after)
            )
        yield (code.replaced(call, method(text, subject, "flatten(1)")),)
    if kind in ("cat", "mean", "sum", "amax"):
        place = 1 if call.args and call.args[0] is subject else 0
        for axes in ["1", *([str(tuple(range(2, len(before))))] if len(before) > 3 else [])]:
            yield (code.with_argument(call, "dim", place, axes),)
    yield from without(case, layer, spans)


def _sides(subject: str, before: tuple[int, ...], after: tuple[int, ...]) -> Iterator[str]:
    """Yields the sides of a map that holds one sample's values, each with one side of what was asked for set right."""
    features = prod(before[1:])
    wanted = list(after[1:])
    if prod(wanted) == features:
        yield f"-1, {', '.join(map(str, wanted))}"
    for place in range(len(wanted)):
        others = prod(side for number, side in enumerate(wanted) if number != place)
        if others > 0 and features % others == 0:
            sides = [*wanted[:place], features // others, *wanted[place + 1 :]]
            yield f"{subject}.size(0), {', '.join(map(str, sides))}"

"""Corrections that several rules share: a layer's argument, what goes into a layer, a step too many."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from konv.doctor._case import Case, Seen
from konv.doctor._code import Code, Edit, Edits, Span, method
from konv.doctor._script import Spans

RESHAPING = {"view", "reshape", "flatten", "permute", "transpose", "movedim", "squeeze", "unsqueeze", "unflatten", "t", "index",
             "Flatten", "Unflatten", "mean", "sum", "amax", "swapaxes", "moveaxis"}  # fmt: skip
MADE_FIRST = {"input_size": 0, "hidden_size": 1}  # recurrent layers hide their arguments' names


def making(case: Case, layer: str) -> ast.Call | None:
    """Returns the call that makes a layer."""
    spans = case.made.get(layer, ())
    return case.code.call(spans[0]) if case.code and spans else None


def made_at(case: Case, layer: str) -> Spans:
    """Returns where a layer is made, or where the pass stopped if that is not known."""
    return case.made.get(layer, ()) or case.stopped_at


def with_made(case: Case, layer: str, module: nn.Module, **values: Any) -> Iterator[Edits]:
    """Yields the corrections that give a layer other arguments: where it is made, or where the number it gets is said."""
    call, code = making(case, layer), case.code
    if call is None or code is None:
        return
    scope = case.made[layer][0].numbers
    if code.name_of(call) == type(module).__name__ or _place(module, next(iter(values))) is not None:
        first, value = next(iter(values.items()))
        names = [name for name, number in scope if number == value]
        for text in [*names, written(value)]:
            texts = {first: text, **{name: written(other) for name, other in list(values.items())[1:]}}
            yield tuple(code.with_argument(call, name, _place(module, name), text) for name, text in texts.items())
    for name, value in values.items():
        old = getattr(module, name, None)
        if isinstance(old, int) and isinstance(value, int):
            yield from _numbers(code, case.made[layer][1:], old, value)


def _place(module: nn.Module, name: str) -> int | None:
    names = [parameter for parameter in inspect.signature(type(module).__init__).parameters if parameter != "self"]
    return names.index(name) if name in names else MADE_FIRST.get(name)


def _numbers(code: Code, spans: Spans, old: int, new: int) -> Iterator[Edits]:
    """Yields one correction for each place where a call that led to a layer says the old number."""
    for span in spans:
        call = code.call(span)
        values = [] if call is None else [*call.args, *(keyword.value for keyword in call.keywords)]
        for value in values:
            if isinstance(value, ast.Constant) and value.value == old:
                yield (code.replaced(value, str(new)),)


def written(value: Any) -> str:
    """Returns a number, or one number for a tuple of equal ones, as source text."""
    if isinstance(value, (tuple, list)) and value and len(set(value)) == 1 and len(value) > 1:
        return str(value[0])
    return str(list(value)) if isinstance(value, list) else str(value)


# ---- what goes into a layer --------------------------------------------------------------------------------------


def with_input(case: Case, layer: str, spans: Spans, called: str, made: str = "") -> Iterator[Edits]:
    """Yields the corrections that change a layer's input: `made` in front of it in its sequence, or .called in forward."""
    code = case.code
    if code is None:
        return
    if made and in_sequence(case, layer) and (call := making(case, layer)) is not None:
        start = code.bounds(call)[0]
        yield (Edit(start, start, f"{code.beside(call, made)}, "),)
    call = code.call(spans[0]) if spans else None
    subject = code.subject(call) if call is not None else None
    if subject is not None:
        yield (code.replaced(subject, method(code.segment(subject), subject, called)),)


def in_sequence(case: Case, layer: str) -> bool:
    parent = layer.rpartition(".")[0]
    return case.network is not None and "." in f".{layer}" and isinstance(case.network.get_submodule(parent), nn.Sequential)


def without_step(case: Case, step: Seen) -> Iterator[Edits]:
    """Yields the corrections that leave a step out: its element of a sequence, or its call in forward."""
    yield from without(case, step.name if step.module is not None else "", step.spans)


def without(case: Case, layer: str, spans: Spans) -> Iterator[Edits]:
    code = case.code
    if code is None:
        return
    if layer and in_sequence(case, layer) and (call := making(case, layer)) is not None:
        yield (code.without_element(call),)
        return
    call = code.call(spans[0]) if spans else None
    subject = code.subject(call) if call is not None else None
    if call is not None and subject is not None:
        yield (code.replaced(call, code.segment(subject)),)


def calls_of(case: Case, spans: Sequence[Span]) -> list[ast.Call]:
    """Returns the calls at these places."""
    found = [case.code.call(span) for span in spans] if case.code else []
    return [call for call in found if call is not None]


def reshaping_before(case: Case, start: int) -> Iterator[Seen]:
    """Yields the steps that only move or join axes, on the way to a step and the nearest first."""
    for number in case.before(start):
        step = case.steps[number]
        if step.kind in RESHAPING:
            yield step

"""A layer holds numbers of another type than it is given."""

import ast
import re
from collections.abc import Iterator

import torch

from konv.doctor._case import Case, Suspicion
from konv.doctor._code import Code, Edits
from konv.doctor._edits import made_at, with_input

RANK = 20
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) holds {own} and was given {given}.",
        "why": "PyTorch computes with one type of number at a time. A training gives {usual}.",
        "fix": "Keep to one type: leave .double(), .half() and dtype=… out, or turn the input with .to(…).",
    },
    "ko": {
        "what": "{layer} 층({kind})의 값은 {own}인데 들어온 값은 {given}입니다.",
        "why": "PyTorch는 한 가지 숫자 형식끼리만 계산합니다. 학습 데이터는 {usual}입니다.",
        "fix": "형식을 하나로 맞추세요. .double(), .half(), dtype=…를 빼거나 입력을 .to(…)로 바꾸세요.",
    },
}
CASTS = {"double", "half", "bfloat16", "to", "type", "float", "long", "int", "bool"}


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None or not case.taken:
        return
    module, given = case.failure.module, case.taken
    weight = next((part for part in module.parameters(recurse=False)), None)
    types = [part.dtype for part in given] if case.failure.function else [given[0].dtype]
    own = weight.dtype if weight is not None and not case.failure.function else types[0]
    embedding = isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag))
    wanted = torch.long if embedding else own
    if case.failure.function and not re.search("dtype|scalar type|same type", str(case.failure.exception)):
        return
    other = next((kind for kind in types if kind != wanted), None)
    if other is None or (weight is None and not case.failure.function) or (embedding and not other.is_floating_point):
        return
    name = case.failing
    numbers = {"kind": type(module).__name__, "own": _named(wanted), "given": _named(other), "usual": _named(torch.float32)}
    spans = made_at(case, name) if own != torch.float32 else case.stopped_at or made_at(case, name)
    candidates = [] if case.code is None else [*_without_casts(case.code, [*case.made.get(name, ()), *case.stopped_at])]
    called = "long()" if embedding else "float()" if own == torch.float32 else f"to({own})"
    candidates += with_input(case, name, case.stopped_at, called)
    yield Suspicion(name, numbers, len(case.steps), spans, tuple(candidates))


def _without_casts(code: Code, near: list[object]) -> Iterator[Edits]:
    """Yields one correction for each place that changes the type of numbers, those on the lines at hand first."""
    lines = {getattr(span, "line", 0) for span in near}
    for call in sorted(code.calls(), key=lambda call: call.lineno not in lines):
        if isinstance(call.func, ast.Attribute) and call.func.attr in CASTS:
            yield (code.replaced(call, code.segment(call.func.value)),)
        edit = code.without_argument(call, "dtype")
        if edit is not None:
            yield (edit,)


def _named(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")

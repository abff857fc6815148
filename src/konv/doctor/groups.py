"""Channels that cannot be parted into as many groups, or a width into as many heads."""

import re
from collections.abc import Iterator
from math import gcd
from types import TracebackType
from typing import Any

from konv.doctor._case import Case, Suspicion
from konv.doctor._code import Edits

RANK = 5
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} cannot be made: {width} do not divide by {argument} = {count}.",
        "why": "Each of the {count} takes an equal share; {divided} leaves a rest. It divides by {divisor}.",
        "fix": "Take {argument} = {divisor}, or a width that divides by {count}.",
    },
    "ko": {
        "what": "{layer} 층을 만들 수 없습니다. {width}: {argument} = {count}(으)로 나누어떨어지지 않습니다.",
        "why": "{count}개가 똑같이 나누어 가져야 하는데 나머지가 생깁니다: {divided}. 나누어떨어지는 수는 {divisor}입니다.",
        "fix": "{argument} = {divisor}(으)로 고치거나, 폭을 {count}의 배수로 하세요.",
    },
}
SHARED = {  # argument that counts the shares: its place, and what is shared
    "groups": (6, ("in_channels", "out_channels")),
    "num_groups": (0, ("num_channels",)),
    "num_heads": (1, ("embed_dim",)),
}


def check(case: Case) -> Iterator[Suspicion]:
    cause = case.error.__cause__ if case.error is not None else None
    if cause is None or case.code is None or not re.search(r"divisible by", str(cause)):
        return
    values = _values(cause.__traceback__)
    argument = next((name for name in SHARED if isinstance(values.get(name), int)), None)
    if argument is None:
        return
    place, widths = SHARED[argument]
    shares, count = [values[name] for name in widths if isinstance(values.get(name), int)], values[argument]
    divisor = (
        gcd(*shares, count) if argument == "groups" else max(part for part in range(1, count + 1) if shares[0] % part == 0)
    )
    call = case.code.call(case.stopped_at[0]) if case.stopped_at else None
    layer = case.code.made_as(call) if call is not None else ""
    numbers = {
        "width": ", ".join(f"{name} = {values[name]}" for name in widths if name in values), "argument": argument,
        "count": count, "divisor": divisor, "divided": ", ".join(f"{share}/{count}" for share in shares),
    }  # fmt: skip
    candidates: tuple[Edits, ...] = ()
    if call is not None:
        candidates = ((case.code.with_argument(call, argument, place, str(divisor)),),)
    yield Suspicion(layer, numbers, 0, case.stopped_at, candidates)


def _values(trace: TracebackType | None) -> dict[str, Any]:
    """Returns the arguments that torch's constructor was given, from the frame that refused them."""
    found: dict[str, Any] = {}
    while trace is not None:
        found = dict(trace.tb_frame.f_locals)
        trace = trace.tb_next
    return found

"""A map goes into a linear layer that was made for all its values in a row."""

from collections.abc import Iterator
from math import prod

from torch import nn

from konv.doctor._case import Case, Suspicion, shown
from konv.doctor._edits import made_at, with_input

RANK = 40
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} (Linear) was given a map of {got} and needs {needed} features in a row.",
        "why": "{steps}. A linear layer works along the last axis alone, which has {last} values; {product} = {all} in a row.",
        "fix": "Flatten the map before {layer}: x.flatten(1) keeps the samples apart.",
    },
    "ko": {
        "what": "{layer} 층(Linear)에 들어온 것은 {got} 모양의 맵입니다. 한 줄로 편 특징 {needed}개가 필요합니다.",
        "why": "{steps}. 선형 층은 마지막 축만 보는데 그 길이는 {last}입니다. 한 줄로 펴면 {product} = {all}개입니다.",
        "fix": "{layer} 앞에서 맵을 펴세요. x.flatten(1)은 샘플끼리 섞지 않습니다.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    if case.failure is None or not isinstance(case.failure.module, nn.Linear) or case.failure.function or not case.taken:
        return
    module, given = case.failure.module, case.taken[0]
    values = prod(given.shape[1:])
    if given.ndim < 3 or (given.ndim == 3 and values != module.in_features):
        return
    numbers = {
        "got": shown(given.shape), "needed": module.in_features, "last": given.shape[-1], "all": values,
        "product": "·".join(map(str, given.shape[1:])),
    }  # fmt: skip
    name = case.failing
    candidates = tuple(with_input(case, name, case.stopped_at, "flatten(1)", "Flatten()"))
    yield Suspicion(name, numbers, len(case.steps), case.stopped_at or made_at(case, name), candidates)

"""Batch normalisation is trained with one sample, which has no spread."""

from collections.abc import Iterator

from torch.nn.modules.batchnorm import _BatchNorm

from konv.doctor._case import Case, Suspicion
from konv.doctor._edits import made_at

RANK = 85
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "layer {layer} ({kind}) cannot be trained with a batch of one: it is given one value per channel.",
        "why": "In training it subtracts the mean of the batch and divides by its spread; one value has none. {steps}.",
        "fix": "Take fit.batch_size = 2 or more, or a layer that looks at one sample, such as nn.GroupNorm or nn.LayerNorm.",
    },
    "ko": {
        "what": "{layer} 층({kind})은 샘플 하나로 학습할 수 없습니다. 채널마다 값이 하나뿐입니다.",
        "why": "학습 중에는 배치의 평균을 빼고 표준편차로 나누는데, 값이 하나면 퍼진 정도가 없습니다. {steps}.",
        "fix": "fit.batch_size를 2 이상으로 하거나, nn.GroupNorm이나 nn.LayerNorm처럼 샘플 하나만 보는 층을 쓰세요.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    if case.batch != 1 or case.failure is not None:
        return
    for number, step in enumerate(case.steps):
        alone = bool(step.inputs) and all(side == 1 for side in step.inputs[0][2:])
        if isinstance(step.module, _BatchNorm) and alone:
            yield Suspicion(step.name, {"kind": step.kind}, number, made_at(case, step.name))
            return

"""A label names a class that the network has no score for."""

from collections.abc import Iterator

from konv.doctor._case import Case, Suspicion

RANK = 90
SEVERITY = "error"
WORDS = {
    "en": {
        "what": "the labels go from {least} to {most}; a network with {scores} scores takes 0 to {last}.",
        "why": "Cross-entropy looks the label's score up among {scores}. On a graphics card the same mistake ends in a "
        "device-side assert that names no line.",
        "fix": "Count the classes from 0, or let the last layer give {needed} scores.",
    },
    "ko": {
        "what": "레이블이 {least}부터 {most}까지입니다. 점수가 {scores}개인 신경망에는 0부터 {last}까지만 쓸 수 있습니다.",
        "why": "교차 엔트로피는 점수 {scores}개 가운데 레이블 번째를 찾습니다. GPU에서는 같은 실수가 위치도 알려 주지 않는 "
        "device-side assert로 끝납니다.",
        "fix": "클래스를 0부터 세거나, 마지막 층에서 점수 {needed}개가 나오게 하세요.",
    },
}


def check(case: Case) -> Iterator[Suspicion]:
    if case.labels is None or case.labels.is_floating_point() or case.scores is None or case.scores.ndim < 2:
        return
    known = case.labels[case.labels != IGNORED].cpu()
    scores = case.scores.shape[1]
    if not len(known) or (int(known.min()) >= 0 and int(known.max()) < scores):
        return
    least, most = int(known.min()), int(known.max())
    numbers = {"least": least, "most": most, "scores": scores, "last": scores - 1, "needed": most + 1 - min(0, least)}
    yield Suspicion("", numbers, len(case.steps))


IGNORED = -100  # the label that torch's cross-entropy leaves out

"""`evaluate`: one honest report of a classifier on labelled samples, and the pictures shown beside it."""

import base64

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from konv.classifier import Classifier
from konv.core.errors import BadData
from konv.core.recipe import Choice
from konv.core.results import Report
from konv.core.view import View
from konv.datasets import Samples, SealedSamples
from konv.evaluation import evaluate, examples, match_classes

CLASSES = ("a", "b", "c")


class Reads(nn.Module):
    """Reads the class, and how sure it is of it, from the first two values of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(7))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x[:, 0, 0, 0].long(), 3) * x[:, :1, 0, 1]  # (N, 1, 4, 4) → (N, 3)


def classifier() -> Classifier:
    view = View(space=(4, 4), channels=1, mean=(0.0,), std=(1.0,), scale=1.0)
    return Classifier(network=Reads().train(), model=Choice(name="mlp"), classes=CLASSES, view=view)


def samples(labels: list[int], said: list[int], sure: list[float] | None = None) -> Samples:
    inputs = np.zeros((len(labels), 1, 4, 4), dtype=np.float32)
    inputs[:, 0, 0, 0] = said
    inputs[:, 0, 0, 1] = sure or [5.0] * len(labels)
    return Samples(inputs, np.array(labels), tuple(f"id:{number}" for number in range(len(labels))))


LABELS, SAID = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2], [0, 0, 1, 1, 1, 1, 2, 2, 0, 1]


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(classifier(), samples(LABELS, SAID), source="toys", split="test", epochs=3, test_openings=2).report


def test_scores_are_counted_from_the_answers(report: Report) -> None:
    assert report.accuracy == 0.7
    assert report.confusion == ((2, 1, 0), (0, 3, 0), (1, 1, 2))
    assert [score.recall for score in report.per_class] == pytest.approx([2 / 3, 1, 1 / 2])
    assert [score.precision for score in report.per_class] == pytest.approx([2 / 3, 3 / 5, 1])
    assert report.top_k == {1: 0.7, 2: 0.7}  # the other two are tied: neither is second
    assert report.accuracy_interval[0] < 0.7 < report.accuracy_interval[1]


def test_what_was_scored_and_how_is_told(report: Report) -> None:
    assert (report.source, report.split, report.pictures, report.classes) == ("toys", "test", 10, CLASSES)
    assert (report.epochs, report.test_openings, report.parameters) == (3, 2, 7)
    assert (report.threads, report.device, report.batch_size) == (1, "cpu", 10)
    assert report.weights_sha256 == classifier().weights_sha256
    assert 0 < report.milliseconds_one <= report.milliseconds_one_p95
    assert 0 < report.milliseconds_batch <= report.milliseconds_batch_p95
    assert report.images_per_second == pytest.approx(1000 * 10 / report.milliseconds_batch)


def test_a_report_comes_back_from_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_classes_that_do_not_occur_are_no_error() -> None:
    scored = evaluate(classifier(), samples([1, 1], [1, 2]), source="toys", split="toys").report
    assert scored.accuracy == 0.5
    assert scored.recall_macro == 0.5


def test_the_network_is_left_as_it_was() -> None:
    tried = classifier()
    evaluate(tried, samples(LABELS, SAID), source="toys", split="test")
    assert tried.network.training


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 4, 4), (1, 4)], ids=str)
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    other = Samples(np.zeros((2, *shape), dtype=np.float32), np.array([0, 1]), ("x", "y"))
    with pytest.raises(BadData, match=f"toys holds inputs of {'×'.join(map(str, shape))}; this classifier takes 1×4×4"):
        evaluate(classifier(), other, source="toys", split="test")


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(BadData, match="toys holds nothing to score"):
        evaluate(classifier(), samples([], []), source="toys", split="test")


# ---- examples ----


def test_examples_begin_with_the_most_confident_mistakes_then_turn_through_the_classes() -> None:
    sure = [5.0, 5.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 4.0, 3.0]
    shown = examples(evaluate(classifier(), samples(LABELS, SAID, sure), source="toys", split="test"), right=5)
    assert [example.id for example in shown[:3]] == ["id:8", "id:9", "id:2"]
    assert [example.label for example in shown[3:]] == [0, 1, 2, 0, 1]
    assert all(example.predicted == example.label for example in shown[3:])
    assert shown[0].confidence > shown[1].confidence > shown[2].confidence
    assert base64.b64decode(shown[0].thumbnail).startswith(b"\x89PNG")


def test_examples_are_limited() -> None:
    scored = evaluate(classifier(), samples(LABELS, SAID), source="toys", split="test")
    assert len(examples(scored, mistakes=2, right=1)) == 3
    assert len(examples(scored, mistakes=0, right=0)) == 0


# ---- classes of another source ----


def test_classes_meet_by_name() -> None:
    theirs = samples([0, 1, 1, 2], [0, 0, 0, 0])
    matched = match_classes(theirs, ("c", "a", "b"), CLASSES, "toys")
    assert matched.labels.tolist() == [2, 0, 0, 1]
    assert matched.ids == theirs.ids
    assert match_classes(samples([0, 1], [0, 0]), ("b", "a"), CLASSES, "toys").labels.tolist() == [1, 0]


def test_an_unknown_class_is_named_with_the_known_ones() -> None:
    with pytest.raises(BadData, match=r"toys has classes this classifier was not trained on: d, e\. It knows: a, b, c\."):
        match_classes(samples([0], [0]), ("a", "d", "e"), CLASSES, "toys")


# ---- the seal ----


def test_a_sealed_split_cannot_be_read_and_every_opening_is_counted() -> None:
    opened: list[str] = []
    sealed = SealedSamples(lambda: samples([0, 1], [0, 1]), 2, ("x", "y"))
    for name in ("inputs", "labels"):
        with pytest.raises(BadData, match=f"the test split is sealed: its {name} are read only by the final evaluation"):
            getattr(sealed, name)
    with pytest.raises(AttributeError):
        _ = sealed.pictures
    assert (len(sealed), sealed.ids, opened) == (2, ("x", "y"), [])
    assert sealed.open(lambda: opened.append("once") or 1).labels.tolist() == [0, 1]
    assert opened == ["once"]

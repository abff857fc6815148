"""Honest evaluation: `evaluate(classifier, samples)` gives a Report; metrics are plain functions."""

import base64
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from konv.classifier import CHUNK, Classifier
from konv.core.errors import BadData
from konv.core.results import Example, Report
from konv.datasets import Samples, thumbnail
from konv.evaluation import metrics
from konv.evaluation.timing import BATCH, latency

__all__ = ["Scored", "evaluate", "examples", "match_classes"]


@dataclass(frozen=True)
class Scored:
    """A Report with the probabilities (N, K) it was computed from."""

    report: Report
    samples: Samples
    probabilities: NDArray[np.float32]


def evaluate(
    classifier: Classifier,
    samples: Samples,
    *,
    source: str,
    split: str,
    seconds_training: float = 0.0,
    epochs: int = 0,
    test_openings: int = 0,
) -> Scored:
    """Returns the scores of a classifier on labelled samples; their labels count in the order of its class names."""
    _check_shape(classifier, samples, source)
    few = torch.from_numpy(np.ascontiguousarray(samples.take(np.arange(min(BATCH, len(samples)))).inputs))
    parts = [classifier.probabilities(np.ascontiguousarray(part)).numpy() for part in samples.parts(CHUNK)]
    probabilities = np.concatenate(parts)  # (N, K); the inputs pass by in parts, of which memory never holds all
    predicted = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(samples.labels, predicted, len(classifier.classes))
    scores = metrics.class_scores(confusion, classifier.classes)
    ranges = metrics.intervals(confusion)
    error, bins = metrics.calibration(samples.labels, probabilities)
    report = Report(
        model=classifier.model.name,
        source=source,
        split=split,
        pictures=len(samples),
        classes=classifier.classes,
        accuracy=float((predicted == samples.labels).mean()),
        accuracy_interval=ranges["accuracy"],
        top_k=metrics.top_k(samples.labels, probabilities),
        f1_macro_interval=ranges["f1_macro"],
        **metrics.averages(scores),
        per_class=scores,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        expected_calibration_error=error,
        calibration=bins,
        loss=metrics.log_loss(samples.labels, probabilities),
        seconds_training=seconds_training,
        epochs=epochs,
        **latency(classifier, few),
        threads=torch.get_num_threads(),
        device=str(next(classifier.network.parameters()).device),
        parameters=classifier.parameters,
        test_openings=test_openings,
        weights_sha256=classifier.weights_sha256,
    )
    return Scored(report, samples, probabilities)


def examples(scored: Scored, mistakes: int = 36, right: int = 24) -> list[Example]:
    """Returns pictures for the report: the most confident mistakes first, then right answers spread over the classes."""
    labels, predicted = scored.samples.labels, scored.probabilities.argmax(axis=1)
    confidence = scored.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:mistakes]
    correct = np.flatnonzero(predicted == labels)
    turn = _turns(labels[correct])  # the first of each class, then the second of each, …
    correct = correct[np.lexsort((labels[correct], turn))][:right]
    return [_example(scored, int(index)) for index in [*wrong, *correct]]


def _turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    turns = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = labels == label
        turns[members] = np.arange(members.sum())
    return turns


def _example(scored: Scored, index: int) -> Example:
    row = scored.probabilities[index]
    return Example(
        id=scored.samples.ids[index],
        label=int(scored.samples.labels[index]),
        predicted=int(row.argmax()),
        confidence=float(row.max()),
        thumbnail=base64.b64encode(thumbnail(scored.samples.base[scored.samples.rows[index]])).decode("ascii"),
    )


def match_classes(samples: Samples, theirs: tuple[str, ...], ours: tuple[str, ...], source: str) -> Samples:
    """Returns the samples with labels renumbered to the classifier's class names; classes meet by name, never by place."""
    unknown = [name for name in theirs if name not in ours]
    if unknown:
        raise BadData(
            f"{source} has classes this classifier was not trained on: {', '.join(unknown)}. It knows: {', '.join(ours)}."
        )
    table = np.array([ours.index(name) for name in theirs])
    return samples.relabelled(table[samples.labels])


def _check_shape(classifier: Classifier, samples: Samples, source: str) -> None:
    if not len(samples):
        raise BadData(f"{source} holds nothing to score.")
    if samples.shape != classifier.view.shape:
        got = "×".join(map(str, samples.shape))
        raise BadData(f"{source} holds inputs of {got}; this classifier takes {classifier.view}.")

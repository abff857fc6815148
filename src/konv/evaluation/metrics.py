"""Scores of predictions, as plain functions of labels (N,) and probabilities (N, K)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from konv.core.results import Bin, ClassScores

RESAMPLES = 2_000  # bootstrap draws: the ends of a 95 % interval then wobble by about 2 % of its width
BINS = 15  # of the calibration error, as in arxiv.org/abs/1706.04599

Array = NDArray[Any]


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Returns counts (K, K): rows true, columns predicted."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: Array, names: tuple[str, ...]) -> tuple[ClassScores, ...]:
    """Returns precision, recall and F1 of every class from counts (K, K); a score with nothing to divide by is 0.

    scikit-learn gives the same numbers (the tests compare), but importing it costs as much as a second of training.
    """
    hits, said, true = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    rows = hits / np.maximum(said, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(said + true, 1), true
    return tuple(
        ClassScores(name=name, precision=float(p), recall=float(r), f1=float(f), pictures=int(n))
        for name, p, r, f, n in zip(names, *rows, strict=True)
    )


def averages(scores: tuple[ClassScores, ...]) -> dict[str, float]:
    """Returns precision, recall and F1 averaged over classes (macro) and over pictures (weighted)."""
    pictures = np.array([score.pictures for score in scores], dtype=float)
    result = {}
    for name in ("precision", "recall", "f1"):
        values = np.array([getattr(score, name) for score in scores])
        result[f"{name}_macro"] = float(values[pictures > 0].mean())
        result[f"{name}_weighted"] = float(np.average(values, weights=pictures))
    return result


def top_k(labels: Array, probabilities: Array, ks: tuple[int, ...] = (1, 2, 3, 5)) -> dict[int, float]:
    """Returns for each k below the number of classes the share of pictures whose class is among the k most likely.

    Ties count against the network: a class it cannot tell from k others is not among the first k.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    rank = (probabilities >= own).sum(axis=1)  # 1 where the true class alone is highest
    return {k: float((rank <= k).mean()) for k in ks if k < probabilities.shape[1]}


def intervals(confusion: Array, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Returns 95 % percentile bootstrap intervals of accuracy and macro F1.

    Drawing N pictures with replacement and counting (true, predicted) pairs is one multinomial draw of the confusion
    matrix, so no picture is touched. Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Where every
    picture is right, or none, redrawing them tells nothing: both intervals are then the exact binomial one.
    """
    if confusion.trace() in (0, confusion.sum()):
        exact = _exact(int(confusion.trace()), int(confusion.sum()))
        return {"accuracy": exact, "f1_macro": exact}
    cells = np.flatnonzero(confusion)
    rows, columns = np.unravel_index(cells, confusion.shape)
    counts = confusion.ravel()[cells]
    draws = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=RESAMPLES)  # (R, cells)
    hits = _sums(draws * (rows == columns), rows, len(confusion))  # (R, K)
    true, said = _sums(draws, rows, len(confusion)), _sums(draws, columns, len(confusion))
    f1 = 2 * hits / np.maximum(true + said, 1)
    present = confusion.sum(axis=1) > 0
    return {
        "accuracy": _middle(hits.sum(axis=1) / counts.sum()),
        "f1_macro": _middle(f1[:, present].mean(axis=1)),
    }


def _exact(right: int, pictures: int) -> tuple[float, float]:
    """Clopper & Pearson 1934, through scipy.stats.binomtest."""
    from scipy.stats import binomtest

    interval = binomtest(right, pictures).proportion_ci(confidence_level=0.95, method="exact")
    return float(interval.low), float(interval.high)


def _sums(draws: Array, group: Array, groups: int) -> Array:
    """Sums columns of (R, cells) by group: (R, groups)."""
    totals = np.zeros((groups, len(draws)))
    np.add.at(totals, group, draws.T)
    return totals.T


def _middle(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def calibration(labels: Array, probabilities: Array) -> tuple[float, tuple[Bin, ...]]:
    """Returns the expected calibration error and the pictures by confidence in 15 equal ranges (empty ones left out)."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        Bin(confidence=float(confidence[inside].mean()), accuracy=float(right[inside].mean()), pictures=int(inside.sum()))
        for inside in (number == index for index in range(BINS))
        if inside.any()
    ]
    error = sum(part.pictures * abs(part.accuracy - part.confidence) for part in bins) / len(labels)
    return float(error), tuple(bins)


def log_loss(labels: Array, probabilities: Array) -> float:
    """Returns the mean negative log-likelihood in nats."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())

"""Metrics equal scikit-learn's and torchmetrics'; intervals cover what they claim."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sklearn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from konv.core.results import ClassScores
from konv.evaluation import metrics


def drawn(seed: int, size: int = 300, classes: int = 5, sharpness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (N, K) that know something of them; every class occurs."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(size) % classes)
    scores = random.normal(size=(size, classes)) + sharpness * np.eye(classes)[labels] * random.random((size, 1))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return labels.astype(np.int64), shares.astype(np.float32)


seeds = pytest.mark.parametrize("seed", range(6))


@seeds
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_counts_and_class_scores_are_scikit_learns(seed: int, classes: int) -> None:
    labels, probabilities = drawn(seed, classes=classes)
    predicted = probabilities.argmax(axis=1)
    names = tuple(map(str, range(classes)))
    confusion = metrics.confusion_matrix(labels, predicted, classes)
    assert np.array_equal(confusion, sklearn.confusion_matrix(labels, predicted))
    scores = metrics.class_scores(confusion, names)
    averages = metrics.averages(scores)
    for average in ("macro", "weighted"):
        wanted = sklearn.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)[:3]
        found = [averages[f"{name}_{average}"] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(wanted)
    each = sklearn.precision_recall_fscore_support(labels, predicted, zero_division=0)
    for number, score in enumerate(scores):
        assert (score.precision, score.recall, score.f1, score.pictures) == pytest.approx(tuple(row[number] for row in each))


def test_a_class_never_predicted_scores_0_and_one_that_does_not_occur_is_left_out_of_the_mean() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 2])
    scores = metrics.class_scores(metrics.confusion_matrix(labels, predicted, 3), ("a", "b", "c"))
    assert scores[1] == ClassScores(name="b", precision=0.0, recall=0.0, f1=0.0, pictures=2)
    assert scores[2].pictures == 0
    averages = metrics.averages(scores)
    assert averages["recall_macro"] == pytest.approx((1 + 0) / 2)
    assert averages["recall_weighted"] == pytest.approx(0.5)


@given(st.integers(2, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_rows_are_true_and_columns_predicted(classes: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(true % classes, said % classes) for true, said in pairs]
    labels, predicted = np.array(pairs).T
    table = metrics.confusion_matrix(labels, predicted, classes)
    assert table.shape == (classes, classes)
    assert table.sum() == len(pairs)
    assert all(table[true, said] == pairs.count((true, said)) for true, said in pairs)


@seeds
def test_top_k_is_torchmetrics_and_scikit_learns(seed: int) -> None:
    labels, probabilities = drawn(seed, classes=7)
    found = metrics.top_k(labels, probabilities)
    assert list(found) == [1, 2, 3, 5]
    for k, share in found.items():
        wanted = multiclass_accuracy(torch.tensor(probabilities), torch.tensor(labels), 7, top_k=k, average="micro")
        assert share == pytest.approx(float(wanted), abs=1e-6)
        assert share == pytest.approx(sklearn.top_k_accuracy_score(labels, probabilities, k=k))


def test_top_k_stops_below_the_number_of_classes_and_counts_ties_against_the_network() -> None:
    assert list(metrics.top_k(*drawn(0, classes=2))) == [1]
    assert list(metrics.top_k(*drawn(0, classes=3))) == [1, 2]
    undecided = np.full((4, 4), 0.25, dtype=np.float32)
    assert metrics.top_k(np.arange(4), undecided) == {1: 0.0, 2: 0.0, 3: 0.0}


@seeds
@pytest.mark.parametrize("sharpness", [0.0, 3.0, 9.0])
def test_the_calibration_error_is_torchmetrics(seed: int, sharpness: float) -> None:
    labels, probabilities = drawn(seed, sharpness=sharpness)
    error, bins = metrics.calibration(labels, probabilities)
    wanted = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(labels), 5, n_bins=15, norm="l1")
    assert error == pytest.approx(float(wanted), abs=1e-6)
    assert sum(part.pictures for part in bins) == len(labels)
    assert error == pytest.approx(sum(part.pictures * abs(part.accuracy - part.confidence) for part in bins) / len(labels))
    assert all(left.confidence < right.confidence for left, right in pairwise(bins))


def test_calibration_at_its_ends() -> None:
    sure = np.eye(3, dtype=np.float32)
    assert metrics.calibration(np.arange(3), sure)[0] == 0  # always sure, always right
    assert metrics.calibration((np.arange(3) + 1) % 3, sure)[0] == 1  # always sure, always wrong


@seeds
def test_log_loss_is_scikit_learns(seed: int) -> None:
    labels, probabilities = drawn(seed)
    wide = probabilities.astype(float)
    wanted = sklearn.log_loss(labels, wide / wide.sum(axis=1, keepdims=True))
    assert metrics.log_loss(labels, probabilities) == pytest.approx(wanted, rel=1e-5)


def test_a_certain_mistake_has_a_finite_loss() -> None:
    assert np.isfinite(metrics.log_loss(np.array([1]), np.array([[1.0, 0.0]], dtype=np.float32)))


# ---- intervals ----


def table_of(right: int, size: int) -> np.ndarray:
    """A confusion matrix of two classes with so many right answers."""
    return np.array([[right - right // 2, size - right], [0, right // 2]])


@pytest.mark.parametrize(("right", "size"), [(90, 100), (500, 1000), (950, 1000), (9_120, 10_000)])
def test_the_interval_of_accuracy_is_near_the_binomial_one(right: int, size: int) -> None:
    low, high = metrics.intervals(table_of(right, size))["accuracy"]
    exact = binomtest(right, size).proportion_ci(method="wilson")
    width = exact.high - exact.low
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.2 * width)
    assert low < right / size < high


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 200 draws with a true accuracy of 0.85, about 95 % of the intervals hold it (binomial 99.9 % range: 89 … 99 %)."""
    random = np.random.default_rng(0)
    hits = 0
    for right in random.binomial(400, 0.85, size=200):
        low, high = metrics.intervals(table_of(int(right), 400))["accuracy"]
        hits += low <= 0.85 <= high
    assert 0.89 <= hits / 200 <= 0.99


@seeds
def test_the_interval_of_f1_is_the_bootstrap_over_pictures(seed: int) -> None:
    """The multinomial shortcut against pictures drawn one by one."""
    labels, probabilities = drawn(seed, size=150)
    predicted = probabilities.argmax(axis=1)
    random = np.random.default_rng(seed)
    draws = [random.integers(150, size=150) for _ in range(400)]
    values = [sklearn.f1_score(labels[rows], predicted[rows], average="macro") for rows in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    found = metrics.intervals(metrics.confusion_matrix(labels, predicted, 5))["f1_macro"]
    assert found == pytest.approx((low, high), abs=0.2 * (high - low))


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3))
def test_intervals_hold_the_estimate_and_stay_within_0_and_1(rows: list[list[int]]) -> None:
    table = np.array(rows)
    assume(table.sum() > 0)
    for low, high in metrics.intervals(table).values():
        assert 0 <= low <= high <= 1
    low, high = metrics.intervals(table)["accuracy"]
    assert low - 1e-9 <= table.trace() / table.sum() <= high + 1e-9


def test_intervals_are_the_same_each_time_and_shrink_with_pictures() -> None:
    assert metrics.intervals(table_of(80, 100)) == metrics.intervals(table_of(80, 100))
    widths = [np.diff(metrics.intervals(table_of(8 * size, 10 * size))["accuracy"])[0] for size in (10, 100, 1000)]
    assert widths[0] > widths[1] > widths[2]


def test_a_perfect_score_on_few_pictures_is_no_certainty() -> None:
    ranges = metrics.intervals(np.diag([5, 5]))
    assert ranges["accuracy"] == ranges["f1_macro"] == pytest.approx((0.025 ** (1 / 10), 1.0))  # Clopper and Pearson
    assert metrics.intervals(np.array([[0, 5], [5, 0]]))["accuracy"] == pytest.approx((0.0, 1 - 0.025 ** (1 / 10)))

"""The split: disjoint, complete, stratified, the same each time; and the sealed test part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.datasets import Collection, Samples, load, split
from konv.datasets._split import stratified

label_lists = st.lists(st.integers(0, 5), min_size=1, max_size=120).map(lambda values: np.array(values, dtype=np.int64))
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**40)


@given(label_lists, shares, seeds)
def test_the_parts_are_disjoint_and_complete(labels: np.ndarray, share: float, seed: int) -> None:
    kept, held = stratified(labels, share, seed)
    assert sorted([*kept, *held]) == list(range(len(labels)))


@given(label_lists, shares, seeds)
def test_every_class_keeps_its_share_and_its_last_sample(labels: np.ndarray, share: float, seed: int) -> None:
    kept, held = stratified(labels, share, seed)
    for label in np.unique(labels):
        size, out = int((labels == label).sum()), int((labels[held] == label).sum())
        assert abs(out - size * share) <= 1
        assert label in labels[kept]
        assert out >= 1 or size == 1


@given(label_lists, shares, seeds)
def test_it_is_the_same_each_time(labels: np.ndarray, share: float, seed: int) -> None:
    assert all(
        np.array_equal(a, b) for a, b in zip(stratified(labels, share, seed), stratified(labels, share, seed), strict=True)
    )


def test_another_seed_holds_out_others() -> None:
    labels = np.arange(100) % 2
    assert not np.array_equal(stratified(labels, 0.2, 0)[1], stratified(labels, 0.2, 1)[1])


def collection_of(labels: list[int], classes: tuple[str, ...] = ("a", "b")) -> Collection:
    inputs = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Collection(Samples(inputs, np.array(labels), tuple(map(str, range(len(labels))))), classes, "x")


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60).map(lambda extra: [0, 0, 0, 1, 1, 1, *extra]), seeds)
def test_three_parts_share_out_every_sample_with_its_own_label(labels: list[int], seed: int) -> None:
    data = split(collection_of(labels), DataOptions(source="x", split_seed=seed % 2**30))
    parts = [data.train, data.valid, data.test.open(lambda: 1)]
    assert sorted(int(name) for part in parts for name in part.ids) == list(range(len(labels)))
    for part in parts:
        assert [labels[int(name)] for name in part.ids] == part.labels.tolist()
        assert [int(name) for name in part.ids] == part.inputs.ravel().tolist()
        assert set(part.labels) == {0, 1}


def test_a_class_too_small_to_be_split_is_named() -> None:
    with pytest.raises(BadData, match="too few pictures"):
        split(collection_of([0, 1]), DataOptions(source="x"))


def test_the_test_part_opens_only_with_a_count() -> None:
    data = load(DataOptions(source="shapes", pictures=60, side=8))
    with pytest.raises(BadData, match="the test split is sealed: its inputs"):
        _ = data.test.inputs
    openings: list[int] = []
    opened = data.test.open(lambda: openings.append(1) or len(openings))
    assert openings == [1]
    assert opened.ids == data.test.ids

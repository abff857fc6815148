"""The bundled digits."""

import numpy as np
from sklearn.datasets import load_digits

from konv.core.recipe import DataOptions
from konv.datasets import collect, load


def test_they_are_scikit_learns_stretched_to_bytes() -> None:
    bunch, collection = load_digits(), collect(DataOptions(source="digits"))
    assert collection.samples.inputs.dtype == np.uint8
    assert np.array_equal(collection.samples.inputs[:, 0], np.rint(bunch.images * 255 / 16))
    assert np.array_equal(collection.samples.labels, bunch.target)
    assert collection.classes == tuple("0123456789")
    assert collection.samples.ids[17] == "digits:17"


def test_they_are_split_with_every_class_in_every_part() -> None:
    data = load(DataOptions(source="digits"))
    assert len(data.train) + len(data.valid) + len(data.test) == 1797
    assert data.view.shape == (1, 8, 8)
    assert set(data.train.labels) == set(data.valid.labels) == set(range(10))

"""Handwritten digits, 8×8 grey: 1,797 pictures in 10 classes, bundled with scikit-learn, nothing to download."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from konv.datasets._fingerprint import fingerprint
from konv.datasets._samples import Collection, Samples

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
HIGHEST = 16  # pixel values of the original count dark dots in a block of 4×4


def load(source: str) -> Collection:  # noqa: ARG001 (every load takes its source)
    """Returns inputs (1797, 1, 8, 8) of uint8: 0…16 stretched to 0…255."""
    table = _table()  # (1797, 65): 64 pixels, then the label
    inputs = np.rint(table[:, :64] * 255 / HIGHEST).astype(np.uint8).reshape(-1, 1, 8, 8)
    samples = Samples(inputs, table[:, 64].astype(np.int64), tuple(f"digits:{index}" for index in range(len(table))))
    return Collection(samples, CLASSES, fingerprint(CLASSES, samples))


def _table() -> NDArray[np.float64]:
    """Reads the file behind `load_digits()` where it lies: importing sklearn.datasets for it costs 0.9 s."""
    spec = importlib.util.find_spec("sklearn")
    file = Path((spec and spec.origin) or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])

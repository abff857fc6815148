"""One file to one input: pictures by the View's rule, arrays as they are."""

from pathlib import Path

import numpy as np
import pytest
from making import png

from konv.core.errors import BadData
from konv.core.view import View
from konv.datasets import read_inputs

PICTURE = View(space=(6, 8), channels=3)
SIGNAL = View(space=(10,), channels=2, scale=1.0)


def test_a_picture_becomes_what_the_view_says(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(png(77))  # the suffix does not matter
    inputs = read_inputs(tmp_path / "a.jpg", PICTURE)
    assert inputs.shape == (3, 6, 8)
    assert (inputs == 77).all()


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 10)))
    inputs = read_inputs(tmp_path / "a.npy", SIGNAL)
    assert inputs.dtype == np.float32
    assert (inputs == 1).all()


BAD = {
    "missing": (None, PICTURE, "No such file"),
    "other shape": (np.ones((2, 9)), SIGNAL, r"has the shape \(2, 9\); this classifier takes \(2, 10\)"),
    "other dtype": (np.ones((3, 6, 8)), PICTURE, "holds float64; this classifier takes uint8"),
    "not finite": (np.full((2, 10), np.nan), SIGNAL, "NaN"),
    "objects": (np.array([{}]), SIGNAL, "no whole .npy file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_one_sentence(case: str, tmp_path: Path) -> None:
    content, view, words = BAD[case]
    if content is not None:
        np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(BadData, match=words) as caught:
        read_inputs(tmp_path / "a.npy", view)
    assert "a.npy" in str(caught.value)


@pytest.mark.parametrize("view", [SIGNAL, View(space=(4, 4, 4), channels=1), View(space=(6, 6), channels=2)])
def test_a_picture_for_a_network_that_takes_none_is_refused(view: View, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(BadData, match=r"takes \.npy files of shape"):
        read_inputs(tmp_path / "a.png", view)

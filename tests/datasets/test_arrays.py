"""Arrays from an .npz file: every layout, every kind of label, every mistake."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as random_arrays

from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.datasets import Collection, arrays, collect, load

LABELS = np.array([0, 1, 1, 0, 0, 1])


def saved(folder: Path, **content: Any) -> str:
    np.savez(folder / "a.npz", **content)
    return str(folder / "a.npz")


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# ---- what is taken ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 2, 10), (6, 3, 7, 5), (6, 1, 4, 5, 6)])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "float16"])
def test_signals_pictures_and_volumes(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    inputs = (floats(*shape) * 50).astype(kind)
    collection = arrays.load(saved(tmp_path, inputs=inputs, labels=LABELS))
    assert collection.samples.inputs.dtype == (np.uint8 if kind == "uint8" else np.float32)
    assert np.array_equal(collection.samples.inputs, inputs.astype(collection.samples.inputs.dtype))
    assert collection.samples.labels.tolist() == LABELS.tolist()
    assert collection.samples.ids[5] == "inputs:5"


@pytest.mark.parametrize(
    ("names"), [("inputs", "labels"), ("x", "y"), ("X", "y"), ("x_train", "y_train")], ids=lambda names: names[0]
)
def test_usual_names_are_understood(names: tuple[str, str], tmp_path: Path) -> None:
    content = dict(zip(names, (floats(6, 1, 9), LABELS), strict=True))
    assert len(arrays.load(saved(tmp_path, **content)).samples) == 6


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((6, 12), "auto", (1, 12)),
        ((6, 12), "no_channels", (1, 12)),
        ((6, 9, 9), "no_channels", (1, 9, 9)),
        ((6, 9, 9), "channels_first", (9, 9)),
        ((6, 9, 8, 7), "no_channels", (1, 9, 8, 7)),
        ((6, 9, 8, 3), "channels_last", (3, 9, 8)),
        ((6, 9, 8, 3), "channels_first", (9, 8, 3)),
        ((6, 20, 3), "channels_last", (3, 20)),
        ((6, 3, 20, 3), "auto", (3, 20, 3)),
    ],
)
def test_layouts(shape: tuple[int, ...], layout: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    inputs = floats(*shape)
    samples = arrays.load(saved(tmp_path, inputs=inputs, labels=LABELS), layout=layout).samples
    assert samples.shape == expected
    assert np.isclose(samples.inputs.sum(), inputs.sum())


@pytest.mark.parametrize(
    ("labels", "classes", "expected_classes", "expected"),
    [
        ([0, 1, 2, 0, 1, 2], None, ("0", "1", "2"), [0, 1, 2, 0, 1, 2]),
        ([3, 7, 10, 3, 7, 10], None, ("3", "7", "10"), [0, 1, 2, 0, 1, 2]),
        (["b", "a", "b", "a", "b", "a"], None, ("a", "b"), [1, 0, 1, 0, 1, 0]),
        ([b"b", b"a", b"b", b"a", b"b", b"a"], None, ("a", "b"), [1, 0, 1, 0, 1, 0]),
        (["b", "a", "b", "a", "b", "a"], ["b", "a"], ("b", "a"), [0, 1, 0, 1, 0, 1]),
        ([1, 0, 1, 0, 1, 0], ["cat", "dog"], ("cat", "dog"), [1, 0, 1, 0, 1, 0]),
        ([[1], [0], [1], [0], [1], [0]], None, ("0", "1"), [1, 0, 1, 0, 1, 0]),
        ([True, False] * 3, None, ("0", "1"), [1, 0, 1, 0, 1, 0]),
    ],
)
def test_labels(labels: list[Any], classes: list[str] | None, expected_classes: Any, expected: Any, tmp_path: Path) -> None:
    given_classes = {} if classes is None else {"classes": np.array(classes)}
    collection = arrays.load(saved(tmp_path, inputs=floats(6, 1, 9), labels=np.array(labels), **given_classes))
    assert collection.classes == expected_classes
    assert collection.samples.labels.tolist() == expected
    assert collection.samples.labels.dtype == np.int64


def test_an_own_test_split_is_kept(tmp_path: Path) -> None:
    own = {"test_inputs": floats(4, 1, 9), "test_labels": np.array([1, 0, 0, 1])}
    data = load(DataOptions(source=saved(tmp_path, inputs=floats(6, 1, 9), labels=LABELS, **own)))
    assert len(data.test) == 4
    assert len(data.train) + len(data.valid) == 6
    assert data.view.scale == 1.0
    assert data.test.ids[0] == "test_inputs:0"


# ---- what is refused ----------------------------------------------------------------------------------------------

GOOD = {"inputs": floats(6, 1, 9), "labels": LABELS}
NAN = floats(6, 1, 9)
NAN[3, 0, 2] = np.nan
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no labels": ({"inputs": floats(6, 1, 9)}, "has no array 'labels'"),
    "no inputs": ({"labels": LABELS}, "has no array 'inputs'"),
    "NaN": ({**GOOD, "inputs": NAN}, "NaN or infinite numbers in 1 samples, the first is sample 3"),
    "infinite": ({**GOOD, "inputs": np.full((6, 1, 9), 1e300)}, "NaN or infinite numbers in 6 samples"),
    "integers": ({**GOOD, "inputs": np.ones((6, 1, 9), np.int64)}, "are int64; save them as uint8"),
    "text": ({**GOOD, "inputs": np.array(["a"] * 6)}, "save them as uint8"),
    "rank 1": ({**GOOD, "inputs": floats(6)}, r"have the shape \(6,\)"),
    "rank 6": ({**GOOD, "inputs": floats(6, 1, 2, 2, 2, 2)}, r"\(N, C, D, H, W\)"),
    "rank 0": ({**GOOD, "inputs": np.float32(3)}, "have the shape"),
    "may be pictures": ({**GOOD, "inputs": floats(6, 9, 9)}, "data.layout=no_channels.*data.layout=channels_first"),
    "channels at the end": ({**GOOD, "inputs": floats(6, 9, 8, 3)}, "data.layout=channels_last"),
    "lengths": ({**GOOD, "labels": LABELS[:4]}, "6 inputs but 4 labels"),
    "none": ({"inputs": floats(0, 1, 9), "labels": np.array([], int)}, "are empty|one class|no class"),
    "no size": ({**GOOD, "inputs": floats(6, 1, 0)}, "are empty"),
    "one-hot": ({**GOOD, "labels": np.eye(2)[LABELS]}, "argmax"),
    "float labels": ({**GOOD, "labels": LABELS.astype(float)}, "labels .* are float64"),
    "negative": ({**GOOD, "labels": LABELS - 1}, "hold -1"),
    "out of range": ({**GOOD, "labels": LABELS * 2, "classes": np.array(["a", "b"])}, r"hold 2; with 2 classes .* 0…1"),
    "strange name": ({**GOOD, "labels": np.array(list("abcabc")), "classes": np.array(["a", "b"])}, "'c', which is no class"),
    "classes twice": ({**GOOD, "classes": np.array(["a", "a"])}, "name 'a' more than once"),
    "classes no list": ({**GOOD, "classes": np.eye(2)}, "must be a list of names"),
    "one class": ({**GOOD, "labels": LABELS * 0}, "one class only"),
    "half a test": ({**GOOD, "test_inputs": floats(6, 1, 9)}, "only one of test_inputs and test_labels"),
    "another test": ({**GOOD, "test_inputs": floats(2, 1, 8), "test_labels": LABELS[:2]}, "make them alike"),
    "test of new class": ({**GOOD, "test_inputs": floats(2, 1, 9), "test_labels": LABELS[:2] + 5}, "test_labels .* hold"),
    "objects": ({**GOOD, "labels": np.array([{}, 1, 2, 3, 4, 5], dtype=object)}, "Python objects, which konv never loads"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_sentence(case: str, tmp_path: Path) -> None:
    content, words = REFUSED[case]
    with pytest.raises(BadData, match=words) as caught:
        collect(DataOptions(source=saved(tmp_path, **content)))
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"words", b"PK\x03\x04 broken"], ids=["missing", "empty", "text", "half a zip"])
def test_what_is_no_npz_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadData, match="there is no file" if content is None else "no whole .npz file"):
        arrays.load(str(tmp_path / "a.npz"))


@given(st.binary(min_size=1, max_size=40), st.integers(0, 2000))
def test_a_mutilated_npz_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int) -> None:
    path = Path(saved(tmp_path_factory.mktemp("npz"), **GOOD))
    content = bytearray(path.read_bytes())
    content[place % len(content) :][: len(junk)] = junk
    path.write_bytes(content[: -(place % 50) or None])
    try:
        assert isinstance(arrays.load(str(path)), Collection)
    except BadData as error:
        assert "a.npz" in str(error)


@given(random_arrays(np.uint8, st.tuples(st.just(4), st.integers(1, 3), st.integers(1, 6), st.integers(5, 9))))
def test_bytes_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, inputs: np.ndarray) -> None:
    source = saved(tmp_path_factory.mktemp("npz"), inputs=inputs, labels=np.array([0, 1, 0, 1]))
    assert np.array_equal(arrays.load(source).samples.inputs, inputs)

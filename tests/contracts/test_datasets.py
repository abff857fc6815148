"""What every file on the data shelf keeps to; a new one is covered by being there."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from konv.core.errors import BadRecipe, KonvError
from konv.core.options import allowed, annotation_of, convert
from konv.core.recipe import DataOptions
from konv.core.shelves import DATASETS
from konv.datasets import Collection, collect, fashion_mnist, load

NAMES = DATASETS.names()
NEED_A_FILE = ("arrays", "folder")


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONV_DATA", str(tmp_path / "konv-data"))


@pytest.fixture(params=NAMES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Something that the source can load."""
    name = str(request.param)
    if name == "fashion_mnist" and not Path(fashion_mnist.DEBIAN).is_dir():
        pytest.skip(f"no {fashion_mnist.DEBIAN}: apt install dataset-fashion-mnist")
    return {"arrays": _npz, "folder": _folder}[name](tmp_path) if name in NEED_A_FILE else name


def _npz(folder: Path) -> str:
    inputs = np.arange(20 * 64, dtype=np.uint8).reshape(20, 1, 8, 8)
    np.savez(folder / "some.npz", inputs=inputs, labels=np.arange(20) % 2)
    return str(folder / "some.npz")


def _folder(folder: Path) -> str:
    from PIL import Image

    for index in range(20):
        path = folder / "pictures" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index).save(path)
    return str(folder / "pictures")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_described_in_one_line(name: str) -> None:
    assert len(DATASETS.entry(name).description) > 20
    assert DATASETS.entry(name).description.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_type_known_by_name_and_a_default_that_fits(name: str) -> None:
    for option in DATASETS.entry(name).options:
        assert option.annotation != "Any"
        assert allowed(annotation_of(option.annotation))
        assert convert(option.annotation, option.default, f"data.{option.name}") == option.default


@pytest.mark.parametrize("name", NAMES)
def test_an_option_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(BadRecipe, match="is no option of data source"):
        DATASETS.check_options(name, {"no_such_option": 1}, "data")


def test_importing_every_source_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys\nfrom konv.core.shelves import DATASETS\nfor name in DATASETS.names(): DATASETS.take(name)\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_loads_a_collection_that_is_consistent(source: str) -> None:
    collection = collect(DataOptions(source=source))
    assert isinstance(collection, Collection)
    for samples in filter(None, (collection.samples, collection.test)):
        assert len(samples.inputs) == len(samples.labels) == len(samples.ids) == len(set(samples.ids)) == len(samples)
        assert samples.inputs.ndim in (3, 4, 5)
        assert samples.inputs.dtype in (np.uint8, np.float32)
        assert samples.labels.dtype == np.int64
        assert 0 <= samples.labels.min() <= samples.labels.max() < len(collection.classes)
    assert len(set(collection.classes)) == len(collection.classes) >= 2
    assert len(collection.fingerprint) == 64


def test_it_loads_the_same_twice(source: str) -> None:
    first, second = (collect(DataOptions(source=source)) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert np.array_equal(first.samples.inputs, second.samples.inputs)


def test_it_is_split_without_overlap_and_has_a_view(source: str) -> None:
    data = load(DataOptions(source=source))
    parts = [set(data.train.ids), set(data.valid.ids), set(data.test.ids)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert data.view.shape == data.train.shape
    assert all(0 <= mean <= 1 and std > 0 for mean, std in zip(data.view.mean, data.view.std, strict=True))


@pytest.mark.parametrize("name", NEED_A_FILE)
def test_a_file_that_is_not_there_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(KonvError) as caught:
        DATASETS.take(name).load(str(tmp_path / "nothing.npz"))
    assert "\n" not in str(caught.value)

"""Fashion-MNIST: the real files where this machine has them, and tiny ones for everything around them."""

import gzip
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from making import Server

from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.datasets import collect, fashion_mnist, load

real = pytest.mark.skipif(
    not Path(fashion_mnist.DEBIAN).is_dir(), reason=f"no {fashion_mnist.DEBIAN}: apt install dataset-fashion-mnist"
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """The four files with 20 + 10 pictures instead of 70,000, Debian's copy out of sight."""
    random = np.random.default_rng(0)
    packed, files = {}, {}
    for split, names in fashion_mnist.FILES.items():
        count, changed = {"train": 20, "test": 10}[split], []
        for file in names:
            shape = (count, *file.shape[1:])
            values = np.arange(count) % 10 if len(shape) == 1 else random.integers(0, 256, shape)
            content = bytes(file.header) + values.astype(np.uint8).tobytes()
            packed[file.name] = gzip.compress(content)
            changed.append(fashion_mnist.Idx(file.name, hashlib.sha256(content).hexdigest(), shape))
        files[split] = tuple(changed)
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", str(tmp_path / "no-debian"))
    return packed


def fetched_from(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONV_FASHION_MNIST_URL", f"{server.address}/")


@real
def test_the_real_pictures_are_all_there_and_right() -> None:
    collection = collect(DataOptions(source="fashion-mnist"))
    assert collection.samples.inputs.shape == (60_000, 1, 28, 28)
    assert collection.test is not None
    assert collection.test.inputs.shape == (10_000, 1, 28, 28)
    assert (np.bincount(collection.samples.labels) == 6000).all()
    assert (np.bincount(collection.test.labels) == 1000).all()
    assert collection.samples.inputs.mean() / 255 == pytest.approx(0.28604, abs=1e-5)
    assert collection.samples.inputs.std() / 255 == pytest.approx(0.35302, abs=1e-5)
    assert collection.classes[int(collection.samples.labels[0])] == "Ankle boot"  # the first picture of the original
    assert collection.test.ids[:2] == ("test:0", "test:1")


@real
def test_the_second_load_is_quick_and_maps_the_pictures_instead_of_reading_them() -> None:
    fashion_mnist.load("fashion_mnist")
    start = time.perf_counter()
    collection = fashion_mnist.load("fashion_mnist")
    assert time.perf_counter() - start < 0.5  # 0.1 s on an idle machine
    assert isinstance(collection.samples.inputs, np.memmap)


@real
def test_loading_takes_little_memory() -> None:
    code = (
        "import resource\nfrom konv.datasets import fashion_mnist\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\nfashion_mnist.load('fashion_mnist')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    fashion_mnist.load("fashion_mnist")
    grown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 30_000  # kilobytes, where the pictures are 55,000


@real
def test_limit_takes_the_first_of_each_split_and_changes_the_fingerprint() -> None:
    everything, few = fashion_mnist.load("fashion_mnist"), fashion_mnist.load("fashion_mnist", limit=300)
    assert few.test is not None
    assert (len(few.samples), len(few.test)) == (300, 300)
    assert np.array_equal(few.samples.inputs, everything.samples.inputs[:300])
    assert few.fingerprint != everything.fingerprint


def test_a_limit_below_zero_is_refused() -> None:
    with pytest.raises(BadData, match=r"data\.limit = -1 is below 0"):
        fashion_mnist.load("fashion_mnist", limit=-1)


def test_the_four_files_are_fetched_once(
    tiny: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    server.content.update(tiny)
    fetched_from(server, monkeypatch)
    first, second = (fashion_mnist.load("fashion_mnist") for _ in range(2))
    assert sorted(path for path, _ in server.asked) == sorted(f"/{name}" for name in tiny)
    assert np.array_equal(first.samples.inputs, second.samples.inputs)
    assert sorted(path.name for path in (data_folder / "fashion_mnist").iterdir()) == sorted(tiny)


def test_files_put_into_the_folder_by_hand_are_found(tiny: dict[str, bytes], data_folder: Path) -> None:
    (data_folder / "fashion_mnist").mkdir(parents=True)
    for name, content in tiny.items():
        (data_folder / "fashion_mnist" / name).write_bytes(gzip.compress(gzip.decompress(content), 1))  # packed otherwise
    data = load(DataOptions(source="fashion_mnist", valid=0.5))
    assert (len(data.train), len(data.valid), len(data.test)) == (10, 10, 10)
    assert data.test.ids[0] == "test:0"


def test_without_network_one_message_names_the_three_ways(
    tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    monkeypatch.setenv("KONV_FASHION_MNIST_URL", "http://127.0.0.1:9")
    with pytest.raises(BadData) as caught:
        fashion_mnist.load("fashion_mnist")
    message = str(caught.value)
    assert all(name in message for name in tiny)
    assert str(data_folder / "fashion_mnist") in message
    assert "apt install dataset-fashion-mnist" in message
    assert "connect to the network" in message
    assert "\n" not in message


def test_an_interrupted_download_goes_on_at_the_next_call(
    tiny: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    server.content.update(tiny)
    server.break_after = 500
    fetched_from(server, monkeypatch)
    with pytest.raises(BadData, match="goes on from there"):
        fashion_mnist.load("fashion_mnist")
    part = next((data_folder / "fashion_mnist").glob("*.part"))
    assert part.stat().st_size == 500
    server.break_after = None
    assert len(fashion_mnist.load("fashion_mnist").samples) == 20
    assert ("/train-images-idx3-ubyte.gz", "bytes=500-") in server.asked


def test_a_server_with_another_content_is_not_believed(
    tiny: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    server.content.update(dict.fromkeys(tiny, gzip.compress(b"something else")))
    fetched_from(server, monkeypatch)
    with pytest.raises(BadData, match="another content"):
        fashion_mnist.load("fashion_mnist")
    assert list((data_folder / "fashion_mnist").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda whole: whole[:-30], lambda whole: b"no gzip", lambda whole: whole + whole])
def test_a_damaged_file_in_the_folder_is_named(
    tiny: dict[str, bytes], data_folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    (data_folder / "fashion_mnist").mkdir(parents=True)
    for name, content in tiny.items():
        (data_folder / "fashion_mnist" / name).write_bytes(damage(content))
    with pytest.raises(BadData, match=r"train-images-idx3-ubyte\.gz does not hold .* remove it and run again"):
        fashion_mnist.load("fashion_mnist")

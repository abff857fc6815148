"""Remembered arrays: made once, checked, made again when damaged, done without where they cannot be kept."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from konv.core.errors import BadData
from konv.datasets import _cache
from konv.datasets._cache import Array, Notes, remembered
from konv.datasets._places import data_folder as chosen_folder

SHAPE = (50, 3, 4)


class Maker:
    """Fills an array with 0, 1, 2, … and counts how often."""

    calls = 0

    def __call__(self, array: Array) -> Notes:
        self.calls += 1
        array[:] = np.arange(array.size).reshape(array.shape)
        return {"made": self.calls}


def ask(maker: Maker) -> Array:
    array, _ = remembered("key", SHAPE, "int32", maker)
    assert np.array_equal(array, np.arange(600).reshape(SHAPE))
    return array


def test_it_is_made_once_and_keeps_its_notes() -> None:
    maker = Maker()
    ask(maker)
    ask(maker)
    assert maker.calls == 1
    assert remembered("key", SHAPE, "int32", maker)[1] == {"made": 1}


def test_what_is_written_into_the_array_does_not_reach_the_file() -> None:
    maker = Maker()
    ask(maker)[:] = 0
    ask(maker)
    assert maker.calls == 1


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": ("npy", flip_a_bit),
    "cut short": ("npy", lambda path: path.write_bytes(path.read_bytes()[:-5])),
    "emptied": ("npy", lambda path: path.write_bytes(b"")),
    "gone": ("npy", Path.unlink),
    "no facts": ("json", Path.unlink),
    "half the facts": ("json", lambda path: path.write_text(path.read_text()[:30])),
    "other facts": ("json", lambda path: path.write_text("[1]")),
    "an older format": ("json", lambda path: path.write_text(path.read_text().replace('"format": 1', '"format": 0'))),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_made_again(damage: str, data_folder: Path) -> None:
    suffix, harm = DAMAGE[damage]
    maker = Maker()
    ask(maker)
    harm(data_folder / "cache" / f"key.{suffix}")
    ask(maker)
    ask(maker)
    assert maker.calls == 2


def test_another_shape_under_the_same_key_is_made_anew() -> None:
    maker = Maker()
    ask(maker)
    assert remembered("key", (2, 2), "uint8", maker)[0].tolist() == [[0, 1], [2, 3]]


def test_a_process_killed_while_making_leaves_nothing_that_counts(data_folder: Path) -> None:
    code = (
        "import os\nfrom konv.datasets._cache import remembered\n"
        f"remembered('key', {SHAPE}, 'int32', lambda array: (array.fill(1), os.kill(os.getpid(), 9)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert [path.suffix for path in (data_folder / "cache").glob(".key.npy.*.tmp")] == [".tmp"]
    ask(Maker())
    assert sorted(path.name for path in (data_folder / "cache").iterdir()) == [".key.npy.lock", "key.json", "key.npy"]


def test_a_maker_that_fails_leaves_nothing(data_folder: Path) -> None:
    def fail(array: Array) -> Notes:
        raise BadData("no")

    with pytest.raises(BadData, match="no"):
        remembered("key", SHAPE, "int32", fail)
    assert [path.name for path in (data_folder / "cache").iterdir()] == [".key.npy.lock"]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_small_arrays_are_made_in_memory(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> None:
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    assert not isinstance(ask(Maker()), np.memmap)
    assert list((data_folder / "cache").glob("*key*npy")) == []


def test_on_a_full_disk_large_arrays_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    monkeypatch.setattr(_cache, "LARGE_BYTES", 600 * 4)
    with pytest.raises(BadData, match=r"No space left on device.*set KONV_DATA"):
        ask(Maker())


def test_a_data_folder_that_cannot_be_written_does_not_matter_for_small_arrays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KONV_DATA", str(tmp_path / "file"))
    ask(Maker())


def test_several_processes_make_it_once(data_folder: Path) -> None:
    code = (
        "import time\nfrom konv.datasets._cache import remembered\n"
        "def fill(array):\n    time.sleep(0.3); array[:] = 7; print('made'); return {}\n"
        "assert (remembered('key', (5,), 'uint8', fill)[0] == 7).all()"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert "".join(said).count("made") == 1


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"KONV_DATA": "/a/b", "XDG_DATA_HOME": "/c"}, "/a/b"),
        ({"XDG_DATA_HOME": "/c"}, "/c/konv"),
        ({}, "/home/me/.local/share/konv"),
        ({"KONV_DATA": "~/own"}, "/home/me/own"),
    ],
)
def test_the_data_folder(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KONV_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert str(chosen_folder()) == expected

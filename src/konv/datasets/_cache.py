"""Arrays remembered on disk: kept by content, opened as memory maps, made again when damaged.

KEY.npy holds the values; KEY.json beside it their shape, dtype, size, sha256 and the maker's notes. The JSON file is written
last, so an array without one was never finished.
"""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from konv.core.errors import BadData
from konv.core.files import replacing, write_json
from konv.datasets._places import data_folder

FORMAT = 1  # raise it when arrays of old keys must not be used any more
LARGE_BYTES = 67_108_864  # 64 MiB: from here on an array that finds no room on disk is not made in memory instead

Array = NDArray[Any]
Notes = dict[str, Any]
Fill = Callable[[Array], Notes]  # writes every value and returns what to remember beside them; raises KonvError only


def remembered(key: str, shape: tuple[int, ...], dtype: str, fill: Fill) -> tuple[Array, Notes]:
    """Returns the array kept under `key`, memory-mapped copy-on-write, and its notes; `fill` makes what is missing or damaged.

    Where the cache cannot be written the array is made in memory; BadData if it has LARGE_BYTES or more.
    """
    path = data_folder() / "cache" / f"{key}.npy"
    with alone(path):  # the ranks of one training ask at once: one makes it, the others wait and open it
        found = _opened(path, shape, dtype)
        if found is not None:
            return found
        try:
            return _made(path, shape, dtype, fill)
        except OSError as error:
            return _in_memory(path, shape, dtype, fill, error)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits for the lock of `path` and holds it; where no lock file can be written there is nothing to share either."""
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(open(path.with_name(f".{path.name}.lock"), "wb")), fcntl.LOCK_EX)
        yield


def _opened(path: Path, shape: tuple[int, ...], dtype: str) -> tuple[Array, Notes] | None:
    wanted = {"format": FORMAT, "shape": list(shape), "dtype": dtype}
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        known = {name: facts[name] for name in wanted} == wanted and facts["bytes"] == path.stat().st_size
        if not known or facts["sha256"] != _sha256(path):
            return None
        return np.load(path, mmap_mode="c", allow_pickle=False), dict(facts["notes"])
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: it is made again
        return None


def _made(path: Path, shape: tuple[int, ...], dtype: str, fill: Fill) -> tuple[Array, Notes]:
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of a process that was killed: the lock is ours
        leftover.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)
    with replacing(path) as temporary:
        array = _reserved(temporary, shape, dtype)
        notes = fill(array)
        array.flush()
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        facts = {"format": FORMAT, "shape": list(shape), "dtype": dtype, "bytes": temporary.stat().st_size}
        facts |= {"sha256": _sha256(temporary), "notes": notes}
    write_json(path.with_suffix(".json"), facts)
    return np.load(path, mmap_mode="c", allow_pickle=False), notes


def _reserved(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap[Any, Any]:
    """A file of full size: writing into a mapped hole of a full disk would kill the process (SIGBUS)."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with open(path, "r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


def _in_memory(path: Path, shape: tuple[int, ...], dtype: str, fill: Fill, error: OSError) -> tuple[Array, Notes]:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size >= LARGE_BYTES:
        raise BadData(
            f"{size / 1e6:.0f} MB of decoded data find no room in {path.parent} ({error.strerror or error}); "
            "free some space there, or set KONV_DATA to a folder that has it."
        )
    array = np.empty(shape, dtype=dtype)
    return array, fill(array)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

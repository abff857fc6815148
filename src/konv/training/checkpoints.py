"""Checkpoints: written under another name, flushed, renamed; the newest whose checksums hold is taken.

A checkpoint is a folder `00000123` (steps done) with `state.safetensors` and `state.json`, which bears the sha256 of the
former and a checksum of itself. Its name, not a clock, orders it.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import Any

import safetensors
import torch
from safetensors.torch import load as tensors_from
from torch import Tensor

from konv.core.errors import BadRun, KonvError
from konv.core.failpoints import reached
from konv.core.files import Bytes, replacing_folder, write_bytes, write_parts
from konv.core.seals import BrokenSeal, sealed, unsealed
from konv.training.state import State, Tensors

FORMAT = 1
KEPT = 2  # checkpoints that stay: the newest, and the one before it should the newest turn out damaged
NAMES = {  # of the number formats, as safetensors spells them
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}


@dataclass(frozen=True)
class Snapshot:
    """A copy of the state in main memory, which training does not touch any more."""

    step: int
    tensors: Tensors
    facts: dict[str, Any]

    @classmethod
    def of(cls, state: State, buffers: Tensors | None = None) -> "Snapshot":
        """Returns the state copied into `buffers` where they fit; memory that was used before is filled twice as fast."""
        old = buffers or {}
        copies = {name: _copied(value, old.get(name)) for name, value in state.tensors().items()}
        return cls(state.progress.total_steps, copies, state.facts())


def _copied(tensor: Tensor, buffer: Tensor | None) -> Tensor:
    if buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
        buffer = torch.empty(tensor.shape, dtype=tensor.dtype)
    return buffer.copy_(tensor.detach())


class Writer:
    """Commits checkpoints on a thread of its own, one after the other, while training goes on.

    An error of the thread is raised by the next call; the checkpoint before it is intact.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: Thread | None = None
        self._error: BaseException | None = None
        self._buffers: Tensors = {}
        self._writing = Lock()
        self.seconds = 0.0  # that the newest one took, copy and writing

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for the thread; its error counts unless there is one already that a person is to be told."""
        with suppress(BadRun) if kind is not None and issubclass(kind, KonvError) else nullcontext():
            self.wait()

    def submit(self, state: State) -> None:
        """Waits for the checkpoint before it, copies the state and hands the copy to the thread."""
        self.wait()
        began = monotonic()
        snapshot = Snapshot.of(state, self._buffers)
        self._buffers = snapshot.tensors
        self._thread = Thread(target=self._run, args=(snapshot, began), name="konv-checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Returns when nothing is under way; raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def save(self, state: State) -> None:
        """Returns when the last whole update is on the disk; may be called while another thread is in the next one."""
        with state.changing:
            snapshot = Snapshot.of(state)
        with self._writing:
            write(self._folder, snapshot)

    def _run(self, snapshot: Snapshot, began: float) -> None:
        try:
            with self._writing:
                write(self._folder, snapshot)
            self.seconds = monotonic() - began
        except BaseException as error:  # handed to the training thread, which raises it
            self._error = error


def commit(folder: Path, state: State) -> Path:
    """Writes the state as the newest checkpoint of a folder and returns its place; raises BadRun where the disk refuses."""
    return write(folder, Snapshot.of(state))


# ---- writing ----


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Writes a snapshot as the newest checkpoint of a folder, then removes those no longer needed."""
    final = folder / f"{snapshot.step:08d}"
    try:
        folder.mkdir(exist_ok=True)
        with replacing_folder(final) as temporary:
            hashed = _Hashed(snapshot.tensors)
            write_parts(temporary / "state.safetensors", hashed)
            head = {"format": FORMAT, "sha256": hashed.digest.hexdigest(), "facts": snapshot.facts}
            write_bytes(temporary / "state.json", sealed(head, indent=None).encode("utf-8"))
            if final.exists():  # the same step before: inside its epoch, or a damaged one that was passed over
                _remove(final)
        reached("prune.before")
        _prune(folder, final)
    except OSError as error:
        raise BadRun(_sentence(final, error)) from error
    return final


class _Hashed:
    """The parts of a safetensors file: its header, then the memory of each tensor as it lies; hashed as they go by."""

    def __init__(self, tensors: Tensors) -> None:
        self.digest = hashlib.sha256()
        self._tensors = dict(sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])))  # aligned

    def __iter__(self) -> Iterator[Bytes]:
        for part in (self._header(), *map(_memory, self._tensors.values())):
            self.digest.update(part)
            yield part

    def _header(self) -> bytes:
        table, end = {}, 0
        for name, tensor in self._tensors.items():
            start, end = end, end + tensor.nbytes
            table[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        text = json.dumps(table).encode("utf-8")
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text  # github.com/huggingface/safetensors: its length, then JSON


def _memory(tensor: Tensor) -> Bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _remove(place: Path) -> None:
    """Takes a checkpoint's name away before its files: killed in between, nothing half-removed bears a final name."""
    away = place.with_name(f".{place.name}.removed.tmp")
    shutil.rmtree(away, ignore_errors=True)
    place.rename(away)
    shutil.rmtree(away)


def _prune(folder: Path, newest: Path) -> None:
    """Keeps the newest and the one before it; what counts more steps is a damaged one that was passed over."""
    places = _places(folder)
    kept = [place for place in places if place <= newest][-KEPT:]
    for place in places:
        if place not in kept:
            _remove(place)


def _sentence(place: Path, error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    mend = "Make room" if full else "See to the disk"
    return (
        f"the checkpoint {place} could not be written: {error.strerror}; the one before it is intact. "
        f"{mend}, then run the same command again."
    )


# ---- reading ----


def latest(folder: Path) -> tuple[Tensors, dict[str, Any], list[str]] | None:
    """Returns (tensors, facts, passed over) of the newest checkpoint whose checksums hold, or None where there is none.

    `passed over` names newer checkpoints that are damaged, each with its cause.
    """
    passed: list[str] = []
    for place in reversed(_places(folder)):
        try:
            tensors, facts = _read(place)
        except BadRun as error:
            passed.append(f"{place.name}: {error}")
            continue
        return tensors, facts, passed
    if passed:
        raise BadRun(f"no checkpoint in {folder} can be used: {'; '.join(passed)}")
    return None


def _places(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and place.name.isdigit()) if folder.is_dir() else []


def _read(place: Path) -> tuple[Tensors, dict[str, Any]]:
    try:
        text = (place / "state.json").read_bytes().decode("utf-8")
        version = json.loads(text)["format"]
        if version != FORMAT:
            raise BadRun(f"it has format {version!r}, this konv reads format {FORMAT}")
        head = unsealed(text, indent=None)
        content = (place / "state.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != head["sha256"]:
            raise BadRun("its checksum does not hold")
        return tensors_from(content), head["facts"]
    except BrokenSeal as error:
        raise BadRun(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise BadRun(f"it cannot be read ({type(error).__name__})") from None

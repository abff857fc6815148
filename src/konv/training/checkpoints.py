"""Checkpoints: written under another name, flushed, renamed; the newest whose checksum holds is taken.

A checkpoint is a folder `00000123` (steps done) with `state.safetensors` and `state.json`, which bears the sha256 of the
former. Its name, not a clock, orders it.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import safetensors
import torch
from safetensors.torch import load as tensors_from
from safetensors.torch import save as to_bytes
from torch import Tensor

from konv.core.errors import BadRun
from konv.core.failpoints import reached
from konv.core.files import replacing_folder, write_bytes
from konv.training.state import State, Tensors

FORMAT = 1
KEPT = 2  # checkpoints that stay: the newest, and the one before it should the newest turn out damaged


@dataclass(frozen=True)
class Snapshot:
    """A copy of the state in main memory, which training does not touch any more."""

    step: int
    tensors: Tensors
    facts: dict[str, Any]

    @classmethod
    def of(cls, state: State) -> "Snapshot":
        copies = {name: _copied(value) for name, value in state.tensors().items()}
        return cls(state.progress.total_steps, copies, state.facts())


def _copied(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


class Writer:
    """Commits checkpoints on a thread of its own, one after the other, while training goes on.

    An error of the thread is raised by the next call; the checkpoint before it is intact.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def submit(self, state: State) -> None:
        """Copies the state and hands it to the thread, waiting for the one before it."""
        snapshot = Snapshot.of(state)
        self.wait()
        self._thread = Thread(target=self._run, args=(snapshot,), name="konv-checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Returns when nothing is under way; raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self, snapshot: Snapshot) -> None:
        try:
            write(self._folder, snapshot)
        except BaseException as error:  # handed to the training thread, which raises it
            self._error = error


def commit(folder: Path, state: State) -> Path:
    """Writes the state as the newest checkpoint of a folder and returns its place; raises BadRun where the disk refuses."""
    return write(folder, Snapshot.of(state))


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Writes a snapshot as the newest checkpoint of a folder, then removes those no longer needed."""
    content = to_bytes(snapshot.tensors)
    facts = {"format": FORMAT, "sha256": hashlib.sha256(content).hexdigest(), "facts": snapshot.facts}
    facts["facts_sha256"] = _facts_digest(facts["facts"])
    final = folder / f"{snapshot.step:08d}"
    try:
        folder.mkdir(exist_ok=True)
        if final.exists():  # the same step before: a damaged one that was passed over, or the same content
            shutil.rmtree(final)
        with replacing_folder(final) as temporary:
            write_bytes(temporary / "state.safetensors", content)
            write_bytes(temporary / "state.json", json.dumps(facts).encode("utf-8"))
        reached("prune.before")
        _prune(folder, final)
    except OSError as error:
        raise BadRun(
            f"the checkpoint {final} could not be written: {error.strerror}; the one before it is intact. "
            "Make room, then run the same command again."
        ) from error
    return final


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


def _prune(folder: Path, newest: Path) -> None:
    """Keeps the newest and the one before it; what counts more steps is a damaged one that was passed over."""
    places = _places(folder)
    kept = [place for place in places if place <= newest][-KEPT:]
    for place in places:
        if place not in kept:
            shutil.rmtree(place)


def _read(place: Path) -> tuple[Tensors, dict[str, Any]]:
    try:
        content = (place / "state.safetensors").read_bytes()
        head = json.loads((place / "state.json").read_text(encoding="utf-8"))
        version = head["format"]
        if version != FORMAT:
            raise BadRun(f"it has format {version!r}, this konv reads format {FORMAT}")
        if hashlib.sha256(content).hexdigest() != head["sha256"] or _facts_digest(head["facts"]) != head["facts_sha256"]:
            raise BadRun("its checksum does not hold")
        return tensors_from(content), head["facts"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise BadRun(f"it cannot be read ({type(error).__name__})") from None


def _facts_digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()

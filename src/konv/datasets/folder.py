"""A folder of class folders (PATH/cats/1.jpg, PATH/dogs/2.png): your own JPEG, PNG, BMP, GIF, WebP, TIFF or PPM pictures."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from konv.core.errors import BadData
from konv.core.options import Positive, Share
from konv.datasets._cache import Array, Notes, remembered
from konv.datasets._class_folders import Candidate, scan
from konv.datasets._fingerprint import digest
from konv.datasets._pictures import BadPicture, Inspection, decode, inspect, silenced
from konv.datasets._progress import report
from konv.datasets._samples import Collection, Samples

BLOCK = 256  # pictures handed to the threads at a time: as long as an interruption waits, and between two reports
THREADS = 16  # at most: each may hold a picture of PIXEL_LIMIT
PIXELS = 1  # version of the conversion in _pictures; raise it when the same file gives other values

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Causes = dict[str, str]  # file → why it is no picture


def load(
    source: str,
    *,
    size: Positive = 64,
    resize: Literal["crop", "pad", "stretch"] = "crop",
    centre: Share = 1.0,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
    channels: Literal["auto", "grey", "colour"] = "auto",
    bad: Literal["refuse", "skip"] = "refuse",
) -> Collection:
    """Returns inputs (N, C, size, size) of uint8, decoded once and then remembered by the content of the files.

    Every file that is no picture is found here: `bad` says whether that is BadData or the file is left out and listed.
    """
    classes, candidates = scan(source)
    with silenced():
        readable, causes = _inspected(candidates)
        planes = {"grey": 1, "colour": 3}.get(channels) or (1 if all(facts.grey for _, facts in readable) else 3)
        contents = [part for file, facts in readable for part in (file.name, facts.sha256)]
        rule = resize if (centre, interpolation) == (1.0, "bilinear") else f"{resize} {centre} {interpolation}"
        key = digest(f"{PIXELS} {size} {rule} {planes}", *contents)

        def convert(path: Path) -> Array:
            return decode(path, (size, size), planes, resize, centre, interpolation)

        inputs, damaged = _decoded([file for file, _ in readable], key, (planes, size, size), convert)
    causes |= damaged
    kept = [file for file, _ in readable if file.name not in causes]
    broken = [file for file in candidates if file.name in causes]
    if broken and bad == "refuse":
        raise BadData(_refusal(source, broken, causes))
    _check_filled(source, classes, kept, broken, causes)
    labels = np.array([file.label for file in kept], dtype=np.int64)
    samples = Samples(inputs[: len(kept)], labels, tuple(file.name for file in kept))
    listed = tuple({"file": file.name, "cause": causes[file.name]} for file in broken)
    return Collection(
        samples, classes, digest(key, *classes), resize=resize, centre=centre, interpolation=interpolation, broken=listed
    )


def _inspected(candidates: list[Candidate]) -> tuple[list[tuple[Candidate, Inspection]], Causes]:
    answers = list(_in_threads("reading", lambda file: _tried(lambda: inspect(file.path)), candidates))
    pairs = list(zip(candidates, answers, strict=True))
    causes = {file.name: answer.cause for file, answer in pairs if isinstance(answer, BadPicture)}
    return [(file, answer) for file, answer in pairs if not isinstance(answer, BadPicture)], causes


def _decoded(
    files: list[Candidate], key: str, shape_of_one: tuple[int, ...], convert: Callable[[Path], Array]
) -> tuple[Array, Causes]:
    """Returns the good pictures first (what follows them is void) and the files that turned out to be damaged."""

    def fill(array: Array) -> Notes:
        def one(index: int) -> BadPicture | None:
            answer = _tried(lambda: convert(files[index].path))
            if isinstance(answer, BadPicture):
                return answer
            array[index] = answer
            return None

        answers = list(_in_threads("decoding", one, range(len(files))))
        _close_ranks(array, [index for index, answer in enumerate(answers) if answer is None])
        return {"broken": {file.name: answer.cause for file, answer in zip(files, answers, strict=True) if answer}}

    shape = (len(files), *shape_of_one)
    if not files:
        return np.empty(shape, dtype=np.uint8), {}
    inputs, notes = remembered(f"folder-{key[:32]}", shape, "uint8", fill)
    return inputs, dict(notes["broken"])


def _close_ranks(array: Array, kept: list[int]) -> None:
    """Moves the kept rows to the front, in place: the array may be larger than the memory."""
    for place, index in enumerate(kept):
        if place != index:
            array[place] = array[index]


def _refusal(source: str, broken: list[Candidate], causes: Causes) -> str:
    first, more = broken[0], len(broken) - 1
    others = f" ({more} more file{'s' if more > 1 else ''} of {source} cannot be used either)" if more else ""
    return (
        f"{first.path} cannot be used as a picture: {causes[first.name]}{others}; "
        "mend or remove what `konv data` lists as broken, or leave it out with `--set data.bad=skip`."
    )


def _check_filled(
    source: str, classes: tuple[str, ...], kept: list[Candidate], broken: list[Candidate], causes: Causes
) -> None:
    empty = sorted(set(range(len(classes))) - {file.label for file in kept})
    if empty:
        cause = next(causes[file.name] for file in broken if file.label == empty[0])
        raise BadData(f"class folder {classes[empty[0]]!r} of {source} has no usable picture; of its first file, {cause}.")


def _in_threads(what: str, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
    """Yields the answers in order; Pillow lets go of Python's lock while it decodes."""
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), BLOCK):
            yield from pool.map(work, items[start : start + BLOCK])
            report(what, min(start + BLOCK, len(items)), len(items))


def _tried(work: Callable[[], Answer]) -> Answer | BadPicture:
    try:
        return work()
    except BadPicture as error:
        return error

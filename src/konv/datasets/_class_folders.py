"""A folder of class folders: which classes there are and which files belong to them, or one sentence about what is amiss."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from konv.core.errors import BadData
from konv.datasets._places import expanded

LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # left behind by operating systems and archives
SPLITS = {"train", "training", "test", "testing", "valid", "validation", "val", "dev"}


@dataclass(frozen=True)
class Candidate:
    """A file that should be a picture."""

    path: Path
    name: str  # relative to the source, with "/" and NFC: its id
    label: int


def scan(source: str) -> tuple[tuple[str, ...], list[Candidate]]:
    """Returns class names and every file in the class folders, both in natural order; BadData if they are no classes."""
    root = expanded(source)
    folders = _class_folders(root, source)
    candidates: list[Candidate] = []
    for label, (name, folder) in enumerate(folders.items()):
        files = sorted(_files(folder), key=lambda path: natural(path.relative_to(folder).as_posix()))
        if not files:
            raise BadData(f"class folder {name!r} of {source} is empty; put pictures into it or remove it.")
        candidates += [Candidate(path, f"{name}/{_text(path.relative_to(folder).as_posix())}", label) for path in files]
    return tuple(folders), candidates


def natural(text: str) -> list[tuple[int, str] | str]:
    """Returns a sort key that counts: "2" comes before "10"."""
    parts = re.split(r"([0-9]+)", unicodedata.normalize("NFC", text))
    numbered: list[tuple[int, str] | str] = list(parts)
    numbered[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]  # longer is larger
    return [*numbered, text]  # the text itself decides between "1" and "01"


def _class_folders(root: Path, source: str) -> dict[str, Path]:
    how = f"give a folder that holds one folder of pictures per class ({source}/cats/1.jpg, {source}/dogs/2.jpg)"
    try:
        kind = root.stat().st_mode
    except (OSError, ValueError) as error:  # a null character in the path is a ValueError
        raise BadData(f"there is no folder {source}; {how}.") from error
    if not stat.S_ISDIR(kind):
        raise BadData(f"{source} is a file, not a folder; {how}.")
    entries = [entry for entry in _entries(root) if not _ignored(entry.name)]
    folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: natural(entry.name))
    if not entries:
        raise BadData(f"{source} is empty; {how}.")
    if not folders:
        raise BadData(f"{source} holds files but no class folders; {how}.")
    names = [_text(folder.name) for folder in folders]
    _check_names(names, source)
    return dict(zip(names, folders, strict=True))


def _check_names(names: list[str], source: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other is not None:
            raise BadData(
                f"the class folders {other!r} and {name!r} of {source} differ only in capitals or in how accents are stored; "
                "rename one of them, or move its pictures into the other."
            )
        seen[name.casefold()] = name
    if len(names) == 1:
        raise BadData(f"{source} has one class folder only ({names[0]!r}); a classifier needs two: add {source}/OTHER/1.jpg.")
    if seen.keys() <= SPLITS:
        raise BadData(
            f"the folders of {source} are splits ({', '.join(names)}), not classes; "
            f"give one of them, such as {source}/{names[0]}: konv splits it itself."
        )


def _files(folder: Path) -> Iterator[Path]:
    """Every file below the folder; links are followed, each folder is entered once, so that a loop of links ends."""
    entered: set[str] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(here)
        if real in entered:
            continue
        entered.add(real)
        for entry in _entries(here):
            if _ignored(entry.name):
                continue
            if entry.is_dir():
                waiting.append(entry)
            else:
                yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise BadData(f"{folder} cannot be read ({error.strerror}); change its permissions or move it away.") from error


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _text(name: str) -> str:
    """A file name as text that any JSON file can hold: NFC, bytes that are no UTF-8 replaced."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))

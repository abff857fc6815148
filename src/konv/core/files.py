"""Files that are whole or absent: nothing half-written ever bears a final name."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from konv.core.failpoints import reached
from konv.core.seals import sealed

Bytes: TypeAlias = "bytes | memoryview[int]"


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that after a power cut the old or the new content is there, never a mixture."""
    whole = memoryview(content)
    write_parts(path, (whole[: len(whole) // 2], whole[len(whole) // 2 :]))


def write_parts(path: Path, parts: Iterable[Bytes]) -> None:
    """Like `write_bytes`, for content that comes in parts and is never put together in memory."""
    with replacing(path) as temporary, open(temporary, "wb", buffering=0) as stream:
        reached("file.opened")
        for number, part in enumerate(parts):
            _write_all(stream.fileno(), part)
            if number == 0:
                reached("file.half")
        reached("file.written")


def _write_all(handle: int, content: Bytes) -> None:
    while content:  # write(2) may take less than it was given: the kernel stops at 2 GiB
        content = memoryview(content)[os.write(handle, content) :]


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def to_json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def write_json(path: Path, content: Any) -> None:
    write_text(path, to_json(content))


def write_sealed(path: Path, content: Any) -> None:
    """Writes a table as JSON that tells when it was damaged (`konv.core.seals`)."""
    write_text(path, sealed(content))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; what was written there is flushed and renamed only if the block succeeds."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        reached("file.flushed")
        os.replace(temporary, path)
        reached("file.renamed")
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell; the next start clears what stays
            temporary.unlink()
        raise
    sync(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Like `replacing`, for a folder: it takes its final name, which must be free or an empty folder, when all is written."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    try:
        reached("folder.made")
        yield temporary
        sync(temporary)
        reached("folder.filled")
        os.rename(temporary, path)
        reached("folder.renamed")
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync(path.parent)


def clear_temporaries(folder: Path) -> None:
    """Removes what killed writers left below a folder."""
    reached("clear.before")
    for left in sorted(folder.rglob(".*.tmp")):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def sync(place: Path) -> None:
    """Flushes a file's content or a folder's entries, so that they survive a power cut (fsync(2))."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Files that are whole or absent: nothing half-written ever bears a final name."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from konv.core.failpoints import reached


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that after a power cut the old or the new content is there, never a mixture."""
    whole = memoryview(content)
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        reached("file.opened")
        stream.write(whole[: len(whole) // 2])
        reached("file.half")
        stream.write(whole[len(whole) // 2 :])
        reached("file.written")
        stream.flush()
        os.fsync(stream.fileno())
        reached("file.flushed")


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; what was written there takes the final name only if the block succeeds."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
        reached("file.renamed")
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Like `replacing`, for a folder: it takes its final name, which must be free or an empty folder, when all is written."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    try:
        reached("folder.made")
        yield temporary
        sync_folder(temporary)
        reached("folder.filled")
        os.rename(temporary, path)
        reached("folder.renamed")
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def clear_temporaries(folder: Path) -> None:
    """Removes what killed writers left below a folder."""
    for left in sorted(folder.rglob(".*.tmp")):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries, so that a rename survives a power cut (fsync(2))."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Downloads that go on where they broke off and are checked before they bear their name."""

import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from konv.core.errors import BadData
from konv.core.files import sync
from konv.datasets._progress import report

TIMEOUT = 30  # seconds without an answer or a byte
CHUNK = 1_048_576  # bytes between two reports of progress


class Unreachable(BadData):
    """Nothing came from the address; the message is the cause."""


def download(url: str, target: Path, genuine: Callable[[Path], bool]) -> None:
    """Fetches `url` into `target` by way of TARGET.part, which stays after an interruption and is continued by the next call.

    Raises Unreachable when nothing can be had from the address, BadData when the file breaks off or is not genuine.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        continued = _size(part) > 0
        _receive(url, part)
        if continued and not genuine(part):  # the first half was of another file: once more from the start
            part.unlink()
            _receive(url, part)
        if not genuine(part):
            part.unlink()
            raise BadData(f"{url} gave a file with another content than {target.name} should have; it was thrown away.")
        _keep(part, target)
    except OSError as error:
        raise BadData(f"{part} cannot be written ({error.strerror or error}); free some space, or set KONV_DATA.") from error


def _receive(url: str, part: Path) -> None:
    have = _size(part)
    response = _answer(url, have)
    if response is None:
        return
    with response:
        continued = response.status == 206  # a server without ranges sends 200 and the whole file
        start = have if continued else 0
        total = start + response.length if response.length is not None else 0
        done, cause = _copy(response, part, "ab" if continued else "wb", start, total)
    if cause or done < total:
        raise BadData(
            f"the download of {url} broke off after {done / 1e6:.1f} of {total / 1e6:.1f} MB ({cause or 'connection closed'}); "
            "run the same command again and it goes on from there."
        )


def _answer(url: str, have: int) -> Any:
    """The open response, or None if the server says that nothing is left to send after the first `have` bytes."""
    try:
        return urlopen(Request(url, headers={"Range": f"bytes={have}-"} if have else {}), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:  # RFC 9110, 15.5.17
            return None
        raise Unreachable(f"{url} answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:  # no route, no such host, no HTTP, no address at all
        raise Unreachable(f"{url}: {getattr(error, 'reason', None) or error}") from error


def _copy(response: Any, part: Path, mode: str, done: int, total: int) -> tuple[int, str]:
    """Returns how many bytes the file has now and, if the connection failed, why."""
    with open(part, mode) as stream:
        while True:
            try:
                piece = response.read(CHUNK)
            except (OSError, HTTPException) as error:
                return done, str(error) or type(error).__name__
            if not piece:
                return done, ""
            stream.write(piece)
            done += len(piece)
            report(f"downloading {part.stem}", done, total)


def _keep(part: Path, target: Path) -> None:
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    sync(target.parent)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0

"""Progress of a slow load: whoever wants to show it hands in a function for the length of a `with` block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]  # what is going on, amount done, amount in all (0: not known)


def _silent(what: str, done: int, total: int) -> None: ...


_shown: ContextVar[Progress] = ContextVar("konv.datasets.progress", default=_silent)


@contextmanager
def reporting(progress: Progress) -> Iterator[None]:
    """Sends the progress of every load within the block to `progress`; without one, loads are silent."""
    token = _shown.set(progress)
    try:
        yield
    finally:
        _shown.reset(token)


def report(what: str, done: int, total: int) -> None:
    """Says that `done` of `total` (pictures, bytes) are done; call it from the thread that was asked to load."""
    _shown.get()(what, done, total)

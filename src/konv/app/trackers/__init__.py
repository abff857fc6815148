"""Writers of a training's numbers for other programs, one file each: `track() → Watcher`."""

from collections.abc import Sequence

from konv.app.session import Watcher
from konv.core.shelves import TRACKERS

__all__ = ["watchers"]


def watchers(names: Sequence[str]) -> list[Watcher]:
    """Returns a watcher per name, each once; raises UnknownName, or MissingExtra where the package is not installed."""
    found = dict.fromkeys(TRACKERS.find(name) for name in names)
    return [TRACKERS.take(name).track() for name in found]

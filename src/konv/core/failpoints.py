"""Named places at every boundary of a write, where a test may kill the process or fail the disk.

KONV_FAILPOINT = "NAME:COUNT:ACTION" acts when NAME is reached for the COUNT-th time: `kill` ends the process at once, as a
power cut would; the others raise what a full, broken, read-only or closed disk raises. Unset, a place costs one look-up.
"""

import errno
import os
import signal
from collections import Counter

POINTS = (
    "file.opened",
    "file.half",  # half of the content is written
    "file.written",  # not yet flushed to the disk
    "file.flushed",  # not yet under its final name
    "file.renamed",  # the folder's entry is not yet flushed
    "folder.made",
    "folder.filled",
    "folder.renamed",
    "prune.before",
    "history.before",
    "history.half",
    "lock.before",
    "clear.before",
)
ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO, "readonly": errno.EROFS, "closed": errno.EACCES}

_reached: Counter[str] = Counter()


def reached(name: str) -> None:
    """Does nothing, unless a test asked for a failure here."""
    wanted = os.environ.get("KONV_FAILPOINT")
    if wanted is None:
        return
    _reached[name] += 1
    point, count, action = wanted.split(":")
    if point != name or int(count) != _reached[name]:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(ERRORS[action], os.strerror(ERRORS[action]))

"""Where things lie on this machine."""

import os
from pathlib import Path


def data_folder() -> Path:
    """Returns where konv keeps data: $KONV_DATA, else $XDG_DATA_HOME/konv, else ~/.local/share/konv."""
    if own := os.environ.get("KONV_DATA"):
        return expanded(own)
    return expanded(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "konv"


def expanded(text: str) -> Path:
    """Returns the path with ~ replaced; `Path.expanduser` raises RuntimeError for ~ of a user that does not exist."""
    return Path(os.path.expanduser(text))  # noqa: PTH111

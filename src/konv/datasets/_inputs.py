"""From a file to one input of a trained network."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from konv.core.errors import BadData
from konv.core.view import View
from konv.datasets._pictures import read


def read_inputs(file: Path, view: View) -> NDArray[Any]:
    """Returns the raw input (C, *space) that a file gives under this View: a picture, or an array saved as .npy.

    Raises BadData with the file's name when it is neither, or when the View takes no pictures (signals, volumes, floats).
    """
    if file.suffix.lower() == ".npy":
        return _array(file, view)
    if len(view.space) != 2 or view.channels not in (1, 3) or view.scale != 255:
        kind = "uint8" if view.scale == 255 else "float32"
        raise BadData(f"{file} is no array: this classifier takes .npy files of shape {view.shape} and {kind}, not pictures.")
    height, width = view.space
    return read(file, (height, width), view.channels, view.resize, view.centre, view.interpolation)


def _array(file: Path, view: View) -> NDArray[Any]:
    try:
        values: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise BadData(f"{file} is no whole .npy file ({error}).") from error
    kind = np.dtype(np.uint8 if view.scale == 255 else np.float32)
    if values.shape != view.shape:
        raise BadData(f"{file} has the shape {values.shape}; this classifier takes {view.shape}.")
    if values.dtype.kind != kind.kind or (kind.kind == "u" and values.dtype != kind):
        raise BadData(f"{file} holds {values.dtype}; this classifier takes {kind}.")
    if kind.kind == "f" and not np.isfinite(values).all():
        raise BadData(f"{file} holds NaN or infinite numbers; replace them.")
    return values.astype(kind, copy=False)

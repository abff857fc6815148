"""Labels of arrays: whole numbers or names, turned into 0 … K − 1 and K class names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from konv.core.errors import BadData


def class_names(arrays: Mapping[str, NDArray[Any]], source: str) -> tuple[str, ...]:
    """Returns the given classes, else the different values of `labels` in their order."""
    if "classes" not in arrays:
        values = np.unique(_plain(arrays["labels"], "labels", source))
        return tuple(map(str, values.tolist()))
    given = _texts(arrays["classes"])
    if given.ndim != 1 or given.dtype.kind not in "Uiub":
        raise BadData(f"classes of {source} must be a list of names, one per label value.")
    names = tuple(map(str, given.tolist()))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData(f"classes of {source} name {twice[0]!r} more than once; every class needs its own name.")
    return names


def numbered(labels: NDArray[Any], classes: tuple[str, ...], name: str, source: str) -> NDArray[np.int64]:
    """Returns the place of every label in `classes`: by name, or by number where classes were given for numbers."""
    plain = _plain(labels, name, source)
    by_number = plain.dtype.kind in "iu" and not set(map(str, np.unique(plain).tolist())) <= set(classes)
    if by_number:
        _check_range(plain, classes, name, source)
        return plain.astype(np.int64)
    places = {text: place for place, text in enumerate(classes)}
    values, which = np.unique(plain, return_inverse=True)
    strange = [value for value in map(str, values.tolist()) if value not in places]
    if strange:
        raise BadData(f"{name} of {source} hold {strange[0]!r}, which is no class; the classes are {', '.join(classes)}.")
    return np.array([places[str(value)] for value in values.tolist()], dtype=np.int64)[which.reshape(-1)]


def _check_range(labels: NDArray[Any], classes: tuple[str, ...], name: str, source: str) -> None:
    for edge in (int(labels.min()), int(labels.max())):
        if not 0 <= edge < len(classes):
            raise BadData(f"{name} of {source} hold {edge}; with {len(classes)} classes they must lie in 0…{len(classes) - 1}.")


def _plain(labels: NDArray[Any], name: str, source: str) -> NDArray[Any]:
    """One whole number or text per sample."""
    flat = _texts(labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels)
    if flat.ndim != 1:
        raise BadData(f"{name} of {source} have the shape {labels.shape}; give one label per input, one-hot rows as argmax(1).")
    if flat.dtype.kind not in "iuU":
        raise BadData(f"{name} of {source} are {flat.dtype}; give whole numbers or names.")
    if flat.dtype.kind == "i" and flat.size and flat.min() < 0:
        raise BadData(f"{name} of {source} hold {flat.min()}; give numbers from 0, and leave out what has no label.")
    return flat


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """Bytes as text and true/false as 1/0; the rest as it is."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    return values.astype(np.int64) if values.dtype.kind == "b" else values

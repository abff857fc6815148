"""Fingerprints: sha256 over texts and arrays, by content alone."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from konv.datasets._samples import Samples


def digest(*parts: str | NDArray[np.generic]) -> str:
    """Returns the sha256 of the parts in their order; an array counts with its dtype, its shape and its values."""
    total = hashlib.sha256()
    for part in parts:
        kind, content = _content(part)
        total.update(f"{kind} {content.nbytes}\n".encode())  # lengths first, so that ("ab", "c") is not ("a", "bc")
        total.update(content)
    return total.hexdigest()


def _content(part: str | NDArray[np.generic]) -> tuple[str, memoryview]:
    if isinstance(part, str):
        return "text", memoryview(part.encode())
    return f"{part.dtype.str} {part.shape}", np.ascontiguousarray(part).data


def fingerprint(classes: tuple[str, ...], *splits: Samples) -> str:
    """Returns the sha256 of class names, inputs and labels."""
    return digest(*classes, *(array for split in splits for array in (split.inputs, split.labels)))

"""Splitting by seed, stratified: every class keeps its share in every part."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def stratified(labels: NDArray[np.int64], share: float, seed: int) -> tuple[Indices, Indices]:
    """Returns (kept, held out) indices, both ascending; `share` of each class is held out, at least one sample of a class
    that has two, and never its last one. The same labels, share and seed give the same split everywhere.
    """
    held = [_held_of_class(np.flatnonzero(labels == label), share, seed, label) for label in np.unique(labels)]
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), out), out


def _held_of_class(members: Indices, share: float, seed: int, label: int) -> Indices:
    size = len(members)
    count = 0 if size < 2 else min(size - 1, max(1, round(size * share)))
    return np.random.default_rng([seed, label]).permutation(members)[:count]

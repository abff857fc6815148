"""Samples, the sealed test split, and Data: what every source on this shelf becomes. No torch here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from konv.core.errors import BadData
from konv.core.view import View


@dataclass(frozen=True)
class Samples:
    """Inputs (N, C, *space) of uint8 or float32, labels (N,) of int64 and one id per sample.

    A part of a source shares the source's array, which may be memory-mapped, and names its rows in it; `inputs` copies
    them out.
    """

    base: NDArray[np.generic]  # (M, C, *space)
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    rows: NDArray[np.int64] = None  # type: ignore[assignment]  # (N,), every row of the base unless given

    def __post_init__(self) -> None:
        if self.rows is None:
            object.__setattr__(self, "rows", np.arange(len(self.labels)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> NDArray[np.generic]:
        """The samples' inputs, (N, C, *space)."""
        whole = len(self.rows) == len(self.base) and bool((self.rows == np.arange(len(self.base))).all())
        return self.base if whole else self.base[self.rows]

    def parts(self, size: int) -> Iterator[NDArray[np.generic]]:
        """Yields the inputs in order, `size` samples at a time."""
        return (self.base[self.rows[start : start + size]] for start in range(0, len(self), size))

    def take(self, indices: NDArray[np.int64]) -> "Samples":
        """Returns the chosen samples; no input is copied."""
        return Samples(self.base, self.labels[indices], tuple(self.ids[i] for i in indices), self.rows[indices])

    def relabelled(self, labels: NDArray[np.int64]) -> "Samples":
        """Returns the same inputs under other labels."""
        return Samples(self.base, labels, self.ids, self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, *space)."""
        return tuple(self.base.shape[1:])


class SealedSamples:
    """The test split. Its size is known; its pictures are read only by opening it, which is counted."""

    def __init__(self, opener: Callable[[], Samples], size: int, ids: tuple[str, ...]) -> None:
        self._opener = opener
        self._size = size
        self.ids = ids  # which samples are sealed is no secret

    def __len__(self) -> int:
        return self._size

    def open(self, count: Callable[[], int]) -> Samples:
        """Returns the test samples after `count` has noted the opening; `Run.count_opening` is the usual counter."""
        count()
        return self._opener()

    def __getattr__(self, name: str) -> object:
        if name in ("inputs", "labels"):
            raise BadData(f"the test split is sealed: its {name} are read only by the final evaluation, which is counted.")
        raise AttributeError(name)


@dataclass(frozen=True)
class Collection:
    """A source before it is split: what `load` of a module on this shelf returns."""

    samples: Samples
    classes: tuple[str, ...]
    fingerprint: str  # sha256 of the content: pictures, labels and class names
    test: Samples | None = None  # the source's own test split
    resize: str = "crop"  # the View's rule for pictures of another shape, and the two after it
    centre: float = 1.0
    interpolation: str = "bilinear"
    broken: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Data:
    """Train and valid samples, the sealed test samples, class names, View and fingerprint."""

    source: str
    train: Samples
    valid: Samples
    test: SealedSamples
    classes: tuple[str, ...]
    view: View
    fingerprint: str
    broken: tuple[dict[str, str], ...] = ()

    def split(self) -> dict[str, object]:
        """Returns which ids are in which split, for the run folder."""
        parts = {"train": self.train.ids, "valid": self.valid.ids, "test": self.test.ids}
        ids = {name: list(part) for name, part in parts.items()}
        return {"fingerprint": self.fingerprint, "classes": list(self.classes), **ids}

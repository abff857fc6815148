"""Receptive fields: which part of the input a value depends on, followed through torch's own operations.

Along one axis of the input a window of k values, d apart, every s values, after a padding of p, makes of a field of `size`
pixels, `stride` pixels from one value to the next and the first one centred on `start`: size + (k − 1)·d·stride, stride·s and
start + ((k − 1)·d/2 − p)·stride (Araujo et al., distill.pub/2019/computing-receptive-fields).
Statistics of a normalisation do not count. What cannot be followed is lost, never guessed.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil


@dataclass(frozen=True)
class Axis:
    """What values along one axis of the input's space see of it, in pixels."""

    size: Fraction
    stride: Fraction  # 0: every value sees the same
    start: Fraction  # centre of what the first value sees
    length: int  # number of values


@dataclass(frozen=True)
class Atom:
    """A factor of one dimension of a tensor; `axis` is the axis of the input that it runs along, if any."""

    length: int
    axis: int | None = None


Layout = tuple[tuple[Atom, ...], ...]  # dimensions of a tensor, each a product of atoms


@dataclass(frozen=True)
class Field:
    """What each value of a tensor depends on, and along which dimensions it moves."""

    axes: tuple[Axis, ...]
    layout: Layout

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(ceil(axis.size) for axis in self.axes)

    @property
    def stride(self) -> tuple[float, ...]:
        return tuple(float(axis.stride) for axis in self.axes)

    @property
    def offset(self) -> tuple[float, ...]:
        return tuple(float(axis.start) for axis in self.axes)


class Lost(Exception):
    """An operation that cannot be followed."""

"""The output size of a kernel that moves over an axis, and its formula."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


@dataclass(frozen=True)
class Window:
    """A kernel that moves over an axis: its numbers along that axis."""

    kernel: int
    stride: int = 1
    before: int = 0  # padding
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    def size(self, length: int) -> int:
        """Returns how many places the kernel finds on an axis (torch's rule, ceil mode too)."""
        room, _ = self._room(length)
        whole, rest = divmod(room, self.stride)
        places = whole + 1 + (1 if self.ceil and rest else 0)
        return places - 1 if self._dropped(length, places) else places

    def text(self, length: int) -> str:
        """Returns `(14 − 3 + 2·0)/1 + 1 = 12`, with floor or ceil where they bite."""
        room, words = self._room(length)
        quotient = f"({words})/{self.stride}"
        rest = room % self.stride
        if rest:
            quotient = f"⌈{quotient}⌉" if self.ceil else f"⌊{quotient}⌋"
        dropped = " − 1" if self.ceil and rest and self._dropped(length, room // self.stride + 2) else ""
        return f"{quotient} + 1{dropped} = {self.size(length)}"

    def _room(self, length: int) -> tuple[int, str]:
        reach = self.dilation * (self.kernel - 1) + 1
        taken = f"{self.kernel}" if self.dilation == 1 else f"{self.dilation}·({self.kernel} − 1) − 1"
        added = f"2·{self.before}" if self.before == self.after else f"{self.before} + {self.after}"
        return length + self.before + self.after - reach, f"{length} − {taken} + {added}"

    def _dropped(self, length: int, places: int) -> bool:
        """In ceil mode a last window that would start in the padding behind the input is left out."""
        return self.ceil and (places - 1) * self.stride >= length + self.before


@dataclass(frozen=True)
class Spread:
    """A kernel of a transposed convolution along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    extra: int  # output padding

    def size(self, length: int) -> int:
        return (length - 1) * self.stride - 2 * self.padding + self.dilation * (self.kernel - 1) + self.extra + 1

    def text(self, length: int) -> str:
        reach = f"{self.kernel}" if self.dilation == 1 else f"{self.dilation}·({self.kernel} − 1) + 1"
        extra = f" + {self.extra}" if self.extra else ""
        return f"({length} − 1)·{self.stride} − 2·{self.padding} + {reach}{extra} = {self.size(length)}"


def along(axes: Sequence[str]) -> str:
    """Returns one text where all axes have the same, else each behind the name of its axis."""
    if len(set(axes)) == 1:
        return axes[0]
    return ", ".join(f"{name}: {text}" for name, text in zip(AXES[len(axes)], axes, strict=True))


def sides_of(value: Any, count: int) -> tuple[int, ...]:
    """Returns one number per axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * count if len(values) == 1 else values


def slid(space: Sequence[int], windows: Sequence[Window]) -> tuple[tuple[int, ...], str]:
    """Returns the output sizes of all axes and their formulas in one text."""
    sizes = tuple(window.size(length) for window, length in zip(windows, space, strict=True))
    return sizes, along([window.text(length) for window, length in zip(windows, space, strict=True)])


def padding_of(padding: Any, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """Returns (before, after) per axis; `same` puts the odd one behind, as torch does."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        reaches = [step * (side - 1) for side, step in zip(kernel, dilation, strict=True)]
        return [(reach // 2, reach - reach // 2) for reach in reaches]
    return [(side, side) for side in sides_of(padding, len(kernel))]


def parted(length: int, parts: int) -> str:
    """Returns the formula of an adaptive pooling along one axis."""
    if length % parts == 0:
        side = length // parts
        return Window(side, side).text(length)
    return f"⌊i·{length}/{parts}⌋ … ⌈(i + 1)·{length}/{parts}⌉, i < {parts}"

"""Confusion matrix: rows true, columns predicted; right answers blue, mistakes orange, shaded by the share of the row."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from konv.app.figures._sheet import INKS, Sheet, columns, dress, finish, percent, sheet, short
from konv.app.report.words import Texts, load
from konv.core.results import Report

ANNOTATED = 20  # classes; with more, the numbers would not be legible
WITH_SHARES = 12  # classes whose cells have room for the share below the count
NAMED = 50  # classes; with more, rows bear their number instead
BEND = 0.4  # exponent from share to opacity
LEGEND = (0.01, 0.1, 0.5, 1.0)


def draw(report: Report, texts: Texts | None = None) -> Sheet:
    """Returns the heat map; at most 20 classes have their counts written in, at most 12 their shares too."""
    words = (texts or load("en"))["figures"]
    counts = np.array(report.confusion, dtype=np.int64)  # (true, predicted)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = sheet(*_size(report.classes))
    axes = dress(figure.subplots(), words["confusion"])
    axes.imshow(_shades(shares), interpolation="none", aspect="equal", zorder=1)
    _frame(axes, report.classes, words)
    if len(counts) <= ANNOTATED:
        _annotate(axes, counts, shares)
    _legend(axes, words["row_share"], 2.8 / _side(len(counts)))
    return finish(figure)


def opacity(share: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns how strong a share is inked: bent upwards, so that one in a hundred can still be seen."""
    return np.power(share, BEND)


def _shades(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, K) → (K, K, 4): one ink on the diagonal, another beside it, the share as opacity."""
    picture = np.empty((*shares.shape, 4))
    picture[..., :3] = to_rgb(INKS["heat-wrong"])
    picture[np.diag_indices(len(shares))] = (*to_rgb(INKS["heat-right"]), 1)
    picture[..., 3] = opacity(shares)
    return picture


def _size(classes: tuple[str, ...]) -> tuple[float, float]:
    count = len(classes)
    side = _side(count)
    room = 0.085 * _label_width(classes) if count <= NAMED else 0.4
    return side + room + 0.4, side + room * (0.75 if count > 4 else 0.1) + 0.9


def _side(count: int) -> float:
    """Returns the side of the heat map, inches."""
    return min(7.4, max(3.0, 0.62 * count)) if count <= WITH_SHARES else 7.6


def _label_width(classes: tuple[str, ...]) -> int:
    return max(columns(short(name, _limit(len(classes)))) for name in classes)


def _limit(count: int) -> int:
    return 20 if count <= ANNOTATED else 14


def _frame(axes: Axes, classes: tuple[str, ...], words: dict[str, str]) -> None:
    count = len(classes)
    axes.spines[:].set(visible=True, color=INKS["line"], linewidth=0.8)
    axes.set_xlabel(words["predicted"], fontsize=9, color=INKS["soft"])
    axes.set_ylabel(words["true"], fontsize=9, color=INKS["soft"])
    if count > NAMED:
        numbers = [0, *range(9, count, 10)] if count <= 100 else [0, *range(count // 10 - 1, count, count // 10)]
        axes.set_xticks(numbers, [str(number + 1) for number in numbers])
        axes.set_yticks(numbers, [str(number + 1) for number in numbers])
        return
    names = [short(name, _limit(count)) for name in classes]
    size = 9 if count <= ANNOTATED else 6.5
    axes.set_yticks(range(count), names, fontsize=size, color=INKS["ink"], parse_math=False)
    wide = max(map(columns, names)) > (8 if count <= 10 else 2)
    tilt: dict[str, Any] = {"rotation": 40, "ha": "right", "va": "top", "rotation_mode": "anchor"} if wide else {}
    axes.set_xticks(range(count), names, fontsize=size, color=INKS["ink"], parse_math=False, **tilt)
    if count <= ANNOTATED:
        lines = np.arange(0.5, count - 1)
        axes.hlines(lines, -0.5, count - 0.5, color=INKS["paper"], linewidth=1.4, zorder=2)
        axes.vlines(lines, -0.5, count - 0.5, color=INKS["paper"], linewidth=1.4, zorder=2)


def _annotate(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    both = len(counts) <= WITH_SHARES
    point = len(counts) / _side(len(counts)) / 72  # of type, in cells
    for row, column in np.argwhere(counts):
        middle: dict[str, Any] = {"ha": "center", "va": "center_baseline", "color": INKS["ink"], "zorder": 3}
        axes.text(column, row - (4 * point if both else 0), f"{counts[row, column]:,}", fontsize=8.5 if both else 7.5, **middle)
        if both:
            axes.text(column, row + 7 * point, percent(shares[row, column]), fontsize=6.5, **middle)


def _legend(axes: Axes, caption: str, width: float) -> None:
    """Four pairs of squares at the top right: how strong which share is inked; `width` is a share of the heat map's."""
    place = axes.inset_axes((1 - width, 1.01, width, 0.118 * width))
    place.set(xlim=(0, 8), ylim=(0, 1))
    place.axis("off")
    place.text(3.1, 0.5, caption, ha="right", va="center_baseline", fontsize=7.5, color=INKS["soft"])
    for number, share in enumerate(LEGEND):
        for half, ink in enumerate(("heat-right", "heat-wrong")):
            left = 3.4 + 1.17 * number + 0.28 * half
            place.add_patch(Rectangle((left, 0.62), 0.28, 0.38, color=INKS[ink], alpha=float(opacity(share)), linewidth=0))
        place.text(
            3.68 + 1.17 * number, 0.22, f"{share:.0%}", ha="center", va="center_baseline", fontsize=7, color=INKS["soft"]
        )

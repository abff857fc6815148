"""Small lessons on a real picture: what a kernel, stride, padding, dilation and pooling do to it, each computed by torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from torch import Tensor

from konv.app.figures._sheet import INKS, Sheet, finish, sheet
from konv.app.report.words import Texts

VERTICAL = ((1, 0, -1), (1, 0, -1), (1, 0, -1))
HORIZONTAL = ((1, 1, 1), (0, 0, 0), (-1, -1, -1))
SIGNED = LinearSegmentedColormap.from_list("signed", [INKS["valid"], INKS["paper"], INKS["train"]])
CREDIT = "china.jpg, danielbuechele, CC BY 2.0, scikit-learn"


@dataclass(frozen=True)
class Panel:
    """One picture of a lesson with the words above and below it."""

    values: Tensor  # (H, W)
    above: str
    below: str
    signed: bool = False


def picture() -> Tensor:
    """Returns a grey picture of a tower, (160, 160) in 0…1, from the photograph that comes with scikit-learn."""
    from sklearn.datasets import load_sample_image

    colour = torch.from_numpy(np.array(load_sample_image("china.jpg"))).float() / 255  # (427, 640, 3)
    weights = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601
    grey = (colour[20:340, 55:375] @ weights)[None, None]
    return F.avg_pool2d(grey, 2)[0, 0]


def slid(values: Tensor, kernel: Sequence[Sequence[float]], **options: Any) -> Tensor:
    """Returns the picture after one convolution, (H', W')."""
    return F.conv2d(values[None, None], torch.tensor(kernel, dtype=torch.float32)[None, None], **options)[0, 0]


def draw(name: str, texts: Texts) -> Sheet:
    """Returns the sheet of one lesson: edges, stride, padding, dilation or pooling."""
    return _LESSONS[name](picture(), texts["lessons"])


def names() -> list[str]:
    return list(_LESSONS)


# ---- lessons -----------------------------------------------------------------------------------------------------


def _edges(values: Tensor, words: Texts) -> Sheet:
    upright, level = slid(values, VERTICAL), slid(values, HORIZONTAL)
    figure = sheet(9.6, 3.9)
    grid = figure.subplots(1, 3)
    _show(grid[0], Panel(values, words["picture"], _size(values)))
    for axes, found, kernel, above in ((grid[1], upright, VERTICAL, "vertical"), (grid[2], level, HORIZONTAL, "horizontal")):
        _show(axes, Panel(found, words[above], f"(160 − 3 + 2·0)/1 + 1 = {found.shape[-1]}", signed=True))
        _kernel(axes, kernel)
    return finish(figure)


def _stride(values: Tensor, words: Texts) -> Sheet:
    sums = {1: "(160 − 3 + 2·0)/1 + 1 = 158", 2: "⌊(160 − 3 + 2·0)/2⌋ + 1 = 79", 4: "⌊(160 − 3 + 2·0)/4⌋ + 1 = 40"}
    found = {step: slid(values, VERTICAL, stride=step) for step in sums}
    panels = [Panel(part, words["stride"].format(stride=step), sums[step], signed=True) for step, part in found.items()]
    return _to_scale(panels, spare=1.2)


def _padding(values: Tensor, words: Texts) -> Sheet:
    """A wide average shows what stands beyond the edge."""
    side = 17
    blur = [[1 / side**2] * side] * side
    none = slid(values, blur)
    zeros = slid(values, blur, padding=side // 2)
    mirrored = slid(F.pad(values[None, None], [side // 2] * 4, mode="reflect")[0, 0], blur)
    panels = [
        Panel(none, words["no_padding"], f"(160 − 17 + 2·0)/1 + 1 = {none.shape[-1]}"),
        Panel(zeros, words["zeros"], f"(160 − 17 + 2·8)/1 + 1 = {zeros.shape[-1]}"),
        Panel(mirrored, words["mirrored"], f"(160 − 17 + 2·8)/1 + 1 = {mirrored.shape[-1]}"),
    ]
    return _to_scale(panels)


def _dilation(values: Tensor, words: Texts) -> Sheet:
    figure = sheet(9.6, 7.0)
    grid = figure.subplots(2, 3)
    for column, apart in enumerate((1, 3, 6)):
        found = slid(values, VERTICAL, dilation=apart)
        _taps(grid[0][column], values, apart, words)
        text = f"(160 − {apart}·(3 − 1) − 1 + 2·0)/1 + 1 = {found.shape[-1]}" if apart > 1 else "(160 − 3 + 2·0)/1 + 1 = 158"
        _show(grid[1][column], Panel(found, "", text, signed=True))
    return finish(figure)


def _pooling(values: Tensor, words: Texts) -> Sheet:
    window = 5
    stacked = values[None, None]
    largest, mean = F.max_pool2d(stacked, window)[0, 0], F.avg_pool2d(stacked, window)[0, 0]
    text = f"(160 − {window} + 2·0)/{window} + 1 = {mean.shape[-1]}"
    return _row(
        [
            Panel(values, words["picture"], _size(values)),
            Panel(largest, words["maximum"], text),
            Panel(mean, words["average"], text),
        ]
    )


_LESSONS = {"edges": _edges, "stride": _stride, "padding": _padding, "dilation": _dilation, "pooling": _pooling}


# ---- on paper ----------------------------------------------------------------------------------------------------


def _row(panels: list[Panel]) -> Sheet:
    figure = sheet(9.6, 3.9)
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _show(axes, panel)
    return finish(figure)


def _to_scale(panels: list[Panel], spare: float = 0.0) -> Sheet:
    """Places pictures side by side, all pixels of one size; `spare` inches stay free at the right."""
    width, side, gap, above, below = 9.6, 0.1, 0.25, 0.4, 0.4  # inches
    room = width - 2 * side - gap * (len(panels) - 1) - spare
    pixel = room / sum(panel.values.shape[1] for panel in panels)
    height = above + below + pixel * max(panel.values.shape[0] for panel in panels)
    figure = sheet(width, height)
    figure.set_layout_engine("none")
    left = side
    for panel in panels:
        tall, wide = (pixel * length for length in panel.values.shape)
        _show(figure.add_axes((left / width, 1 - (above + tall) / height, wide / width, tall / height)), panel)
        left += wide + gap
    return finish(figure)


def _show(axes: Axes, panel: Panel) -> None:
    reach = float(panel.values.abs().quantile(0.995)) if panel.signed else 1.0
    colours = {"cmap": SIGNED, "vmin": -reach, "vmax": reach} if panel.signed else {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
    axes.imshow(panel.values.numpy(), interpolation="nearest", **colours)  # type: ignore[arg-type]
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=INKS["line"], linewidth=0.8)
    if panel.above:
        axes.set_title(panel.above, loc="left", fontsize=10, color=INKS["ink"], pad=8)
    axes.set_xlabel(panel.below, fontsize=8.5, color=INKS["soft"], labelpad=7, loc="left")


def _size(values: Tensor) -> str:
    return f"{values.shape[0]}×{values.shape[1]}"


def _kernel(axes: Axes, kernel: Sequence[Sequence[int]]) -> None:
    """Writes the nine numbers into the corner of the picture."""
    place = axes.inset_axes((0.715, 0.715, 0.285, 0.285))
    place.set(xlim=(0, 3), ylim=(3, 0), xticks=[], yticks=[], facecolor=INKS["paper"])
    place.spines[:].set(color=INKS["line"], linewidth=0.8)
    for row, values in enumerate(kernel):
        for column, value in enumerate(values):
            ink = INKS["train"] if value > 0 else INKS["valid"] if value < 0 else INKS["soft"]
            text = str(value).replace("-", "−")
            place.text(column + 0.5, row + 0.5, text, ha="center", va="center_baseline", fontsize=8, color=ink)


def _taps(axes: Axes, values: Tensor, apart: int, words: Texts) -> None:
    """Shows a corner of the picture with the nine values that the kernel meets there."""
    top, left, side = 44, 40, 24
    _show(
        axes,
        Panel(values[top : top + side, left : left + side], words["dilation"].format(dilation=apart, reach=2 * apart + 1), ""),
    )
    middle = side // 2
    for row in range(-1, 2):
        for column in range(-1, 2):
            ink = INKS["train"] if column < 0 else INKS["valid"] if column > 0 else INKS["soft"]
            corner = (middle + apart * column - 0.5, middle + apart * row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=ink, edgecolor=INKS["paper"], linewidth=1.2))

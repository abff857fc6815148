"""A grid of scored pictures: green frame and ✓ for a right answer, red frame and ✗ for a mistake."""

from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from konv.app.figures._sheet import INKS, Sheet, finish, percent, sheet, short
from konv.app.report.words import Texts, load
from konv.core.errors import BadRun
from konv.core.results import Example

MOST = 60  # pictures on one sheet
COLUMNS = 10
STEP = (1.0, 1.42)  # of the grid, in picture widths: beside and below


def draw(examples: Sequence[Example], classes: Sequence[str], texts: Texts | None = None) -> Sheet:
    """Returns the first 60 examples in their order; raises BadRun for a thumbnail that is no PNG."""
    words = (texts or load("en"))["figures"]
    shown = examples[:MOST]
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = sheet(COLUMNS * 0.95, rows * 1.32 + 0.4)
    axes = figure.subplots()
    axes.axis("off")
    for number, example in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        _place(axes, example, classes, column * STEP[0], row * STEP[1])
    axes.set(xlim=(-0.02, COLUMNS * STEP[0]), ylim=(rows * STEP[1], -0.05), aspect="equal")
    axes.set_title(words["predictions"], loc="left", fontsize=10.5, color=INKS["ink"], pad=10)
    return finish(figure)


def _place(axes: Axes, example: Example, classes: Sequence[str], left: float, top: float) -> None:
    right = example.label == example.predicted
    ink, sign = (INKS["right"], "✓") if right else (INKS["wrong"], "✗")
    side = 0.88
    if example.thumbnail:
        axes.imshow(picture(example), extent=(left, left + side, top + side, top), interpolation="nearest", zorder=1)
    axes.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=ink, linewidth=1.6, zorder=2))
    says = f"{sign} {short(classes[example.predicted], 13)}"
    axes.text(left, top + side + 0.13, says, fontsize=6.3, color=ink)
    below = percent(example.confidence) if right else f"({short(classes[example.label], 11)}) {percent(example.confidence)}"
    axes.text(left, top + side + 0.28, below, fontsize=5.8, color=INKS["soft"])


def picture(example: Example) -> NDArray[np.uint8]:
    """Returns the thumbnail, (H, W, 3)."""
    try:
        with Image.open(BytesIO(b64decode(example.thumbnail)), formats=("PNG",)) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError):
        raise BadRun(f"examples.json holds a damaged thumbnail for picture {example.id!r}.") from None

"""What every figure shares: inks, fonts, an empty sheet, and its PNG or SVG."""

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Literal

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

# Every ink is used for one meaning, so that a page can swap it for its dark counterpart.
INKS = {
    "ink": "#1d2530",
    "soft": "#5a6573",
    "line": "#dfe1dd",
    "paper": "#ffffff",
    "train": "#a8561c",
    "valid": "#1f5f9e",
    "right": "#1b7a58",
    "wrong": "#b2382f",
    "heat-right": "#8fb8e2",
    "heat-wrong": "#e7a06b",
}
FAMILIES = ["DejaVu Sans", "Konv Hangul"]  # Latin comes with matplotlib, Hangul with konv: nothing is asked of the machine
FONT = Path(__file__).parents[1] / "fonts" / "NanumGothic-Hangul.ttf"
PIXELS_PER_INCH = 160
_drawing = Lock()  # matplotlib's settings and Python's warning filters belong to the whole process


class Sheet(Figure):
    """A matplotlib Figure on paper ink that shows itself in a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self)


def sheet(width: float, height: float) -> Sheet:
    """Returns an empty figure, sides in inches."""
    _add_font()
    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.09)
    return Sheet(figsize=(width, height), layout=layout, facecolor=INKS["paper"])


@lru_cache
def _add_font() -> None:
    font_manager.fontManager.addfont(FONT)


def dress(axes: Axes, title: str = "") -> Axes:
    """Gives axes the house look: two thin lines, quiet ticks, a title at the left."""
    axes.set_facecolor(INKS["paper"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=INKS["line"], linewidth=0.8)
    axes.tick_params(length=0, pad=5, labelsize=8.5, labelcolor=INKS["soft"], color=INKS["line"], labelfontfamily=FAMILIES[0])
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, loc="left", fontsize=10.5, color=INKS["ink"], pad=10)
    return axes


def finish(figure: Sheet) -> Sheet:
    """Gives every text fonts that hold Hangul, takes `$` in a name as it stands, and lays the sheet out once for all."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily(FAMILIES)
        text.set_parse_math(False)
    with _drawing, _quiet(), rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.draw_without_rendering()
        figure.set_layout_engine(None)  # "none" would leave a placeholder, for which every save draws the figure twice
    return figure


def percent(share: float) -> str:
    """Returns whole percents, or tenths near both ends, where they matter; what is not everything is never 100%."""
    near = share < 0.1 or 0.99 <= share < 1
    return f"{min(share, 0.999) if share < 1 else share:.{1 if near else 0}%}"


def short(name: str, width: int) -> str:
    """Returns a name of at most `width` columns (Hangul takes two), cut in the middle, safe to draw."""
    name = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in name).strip() or "?"
    if columns(name) <= width:
        return name
    tail = _fitting(name[::-1], width // 3)[::-1]
    return f"{_fitting(name, width - 1 - columns(tail))}…{tail}"


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _fitting(text: str, width: int) -> str:
    while columns(text) > width:
        text = text[:-1]
    return text


# ---- on paper ----------------------------------------------------------------------------------------------------


def png(figure: Figure) -> bytes:
    """Returns the figure as a PNG, the same bytes for the same figure."""
    return _saved(figure, "png", "path")


def svg(figure: Figure, text: Literal["path", "none"] = "path") -> str:
    """Returns the figure as SVG: letters as outlines, right everywhere (`path`), or as text in a page's fonts (`none`)."""
    return _saved(figure, "svg", text).decode("utf-8")


def _saved(figure: Figure, kind: str, text: str) -> bytes:
    stream = BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with _drawing, rc_context({"svg.fonttype": text, "svg.hashsalt": "konv"}), _quiet():
        figure.savefig(stream, format=kind, dpi=PIXELS_PER_INCH if kind == "png" else 72, metadata=metadata)
    return stream.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as a box; nobody can act on it
        yield

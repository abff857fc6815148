"""Figures: drawn from numbers alone, the same each time, right whatever the names, without global state."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sample_run
from fontTools.ttLib import TTFont
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.text import Text

from konv.app.figures import _sheet, calibration, confusion, curves, per_class, predictions
from konv.app.report import words
from konv.core.errors import BadRun
from konv.core.results import Bin, Example, Report

KOREAN = words.load("ko")
NAMES = ("셔츠", "$\\frac{1}{0}$", "<b>&amp;", "x" * 300, "\x00\x1b")


def made(classes: tuple[str, ...], per_class_count: int = 40) -> Report:
    random = np.random.default_rng(0)
    return sample_run.report(classes, per_class_count, random, epochs=3, openings=1, source="digits", model="plain")


def examples(count: int, classes: int) -> list[Example]:
    return sample_run.pictures(count, classes, np.random.default_rng(0))


DRAWN: dict[str, Callable[[], Figure]] = {
    "curves": lambda: curves.draw(sample_run.history(5), KOREAN),
    "curves, one epoch": lambda: curves.draw(sample_run.history(1), KOREAN),
    "curves, no epoch": lambda: curves.draw([], KOREAN),
    "confusion, 2": lambda: confusion.draw(made(("cat", "dog")), KOREAN),
    "confusion, names": lambda: confusion.draw(made(NAMES), KOREAN),
    "confusion, 20": lambda: confusion.draw(made(tuple(f"kind {number}" for number in range(20))), KOREAN),
    "confusion, 30": lambda: confusion.draw(made(tuple(f"kind {number}" for number in range(30))), KOREAN),
    "confusion, 120": lambda: confusion.draw(made(tuple(f"kind {number}" for number in range(120))), KOREAN),
    "calibration": lambda: calibration.draw(made(NAMES), KOREAN),
    "calibration, empty": lambda: calibration.draw(made(NAMES).model_copy(update={"calibration": ()}), KOREAN),
    "per class": lambda: per_class.draw(made(NAMES), KOREAN),
    "per class, 120": lambda: per_class.draw(made(tuple(f"kind {number}" for number in range(120))), KOREAN),
    "predictions": lambda: predictions.draw(examples(11, len(NAMES)), NAMES, KOREAN),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_is_drawn_whole(name: str) -> None:
    figure = DRAWN[name]()
    outlines, letters = _sheet.svg(figure), _sheet.svg(figure, "none")
    for drawn in (outlines, letters):
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert "<text" not in outlines
    assert "<text" in letters
    assert len(outlines) < 300_000


def test_a_figure_shows_itself_in_a_notebook() -> None:
    figure = curves.draw(sample_run.history(3))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_english_is_what_is_drawn_without_texts() -> None:
    found = [text.get_text() for text in curves.draw(sample_run.history(3)).findobj(Text)]
    assert {"Loss", "Accuracy", "Learning rate", "Epoch"} <= set(found)


def test_counts_are_written_for_few_classes_only() -> None:
    few, many = (confusion.draw(made(tuple(f"kind {number}" for number in range(count)), 1234)) for count in (3, 21))
    diagonal = [f"{row[index]:,}" for index, row in enumerate(made(("a", "b", "c"), 1234).confusion)]
    assert set(diagonal) <= {text.get_text() for text in few.axes[0].texts}
    assert not many.axes[0].texts


def test_threads_draw_what_one_draws() -> None:
    def draw(_: int) -> bytes:
        return _sheet.png(per_class.draw(made(NAMES), KOREAN))

    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(draw, range(3)))
    assert drawn == {draw(0)}


def test_a_dark_notebook_changes_no_paper() -> None:
    before = _sheet.svg(per_class.draw(made(NAMES)))
    with style.context("dark_background"):
        assert _sheet.svg(per_class.draw(made(NAMES))) == before


def test_drawing_loads_neither_pyplot_nor_torch() -> None:
    code = "import sys, konv.app.report.page; sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_damaged_thumbnail_is_named() -> None:
    broken = examples(1, 2)[0].model_copy(update={"thumbnail": "bm90IGEgcGljdHVyZQ=="})
    with pytest.raises(BadRun, match="damaged thumbnail for picture 'test:0'"):
        predictions.draw([broken], ("a", "b"))


def test_an_example_without_a_picture_keeps_its_place() -> None:
    empty = examples(1, 2)[0].model_copy(update={"thumbnail": ""})
    assert predictions.draw([empty], ("a", "b")).axes[0].texts


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("shirt", 10, "shirt"),
        ("a very long name number 7", 12, "a very …er 7"),
        ("가나다라마바사", 8, "가나…사"),
        ("tab\tand\x00nothing", 20, "tab and nothing"),
        ("\x00", 5, "?"),
    ],
)
def test_long_names_are_cut_in_the_middle(name: str, width: int, expected: str) -> None:
    assert _sheet.short(name, width) == expected
    assert _sheet.columns(_sheet.short(name, width)) <= width


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "0.0%"), (0.034, "3.4%"), (0.5, "50%"), (0.995, "99.5%"), (0.9999, "99.9%"), (1, "100%")]
)
def test_less_than_everything_is_never_called_everything(share: float, expected: str) -> None:
    assert _sheet.percent(share) == expected


def test_intervals_of_ranges_are_wilsons() -> None:
    low, high = calibration.interval(Bin(confidence=0.9, accuracy=0.9, pictures=10))
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)  # statsmodels proportion_confint(9, 10, method="wilson")


def test_the_shipped_font_holds_hangul_and_bears_its_own_name() -> None:
    font = TTFont(_sheet.FONT)
    assert set(range(0xAC00, 0xD7A4)) <= set(font.getBestCmap())
    names = {record.nameID: str(record) for record in font["name"].names}
    assert names[1] == "Konv Hangul"
    assert not [text for number, text in names.items() if number in (1, 3, 4, 6) and "nanum" in text.lower()]
    assert Path(_sheet.FONT).stat().st_size < 1_500_000
    assert "SIL OPEN FONT LICENSE" in _sheet.FONT.with_name("OFL.txt").read_text(encoding="utf-8")

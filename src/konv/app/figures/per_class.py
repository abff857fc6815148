"""Precision, recall and F1 of every class: a bar for F1, two marks on it for what it is made of."""

from typing import Any

from matplotlib.ticker import PercentFormatter

from konv.app.figures._sheet import INKS, Sheet, dress, finish, sheet, short
from konv.app.report.words import Texts, load
from konv.core.results import Report

MOST = 60  # classes on one sheet; of more, the weakest are drawn


def draw(report: Report, texts: Texts | None = None) -> Sheet:
    """Returns horizontal bars in the order of the classes; above 60 classes, the weakest 60 with the weakest first."""
    words = (texts or load("en"))["figures"]
    scores, title = report.per_class, words["per_class"]
    if len(scores) > MOST:
        scores = tuple(sorted(scores, key=lambda score: score.f1)[:MOST])
        title = words["per_class_weakest"].format(count=MOST, all=len(report.per_class))
    figure = sheet(7.2, 1.2 + 0.27 * len(scores))
    axes = dress(figure.subplots(), title)
    rows = range(len(scores))
    axes.barh(rows, [score.f1 for score in scores], height=0.62, color=INKS["heat-right"], linewidth=0, label=words["f1"])
    marks: dict[str, Any] = {"linestyle": "none", "markersize": 5, "markeredgewidth": 1.4, "zorder": 3}
    axes.plot([score.precision for score in scores], rows, marker="|", color=INKS["train"], label=words["precision"], **marks)
    axes.plot([score.recall for score in scores], rows, marker="x", color=INKS["valid"], label=words["recall"], **marks)
    names = [short(score.name, 32) for score in scores]
    axes.set_yticks(rows, names, fontsize=8.5, color=INKS["ink"], parse_math=False)
    axes.set(xlim=(0, 1.01), ylim=(len(scores) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", color=INKS["line"], linewidth=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.3 / len(scores) - 0.02), ncols=3, frameon=False, fontsize=8.5,
                labelcolor=INKS["soft"])  # fmt: skip
    return finish(figure)

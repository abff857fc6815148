"""Reliability diagram: how often the network is right against how sure it was (arxiv.org/abs/1706.04599)."""

from math import sqrt

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from konv.app.figures._sheet import INKS, Sheet, dress, finish, sheet
from konv.app.report.words import Texts, load
from konv.core.results import Bin, Report

BINS = 15  # equal ranges of confidence
Z = 1.96  # standard deviations that hold 95 % of a normal distribution


def draw(report: Report, texts: Texts | None = None) -> Sheet:
    """Returns the diagram with the number of pictures of each range below it."""
    words = (texts or load("en"))["figures"]
    bins = [part for part in report.calibration if part.pictures]
    figure = sheet(4.7, 5.2)
    above, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    _diagram(dress(above, words["calibration"]), bins, words)
    _amounts(dress(below), bins, words)
    error = words["error"].format(error=report.expected_calibration_error)
    above.text(0.98, 0.04, error, transform=above.transAxes, ha="right", fontsize=8.5, color=INKS["soft"])
    return finish(figure)


def _diagram(axes: Axes, bins: list[Bin], words: dict[str, str]) -> None:
    axes.plot([0, 1], [0, 1], color=INKS["soft"], linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.055, 0.085, words["honest"], rotation=45, rotation_mode="anchor", fontsize=8.5, color=INKS["soft"],
              transform_rotates_text=True)  # fmt: skip
    sure, right = [part.confidence for part in bins], [part.accuracy for part in bins]
    most = max((part.pictures for part in bins), default=1)
    for part in bins:
        axes.vlines(part.confidence, *interval(part), color=INKS["heat-right"], linewidth=2.4)
    area = [16 + 130 * part.pictures / most for part in bins]
    axes.scatter(sure, right, s=area, color=INKS["valid"], edgecolor=INKS["paper"], linewidth=1.2, zorder=3)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03))
    axes.set_ylabel(words["right_share"], fontsize=8.5, color=INKS["soft"])
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color=INKS["line"], linewidth=0.6)


def interval(part: Bin) -> tuple[float, float]:
    """Returns the 95 % interval of a range's share of right answers (Wilson, doi.org/10.1080/01621459.1927.10502953)."""
    count, share = part.pictures, part.accuracy
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _amounts(axes: Axes, bins: list[Bin], words: dict[str, str]) -> None:
    middles = [(min(int(part.confidence * BINS), BINS - 1) + 0.5) / BINS for part in bins]
    axes.bar(middles, [part.pictures for part in bins], width=0.9 / BINS, color=INKS["heat-right"], linewidth=0)
    axes.set_ylabel(words["pictures"], fontsize=8.5, color=INKS["soft"])
    axes.set_xlabel(words["confidence"], fontsize=8.5, color=INKS["soft"])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=2, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=INKS["line"], linewidth=0.6)

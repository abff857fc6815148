"""Loss, accuracy and learning rate over the epochs."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from konv.app.figures._sheet import INKS, Sheet, dress, finish, sheet
from konv.app.report.words import Texts, load
from konv.core.results import Epoch

Panel = Callable[[Axes, Sequence[Epoch], Texts], None]


def draw(history: Sequence[Epoch], texts: Texts | None = None) -> Sheet:
    """Returns the three panels on one sheet."""
    figure = sheet(9.2, 6)
    grid = figure.subplot_mosaic([["loss", "accuracy"], ["rate", "rate"]], height_ratios=[3, 2])
    for name, panel in PANELS.items():
        panel(grid[name], history, texts or load("en"))
    return finish(figure)


def draw_panel(name: str, history: Sequence[Epoch], texts: Texts | None = None) -> Sheet:
    """Returns one panel on its own: `loss`, `accuracy` or `rate`."""
    figure = sheet(4.6, 2.3 if name == "rate" else 3.1)
    PANELS[name](figure.subplots(), history, texts or load("en"))
    return finish(figure)


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Returns the epoch with the highest validation accuracy; of several, the one with the lowest validation loss."""
    return max(history, key=lambda epoch: (epoch.valid_accuracy, -epoch.valid_loss if isfinite(epoch.valid_loss) else -1e30))


def _loss(axes: Axes, history: Sequence[Epoch], texts: Texts) -> None:
    words = texts["figures"]
    dress(axes, words["loss"])
    _pair(axes, history, [epoch.loss for epoch in history], [epoch.valid_loss for epoch in history], texts)


def _accuracy(axes: Axes, history: Sequence[Epoch], texts: Texts) -> None:
    words = texts["figures"]
    dress(axes, words["accuracy"])
    _pair(axes, history, [epoch.accuracy for epoch in history], [epoch.valid_accuracy for epoch in history], texts)
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="%"))


def _rate(axes: Axes, history: Sequence[Epoch], texts: Texts) -> None:
    dress(axes, texts["figures"]["learning_rate"])
    rates = [epoch.learning_rate for epoch in history]
    axes.plot(_numbers(history), rates, color=INKS["soft"], linewidth=1.6, **_dots(history))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, max(rates, default=0) * 1.12 or 1)
    _epochs(axes, history, texts)


def _pair(axes: Axes, history: Sequence[Epoch], train: list[float], valid: list[float], texts: Texts) -> None:
    words, numbers = texts["figures"], _numbers(history)
    dots = _dots(history)
    axes.plot(numbers, train, color=INKS["train"], linewidth=1.5, linestyle=(0, (4, 1.6)), label=words["train"], **dots)
    axes.plot(numbers, valid, color=INKS["valid"], linewidth=1.9, label=words["valid"], **dots)
    if history:
        _mark_best(axes, best_epoch(history), valid[history.index(best_epoch(history))], texts)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.01, 0.995), ncols=3, frameon=False, fontsize=8.5,
        labelcolor=INKS["soft"], handlelength=1.7, handletextpad=0.5, columnspacing=1.2, borderaxespad=0.3,
    )  # fmt: skip
    _epochs(axes, history, texts)


def _mark_best(axes: Axes, best: Epoch, height: float, texts: Texts) -> None:
    axes.axvline(best.epoch, color=INKS["soft"], linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    ring: dict[str, Any] = {"markerfacecolor": INKS["paper"], "markeredgecolor": INKS["valid"], "markeredgewidth": 1.7}
    label = texts["figures"]["best"].format(best=best.epoch)
    axes.plot([best.epoch], [height], linestyle="none", marker="o", markersize=6.5, label=label, **ring)


def _epochs(axes: Axes, history: Sequence[Epoch], texts: Texts) -> None:
    numbers = _numbers(history) or [1]
    room = 0.5 if len(numbers) == 1 else 0.02 * (numbers[-1] - numbers[0])
    axes.set_xlim(numbers[0] - room, numbers[-1] + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    axes.set_xlabel(texts["figures"]["epoch"], fontsize=8.5, color=INKS["soft"])
    axes.grid(axis="y", color=INKS["line"], linewidth=0.7)


def _numbers(history: Sequence[Epoch]) -> list[int]:
    return [epoch.epoch for epoch in history]


def _dots(history: Sequence[Epoch]) -> dict[str, Any]:
    """A line through fewer than a dozen points shows the points."""
    return {"marker": "o", "markersize": 3} if len(history) < 12 else {}


PANELS: dict[str, Panel] = {"loss": _loss, "accuracy": _accuracy, "rate": _rate}

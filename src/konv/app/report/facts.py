"""The few numbers a reader looks for first, each with a sentence that says what it is."""

from dataclasses import dataclass

from konv.app.figures.curves import best_epoch
from konv.app.report.words import Texts
from konv.core.results import Epoch, Report

MANY = 20  # classes


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    why: str


def facts(report: Report, history: list[Epoch], texts: Texts) -> list[Fact]:
    """Returns the key facts in the order they are shown."""
    words, units = texts["facts"], texts["units"]
    best = best_epoch(history).epoch if history else report.epochs
    low, high = report.f1_macro_interval
    return [
        Fact(words["f1"], f"{report.f1_macro:.1%}", words["f1_why"].format(low=low, high=high)),
        *(Fact(words["top_k"].format(k=k), f"{share:.1%}", words["top_k_why"].format(k=k)) for k, share in _top_k(report)),
        Fact(words["parameters"], f"{report.parameters:,}", words["parameters_why"]),
        Fact(
            words["training"],
            duration(report.seconds_training, units),
            words["training_why"].format(device=report.device, threads=report.threads),
        ),
        Fact(words["epochs"], f"{report.epochs:,}", words["epochs_why"].format(best=best)),
        Fact(
            words["one"],
            milliseconds(report.milliseconds_one, units),
            words["one_why"].format(p95=milliseconds(report.milliseconds_one_p95, units)),
        ),
        Fact(words["rate"], f"{report.images_per_second:,.0f}", words["rate_why"].format(batch=report.batch_size)),
    ]


def _top_k(report: Report) -> list[tuple[int, float]]:
    """Returns the one k that says something: the smallest for few classes, the largest for many."""
    known = sorted((k, share) for k, share in report.top_k.items() if 1 < k < len(report.classes))
    return known[-1:] if len(report.classes) > MANY else known[:1]


def duration(seconds: float, units: Texts) -> str:
    """Returns a length of time with at most two units."""
    if seconds < 10:
        return str(units["seconds_short"].format(seconds=seconds))
    if seconds < 59.5:
        return str(units["seconds"].format(seconds=seconds))
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return str(units["minutes"].format(minutes=minutes, seconds=rest))
    return str(units["hours"].format(hours=minutes // 60, minutes=minutes % 60))


def milliseconds(value: float, units: Texts) -> str:
    """Returns a time with about three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return str(units["milliseconds"].format(value=f"{value:,.{digits}f}"))

"""Plain readings of the numbers: which sentence fits them, with the numbers to fill in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from konv.app.figures.curves import best_epoch
from konv.app.report.words import Texts
from konv.core.profile import LayerTime, Profile
from konv.core.results import Epoch, Report

RISE, RISE_NATS = 1.05, 0.02  # a last loss this many times the lowest, and this far above it, is no longer noise
FALL = 0.98  # the last fifth of training brought the loss below this share of what it was
WIDE, SOME, AHEAD = 10.0, 3.0, -1.0  # points of accuracy that training is ahead of validation
LOW = 0.7  # accuracy below which "could be better" may be said
EVEN = 0.05  # F1 between the hardest and the easiest class
NOTABLE = 0.15  # share of a training step above which what is no layer is told
GOOD = 0.5  # share of a roof above which a layer is near it
BUSY = 0.2  # spread of single steps above which their times are not to be trusted
GOAL = 0.75  # share of the machine's matrix speed that a whole step can be expected to reach


@dataclass(frozen=True)
class Reading:
    """A key of the texts' section `readings` and what its braces hold."""

    key: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def say(self, texts: Texts) -> str:
        sentence: str = texts["readings"][self.key]
        return sentence.format(**self.numbers)


@dataclass(frozen=True)
class Mistake:
    """How often pictures of one class were given the name of another."""

    true: str
    predicted: str
    count: int
    share: float  # of the true class


def of_loss(history: Sequence[Epoch]) -> Reading:
    if not history:
        return Reading("none")
    last, lowest = history[-1], min(history, key=lambda epoch: epoch.valid_loss)
    if len(history) == 1:
        return Reading("loss_single", {"train": last.loss, "valid": last.valid_loss})
    numbers = {"best": lowest.epoch, "low": lowest.valid_loss, "last": last.valid_loss}
    if last.valid_loss > max(RISE * lowest.valid_loss, lowest.valid_loss + RISE_NATS) and last.loss < lowest.loss:
        return Reading("loss_rising", numbers)
    earlier = history[int(0.8 * (len(history) - 1))]
    if lowest is last and last.valid_loss < FALL * earlier.valid_loss:
        return Reading("loss_falling", numbers)
    return Reading("loss_settled", numbers)


def of_accuracy(history: Sequence[Epoch]) -> Reading:
    if not history:
        return Reading("none")
    best = best_epoch(history)
    gap = 100 * (best.accuracy - best.valid_accuracy)
    numbers = {"best": best.epoch, "gap": abs(gap), "train": best.accuracy, "valid": best.valid_accuracy}
    if gap < AHEAD:
        return Reading("accuracy_ahead", numbers)
    if gap < SOME:
        return Reading("accuracy_close" if best.valid_accuracy >= LOW else "accuracy_low", numbers)
    return Reading("accuracy_some" if gap < WIDE else "accuracy_wide", numbers)


def of_rate(history: Sequence[Epoch]) -> Reading:
    if not history:
        return Reading("none")
    peak = max(history, key=lambda epoch: epoch.learning_rate)
    numbers = {"high": peak.learning_rate, "peak": peak.epoch, "last": history[-1].learning_rate}
    moving = min(epoch.learning_rate for epoch in history) < peak.learning_rate
    return Reading("rate_moving" if moving else "rate_constant", numbers)


def mistakes(report: Report) -> list[Mistake]:
    """Returns every kind of mistake that was made, the commonest first."""
    counts = np.array(report.confusion, dtype=np.int64)  # (true, predicted)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    cells = sorted(np.argwhere(counts).tolist(), key=lambda cell: (-counts[tuple(cell)], cell))
    names = report.classes
    return [
        Mistake(names[true], names[predicted], int(counts[true, predicted]), float(counts[true, predicted] / totals[true]))
        for true, predicted in cells
    ]


def of_confusion(report: Report) -> Reading:
    top = next(iter(mistakes(report)), None)
    return Reading("confusion_none") if top is None else Reading("confusion_top", vars(top))


def of_classes(report: Report) -> Reading:
    known = [scores for scores in report.per_class if scores.pictures] or list(report.per_class)
    worst, best = min(known, key=lambda scores: scores.f1), max(known, key=lambda scores: scores.f1)
    numbers = {"worst": worst.name, "low": worst.f1, "best": best.name, "high": best.f1}
    return Reading("classes_even" if best.f1 - worst.f1 < EVEN else "classes_spread", numbers)


def of_calibration(report: Report) -> Reading:
    pictures = sum(part.pictures for part in report.calibration) or 1
    gap = (
        100 * sum(part.pictures * (part.confidence - part.accuracy) for part in report.calibration if part.pictures) / pictures
    )
    if abs(gap) <= 1:
        return Reading("calibration_good")
    return Reading("calibration_over" if gap > 0 else "calibration_under", {"gap": abs(gap)})


# ---- where the time goes ----


def of_profile(profile: Profile) -> list[Reading]:
    """Returns what to make of a profile: the layer that takes most, then what else is worth a look."""
    found = [_of_slowest(max(profile.layers, key=lambda layer: layer.milliseconds), profile)] if profile.layers else []
    costs = {part.name: part.milliseconds / profile.milliseconds for part in profile.parts}
    shares = {
        "profile_inputs": costs.get("inputs", 0.0),
        "profile_optimizer": costs.get("optimizer", 0.0) + costs.get("average", 0.0) + costs.get("gradient", 0.0),
        "profile_gaps": costs.get("between", 0.0) + costs.get("rest", 0.0),
    }
    key, share = max(shares.items(), key=lambda pair: pair[1])
    found.append(Reading(key, {"share": share}) if share > NOTABLE else _of_layers(profile))
    return [*found, Reading("profile_busy", {"spread": profile.spread})] if profile.spread > BUSY else found


def roofs(profile: Profile) -> Reading:
    """Returns the machine's two roofs and where they meet."""
    gemm, copy = profile.gemm_gflops, profile.copy_gigabytes_per_second
    return Reading("profile_roofs", {"gemm": gemm, "copy": copy, "ridge": gemm / copy})


def whole_step(profile: Profile) -> Reading:
    """Returns what the step reaches without clocks."""
    names = ("milliseconds", "milliseconds_undisturbed", "pictures_per_second", "gflops", "gemm_share")
    return Reading("profile_whole", {name: getattr(profile, name) for name in names})


def _of_slowest(layer: LayerTime, profile: Profile) -> Reading:
    far = layer.bound == "arithmetic" and layer.roof < GOOD
    numbers = {"name": layer.name, "share": layer.milliseconds / profile.milliseconds, "roof": layer.roof}
    return Reading("profile_arithmetic_far" if far else f"profile_{layer.bound}", numbers)


def _of_layers(profile: Profile) -> Reading:
    if profile.gemm_share >= GOAL:
        return Reading("profile_near", {"share": profile.gemm_share})
    numbers = {"share": profile.gemm_share, "arithmetic": 0.0, "memory": 0.0, "overhead": 0.0}
    for layer in profile.layers:
        numbers[layer.bound] += layer.milliseconds / profile.milliseconds
    return Reading("profile_far", numbers)

"""What all trackers share: which numbers, under which names, each once, and a failure that leaves the training alone."""

import sys
from collections.abc import Callable, Mapping
from typing import Protocol

from konv.app.session import Silent
from konv.core.results import Epoch, Report
from konv.training.train import Finished, Record, Started

Row = tuple[str, int]  # name of a number, epoch


class Tracker(Protocol):
    """Where numbers go; every method may raise what its library raises."""

    def open(self, started: Started, /) -> set[Row]:
        """Opens the place for a run, new or taken up, and returns the rows that stand there already."""

    def write(self, numbers: Mapping[str, float], epoch: int, /) -> None:
        """Adds one row per number."""

    def close(self, finished: bool, /) -> None:
        """Leaves the place whole; called once after open."""


class Tracked(Silent):
    """Follows a training: history.jsonl first, so a tracker that comes late or was away has every epoch, then each record.

    A tracker that fails (disk full, server gone) is named in one note and not asked again; the training goes on, and
    resuming the run with the same tracker writes what is missing, also when the run is finished.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker = tracker
        self._written: set[Row] = set()
        self._open = False
        self._finished = False
        self._run: object = "RUN"

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._attempt(lambda: self._tracker.close(self._finished))
            self._open = False

    def see(self, record: Record, /) -> None:
        if isinstance(record, Started):
            self._open, self._run = True, record.run.path
            self._attempt(lambda: self._begin(record))
        if self._open and isinstance(record, Epoch):
            self._attempt(lambda: self._write(numbers_of(record), record.epoch))
        if self._open and isinstance(record, Finished):
            self._finished = True
            self._attempt(lambda: self._write(scores_of(record.report), record.report.epochs))

    def _begin(self, started: Started) -> None:
        self._written = self._tracker.open(started)
        for epoch in started.run.history:
            self._write(numbers_of(epoch), epoch.epoch)

    def _write(self, numbers: Mapping[str, float], epoch: int) -> None:
        new = {name: value for name, value in numbers.items() if (name, epoch) not in self._written}
        if new:
            self._tracker.write(new, epoch)
            self._written |= {(name, epoch) for name in new}

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # another program's library may raise anything, and none of it is worth a training
            self._open = False
            cause = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            print(
                f"note: {self._name} is no longer written ({cause}); the training goes on. "
                f"To write what is missing: konv resume {self._run} --track {self._name}",
                file=sys.stderr,
                flush=True,
            )


def numbers_of(epoch: Epoch) -> dict[str, float]:
    """Returns what is written of an epoch, under the names of history.jsonl."""
    return epoch.model_dump(exclude={"epoch", "step"})


def scores_of(report: Report) -> dict[str, float]:
    """Returns the single numbers of the final report as test/accuracy, test/f1_macro and so on."""
    numbers = report.model_dump(exclude={"format", "epochs"})
    return {f"{report.split}/{name}": value for name, value in numbers.items() if isinstance(value, (int, float))}

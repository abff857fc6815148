"""A training as a person sees it: signals, live progress, the final table."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event, Thread, current_thread, main_thread
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Protocol

from konv.core.errors import BadRun, LostProcess
from konv.core.results import Epoch
from konv.training.distribution import leads
from konv.training.fit import Step
from konv.training.train import Finished, Record, Started

SLOW = 2.0  # seconds of loading after which a log says what is going on
PATIENCE = 2.5  # seconds an update may go on after a signal; the checkpoint is to be written within 5
WIDE = 110  # columns that a whole epoch line needs


class Interrupted(Exception):
    """A signal asked the training to stop; its checkpoint is written."""

    def __init__(self, number: int, run: object) -> None:
        again = "Run the same command again to continue." if "RANK" in os.environ else f"Continue with: konv resume {run}"
        super().__init__(f"stopped by {signal.Signals(number).name}; a checkpoint is written. {again}")
        self.exit_code = 128 + number


class Watcher(Protocol):
    """What follows a training: it is shown every record."""

    def __enter__(self) -> "Watcher": ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def see(self, record: Record, /) -> None: ...


def follow(records: Iterator[Record], watcher: Watcher) -> Finished:
    """Runs a training to its end under a watcher and returns its last record; SIGINT and SIGTERM leave a checkpoint."""
    with watcher, _listening() as received:
        try:
            for record in records:
                watcher.see(record)
                if isinstance(record, Started):
                    received.started = record
                if isinstance(record, Finished):
                    records.close()  # type: ignore[attr-defined]  # leaves the other processes
                    return record
                if received.number is not None:
                    records.close()  # type: ignore[attr-defined]  # a generator: closing it writes the checkpoint
                    raise Interrupted(received.number, received.run)
        except LostProcess:
            if received.number is None:
                raise
            raise Interrupted(received.number, received.run) from None  # the others were stopped too, and sooner
    raise AssertionError("a training ends with Finished or an error")


class _Received:
    """The signal that came, if one did, and the training it is to stop."""

    number: int | None = None
    started: Started | None = None

    @property
    def run(self) -> object:
        return self.started.run.path if self.started is not None else "RUN"

    def __call__(self, number: int, _: FrameType | None) -> None:
        if self.started is None or self.number == number:  # nothing to save yet, or asked for the second time
            raise SystemExit(128 + number)
        self.number = self.number or number


@contextmanager
def _listening() -> Iterator[_Received]:
    """Remembers a signal instead of dying of it; outside the main thread signals are left alone."""
    received = _Received()
    if current_thread() is not main_thread():
        yield received
        return
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    over = Event()
    before = {number: signal.signal(number, received) for number in (signal.SIGINT, signal.SIGTERM)}
    wake_before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    Thread(target=_rescue, args=(woken, received, over), name="konv-signals", daemon=True).start()
    try:
        yield received
    finally:
        over.set()
        signal.set_wakeup_fd(wake_before)
        os.close(wake)
        for number, handler in before.items():
            signal.signal(number, handler)


def _rescue(woken: int, received: _Received, over: Event) -> None:
    """Waits for a signal on a thread of its own; where the update under way does not end in time, saves what was before it.

    Python hands a signal to the training only between two of its own instructions, and a long one may take minutes.
    """
    with open(woken, "rb", buffering=0) as pipe:
        for byte in iter(lambda: pipe.read(1), b""):
            number = byte[0]
            if number not in (signal.SIGINT, signal.SIGTERM) or over.wait(PATIENCE):
                continue
            try:
                if received.started is not None:
                    received.started.save()
                    if leads():
                        print(f"konv: {Interrupted(number, received.run)}", file=sys.stderr, flush=True)
            except BadRun as error:  # a full disk
                print(f"konv: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(128 + number)


class Silent:
    """Shows nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def see(self, _: Record, /) -> None:
        return None

    def loading(self, what: str, done: int, total: int, /) -> None:
        """Is told how far a download or the decoding of pictures is; total 0 means not known."""


class Several:
    """Shows every record to each of several watchers, in their order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def __enter__(self) -> "Several":
        with ExitStack() as opened:
            for watcher in self._watchers:
                opened.enter_context(watcher)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    def see(self, record: Record, /) -> None:
        for watcher in self._watchers:
            watcher.see(record)


class Lines(Silent):
    """One plain line per epoch on standard error, for logs and pipes."""

    def see(self, record: Record, /) -> None:
        if isinstance(record, Started):
            for line in opening(record):
                print(line, file=sys.stderr, flush=True)
        if isinstance(record, Epoch):
            print(epoch_line(record), file=sys.stderr, flush=True)

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._said: set[str] = set()

    def loading(self, what: str, *_: int) -> None:
        """Says once what takes longer than two seconds."""
        slow = monotonic() - self._since.setdefault(what, monotonic()) > SLOW
        if slow and what not in self._said:
            print(f"{what} …", file=sys.stderr, flush=True)
            self._said.add(what)


class Live(Silent):
    """A progress bar that moves with every update, above it one line per finished epoch."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            refresh_per_second=8,
            expand=True,
            transient=True,
        )
        self._epochs = 0
        self._loading: dict[str, Any] = {}

    def loading(self, what: str, done: int, total: int, /) -> None:
        if what not in self._loading:
            self._loading[what] = self._progress.add_task(what, total=None, numbers="")
        numbers = f"{_thousands(done)} of {_thousands(total)}" if total else _thousands(done)
        self._progress.update(self._loading[what], total=total or None, completed=done, numbers=numbers)

    def __enter__(self) -> "Live":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def see(self, record: Record, /) -> None:
        if isinstance(record, Started):
            self._epochs = record.recipe.fit.epochs
            for task in self._loading.values():
                self._progress.remove_task(task)
            for line in opening(record):
                self._progress.console.print(line, highlight=False, soft_wrap=True)
            self._task = self._progress.add_task("", total=None, numbers="")
        if isinstance(record, Step):
            self._progress.update(
                self._task,
                total=record.steps * self._epochs,
                completed=(record.epoch - 1) * record.steps + record.step,
                description=f"epoch {record.epoch}/{self._epochs}",
                numbers=f"loss {record.loss:.3f}  acc {record.accuracy:.1%}  {_thousands(record.pictures_per_second)}/s",
            )
        if isinstance(record, Epoch):
            width = self._progress.console.width
            line = epoch_line(record) if width >= WIDE else short_epoch_line(record)
            self._progress.console.print(line, highlight=False, soft_wrap=True)


def watcher(quiet: bool) -> Silent:
    """Returns what suits the place: nothing, a moving bar on a terminal, or plain lines."""
    if quiet:
        return Silent()
    return Live() if sys.stderr.isatty() else Lines()


def opening(record: Started) -> list[str]:
    """Returns the lines that open a training: what, on what, where."""
    data, recipe = record.data, record.recipe
    sizes = f"{len(data.train):,} train, {len(data.valid):,} valid, {len(data.test):,} test (sealed)"
    lines = [
        f"data   {recipe.data.source}: {sizes}; {len(data.classes)} classes of {data.view}",
        f"model  {recipe.model.name}: {record.parameters:,} parameters on {record.device}, {_workers(record)}",
        f"run    {record.run.path}",
    ]
    if record.resumed_at and not record.run.finished:
        lines.append(f"taken up after update {record.resumed_at:,}")
    return lines + [f"note: {note}" for note in record.notes]


def _workers(record: Started) -> str:
    threads = f"threads: {record.threads}"
    return threads if record.processes == 1 else f"processes: {record.processes}, {threads} each"


def epoch_line(epoch: Epoch) -> str:
    return (
        f"epoch {epoch.epoch:>3}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:7.2%}  "
        f"valid loss {epoch.valid_loss:.4f}  accuracy {epoch.valid_accuracy:7.2%}  "
        f"{_thousands(epoch.pictures_per_second):>6} pictures/s  {epoch.seconds:.1f} s"
    )


def short_epoch_line(epoch: Epoch) -> str:
    """The same without words, for a small terminal: loss and accuracy in training, then in validation."""
    train, valid = f"{epoch.loss:.4f} {epoch.accuracy:7.2%}", f"{epoch.valid_loss:.4f} {epoch.valid_accuracy:7.2%}"
    return f"{epoch.epoch:>3}  train {train}  valid {valid}"


def _thousands(number: float) -> str:
    return f"{number:,.0f}" if number < 10_000 else f"{number / 1000:,.1f}k"

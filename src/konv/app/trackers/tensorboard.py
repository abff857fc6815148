"""TensorBoard event files in RUN/tensorboard; look with: tensorboard --logdir runs."""

from collections.abc import Mapping
from time import time
from typing import Any

from konv.app.session import Watcher
from konv.app.trackers._tracked import Row, Tracked
from konv.core.compose import to_toml
from konv.core.extras import needed
from konv.training.train import Started


def track() -> Watcher:
    """Returns a watcher that writes RUN/tensorboard, steps counted in epochs; raises MissingExtra without tensorboardX."""
    return Tracked("tensorboard", _EventFile(needed("tensorboardX", extra="tensorboard", purpose="--track tensorboard")))


class _EventFile:
    """One event file, made anew from history.jsonl each time a run is taken up.

    It is written in this thread: tensorboardX's SummaryWriter hands events to a thread through a queue of ten, and when
    that thread dies of a full disk the eleventh event waits for ever.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def open(self, started: Started) -> set[Row]:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder = started.run.path / "tensorboard"
        folder.mkdir(exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._file = EventsWriter(str(folder / "events"))
        self._add(0, session_log=SessionLog(status=SessionLog.START))  # a TensorBoard that looks on drops what it had read
        self._add(0, summary=self._library.summary.text("recipe", f"```toml\n{to_toml(started.recipe)}```"))
        return set()

    def write(self, numbers: Mapping[str, float], epoch: int) -> None:
        for name, value in numbers.items():
            self._add(epoch, summary=self._library.summary.scalar(name, value))
        self._file.flush()

    def close(self, _: bool) -> None:
        self._file.close()

    def _add(self, epoch: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write_event(Event(wall_time=time(), step=epoch, **content))

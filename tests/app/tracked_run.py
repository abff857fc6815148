"""Records of a training that never happened, for trackers to follow, and what they then find in an event file."""

import struct
from collections.abc import Iterator
from pathlib import Path

from sample_run import make_run
from tensorboardX.proto.event_pb2 import Event

from konv.core.recipe import DataOptions
from konv.core.run import Run
from konv.datasets import load
from konv.training.train import Finished, Record, Started

EPOCHS = 3


def finished_run(folder: Path) -> Run:
    return make_run(folder, epochs=EPOCHS, per_class=10, examples=2)


def records(run: Run, *, done: int = 0, stop: int = EPOCHS) -> Iterator[Record]:
    """What a training yields that had finished `done` epochs; with `stop` before the last it is cut off there."""
    history = run.history
    (run.path / "checksums.json").unlink(missing_ok=True)  # the finished run is played again from an earlier point
    run.write_history(history[:done])
    data = load(DataOptions.model_validate({"source": "shapes", "pictures": 60}))
    yield Started(run, run.recipe, data, 10, "cpu", 1, done, ())
    for epoch in history[done:stop]:
        run.record_epoch(epoch)
        yield epoch
    if stop < EPOCHS:
        for epoch in history[stop:]:  # so that a later call finds them
            run.record_epoch(epoch)
    else:
        yield Finished(run, run.report, resumed=done > 0)


def events(folder: Path) -> list[Event]:
    """Reads event files as they are: length (8 bytes), its checksum (4), an Event, its checksum (4), and so on."""
    found = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def rows(folder: Path) -> list[tuple[str, int, float]]:
    """Returns (name, epoch, value) of every scalar."""
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]

"""What checkpoints cost a training: the same recipe with them and without them, in turns A B A B.

    python benchmarks/checkpoint_cost.py --repeats 2 [--pictures 60000]

Two networks on Fashion-MNIST: the default `plain`, and an `mlp` of ten million weights (160 MB a checkpoint). Processor time
from the first update to the last epoch's end, the final score left out. The last columns are taken inside the runs: how long
the training thread is held per checkpoint, the processor time of the writing thread, both together as a share of training, and
as a share of the 30 seconds between two checkpoints of a long epoch. A busy machine spreads wall time far more than processor
time, and stretches both.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time

import numpy as np
import torch

from konv import datasets
from konv.core.compose import compose
from konv.core.recipe import Recipe
from konv.datasets import Data
from konv.training import checkpoints, train
from konv.training.state import State

CASES = {
    "plain": ["threads=1", "fit.epochs=2"],
    "mlp, 10 million": ["threads=1", "fit.epochs=1", "model.name=mlp", "model.hidden=[4096,1600]"],
}


@dataclass
class Timed:
    """One training: seconds of processor and wall time, and what each checkpoint took of them."""

    processor: float
    wall: float
    held: list[float]  # processor seconds of the training thread, per checkpoint
    waited: list[float]  # wall seconds of it
    written: list[float]  # processor seconds of the writing thread

    @property
    def share(self) -> float:
        return (sum(self.held) + sum(self.written)) / self.processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=60_000)
    options = parser.parse_args()
    whole = datasets.load(compose("fashion-mnist").data)
    share = options.pictures / 60_000
    data = replace(whole, train=whole.train.take(np.arange(int(share * len(whole.train)))))
    print(f"{os.cpu_count()} processors, one thread, torch {torch.__version__}, {len(data.train):,} pictures")
    columns = ("with s", "without s", "written", "held ms", "waited ms", "thread ms", "share", "of 30 s")
    print(f"{'network':<16}" + "".join(f"{column:>10}" for column in columns))
    for name, settings in CASES.items():
        recipe = compose("fashion-mnist", settings=settings)
        for _ in range(options.repeats):
            one, other = timed(recipe, data, writing=True), timed(recipe, data, writing=False)
            held, waited, written = (1000 * median(times) for times in (one.held, one.waited, one.written))
            shares = f"{one.share:10.2%}{(held + written) / 30_000:10.2%}"
            seconds = f"{one.processor:10.2f}{other.processor:10.2f}{len(one.held):10}"
            print(f"{name:<16}{seconds}{held:10.1f}{waited:10.1f}{written:10.1f}{shares}", flush=True)


def timed(recipe: Recipe, data: Data, *, writing: bool) -> Timed:
    """Trains without the final score and returns what it took."""
    watch = Timed(0.0, 0.0, [], [], [])
    kept = train.checkpoints.Writer, train._finish
    train.checkpoints.Writer = _watched(kept[0], watch) if writing else _Idle  # type: ignore[misc]
    train._finish = lambda *_: None  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            records = train.stream(recipe, out=Path(scratch) / "run", data=data)
            next(records)
            processor, wall = process_time(), perf_counter()
            for _ in records:  # the last record comes when the last checkpoint is written
                pass
            watch.processor, watch.wall = process_time() - processor, perf_counter() - wall
    finally:
        train.checkpoints.Writer, train._finish = kept  # type: ignore[misc]
    return watch


def _watched(real: type[checkpoints.Writer], watch: Timed) -> type[checkpoints.Writer]:
    class Watched(real):  # type: ignore[misc,valid-type]
        def submit(self, state: State) -> None:
            processor, wall = thread_time(), perf_counter()
            super().submit(state)
            watch.held.append(thread_time() - processor)
            watch.waited.append(perf_counter() - wall)

        def _run(self, snapshot: checkpoints.Snapshot) -> None:
            began = thread_time()
            super()._run(snapshot)
            watch.written.append(thread_time() - began)

    return Watched


class _Idle(checkpoints.Writer):
    def submit(self, _: State) -> None:
        return None


if __name__ == "__main__":
    main()

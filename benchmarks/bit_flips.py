"""Flip single bits in the files of runs: each flip must be found by whoever reads the file.

    python benchmarks/bit_flips.py --flips 10000

One run is finished and one was stopped inside an epoch. A flip is found when konv refuses the file in one sentence, passes a
checkpoint over by its name, or tells that the file was changed. Prints how many were, and the places of those that were not.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from konv.classifier import Classifier
from konv.core.compose import compose
from konv.core.errors import KonvError
from konv.core.run import Run
from konv.training import checkpoints
from konv.training.fit import Step
from konv.training.train import stream

SETTINGS = ["threads=1", "data.pictures=60", "data.side=8", "fit.epochs=2", "fit.batch_size=16", "model.width=4"]
SETTINGS += ["model.head=8", "fit.augment=flip"]


@dataclass(frozen=True)
class Target:
    """A file, and the reading of it that must find the flip: True, or an error in one sentence."""

    file: Path
    found: Callable[[], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        flipped, missed = flips(targets(Path(scratch)), options.flips, random.Random(options.seed))
    total = flipped.total()
    print(f"{total:,} flips, {total - len(missed):,} detected, {time.perf_counter() - began:.0f} s")
    print("files: " + ", ".join(f"{name} {count}" for name, count in flipped.most_common()))
    for place in missed[:20]:
        print(f"not detected: {place}")


def targets(folder: Path) -> list[Target]:
    """Returns the files of a finished and of a stopped run, small and whole."""
    recipe = compose("shapes", model="plain", settings=SETTINGS)
    finished, stopped = folder / "finished", folder / "stopped"
    torch.set_num_threads(1)
    for _ in stream(recipe, out=finished):
        pass
    records = stream(recipe, out=stopped)
    updates = 0
    while updates < 4:  # past the first epoch, inside the second
        updates += isinstance(next(records), Step)
    records.close()
    run, parted = Run.open(finished), Run.open(stopped)
    newest = max(parted.checkpoints.iterdir())  # the one before it is read, in the same way, only when this one is damaged
    found = [Target(file, lambda: passed_over(newest)) for file in newest.iterdir()]
    found += [Target(file, lambda: Classifier.load(run.classifier) is None) for file in run.classifier.iterdir()]
    found += [Target(run.path / "report.json", lambda: run.report is None)]
    found += [Target(run.path / "history.jsonl", lambda: run.history is None)]
    found += [Target(run.path / "split.json", lambda: run.split is None)]
    found += [Target(run.path / "examples.json", lambda: run.examples is None)]
    found += [Target(run.path / "checksums.json", lambda: run.report is None)]
    found += [Target(run.path / "test_openings.json", lambda: run.count_opening("final score", "") < 0)]
    for name in ("recipe.toml", "environment.json"):
        found += [Target(parted.path / name, lambda name=name: name in told(parted))]
    return found


def passed_over(place: Path) -> bool:
    """True where the checkpoint is named among those passed over."""
    found = checkpoints.latest(place.parent)
    return found is not None and any(cause.startswith(f"{place.name}: ") for cause in found[2])


def told(run: Run) -> list[str]:
    """Returns the files that a resumed run says were changed, or raises what refuses it."""
    opened = Run.open(run.path)
    _ = opened.recipe
    altered: list[str] = opened.environment["altered"]
    return altered


def flips(found: list[Target], number: int, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Returns flips by file name, and the places of those nobody noticed; a file is drawn as often as any other."""
    counts, missed = Counter[str](), []
    for _ in range(number):
        target = chance.choice(found)
        whole = target.file.read_bytes()
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        target.file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        counts[target.file.name] += 1
        try:
            noticed = target.found()
        except KonvError as error:
            noticed = "\n" not in str(error)
        if not noticed:
            missed.append(f"{target.file.parent.name}/{target.file.name}, byte {place}, bit {bit}")
        target.file.write_bytes(whole)
    return counts, missed


if __name__ == "__main__":
    main()

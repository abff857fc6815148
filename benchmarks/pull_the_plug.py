"""Pull the plug: kill trainings at random instants until they have finished, and compare them with undisturbed ones.

    python benchmarks/pull_the_plug.py --kills 1000

Each run is killed with SIGKILL after a random time, started again, killed again … until it ends by itself; the recipes take
turns. Prints kills, lost runs, runs whose weights, history or report numbers differ, and doubled rows, of which all but the
first must be 0, and where the kills landed.
"""

import argparse
import mmap
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from konv.core.compose import compose
from konv.core.recipe import Recipe
from konv.core.results import Epoch
from konv.core.run import Run
from konv.training import train

SMALL = ["threads=1", "data.pictures=120", "data.side=8", "fit.epochs=5", "fit.batch_size=16"]
NARROW = ["model.width=6", "model.head=16"]
RECIPES = [  # model, seconds between two checkpoints, settings: every optimizer, every schedule; plain has batch norm
    ("plain", 0.0, "optimizer=adamw schedule=one_cycle augment=flip,crop weight_average=0.9 model.dropout=0.3"),
    ("plain", 0.02, "optimizer=sgd schedule=cosine warmup=1 augment=affine,erase"),
    ("plain", 30.0, "optimizer=momentum schedule=step step_every=2 label_smoothing=0.1 model.dropout=0.5"),
    ("plain", 0.0, "optimizer=nesterov schedule=plateau plateau_patience=0 clip_norm=0.5 augment=colour"),
    ("mlp", 0.02, "optimizer=adagrad schedule=constant weight_average=0.8 keep=last model.dropout=0.2"),
    ("mlp", 0.0, "optimizer=adadelta schedule=cosine loss=focal class_weights=balanced augment=flip"),
    ("plain", 0.02, "optimizer=rmsprop momentum=0.5 schedule=one_cycle precision=bfloat16 augment=crop"),
    ("fashion_cnn", 0.0, "optimizer=adam schedule=plateau weight_average=0.95 augment=flip,affine model.dropout=0.4"),
]
TIMES = {"seconds", "pictures_per_second", "seconds_training", "images_per_second"}
STARTING, TRAINING, SCORING = range(3)  # what the child says of itself in a byte of shared memory


@dataclass(frozen=True)
class Case:
    """A recipe with how long it takes undisturbed and what it ends in."""

    recipe: Recipe
    checkpoint_seconds: float
    seconds: float
    outcome: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chance, landed, stage = random.Random(options.seed), Counter[str](), mmap.mmap(-1, 1)
    lost = differing = doubled = runs = 0
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        cases = [undisturbed(Path(scratch) / str(number), *row) for number, row in enumerate(RECIPES)]
        while landed.total() < options.kills:
            case, out = cases[runs % len(cases)], Path(scratch) / "run"
            while (place := killed(case, out, chance.uniform(0, case.seconds), stage)) is not None:
                landed[place] += 1
            runs += 1
            if (out / "report.json").is_file():
                found = outcome(out)
                differing += found != case.outcome
                doubled += len({row["epoch"] for row in found["history"]}) != len(found["history"])
            else:
                lost += 1
            shutil.rmtree(out)
    counts = f"{landed.total():,} kills, {runs} runs, {lost} lost, {differing} differing, {doubled} with doubled rows"
    print(f"{counts}; {len(cases)} recipes, {time.perf_counter() - began:.0f} s")
    print("landed: " + ", ".join(f"{count} {place}" for place, count in landed.most_common()))


def undisturbed(folder: Path, model: str, seconds: float, settings: str) -> Case:
    """Trains twice, the first time to warm up what the second is timed without."""
    own = [text if "." in text.partition("=")[0] else f"fit.{text}" for text in settings.split()]
    recipe = compose("shapes", model=model, settings=[*SMALL, *(NARROW if model == "plain" else []), *own])
    train.CHECKPOINT_SECONDS = seconds
    work(recipe, folder / "first")
    began = time.perf_counter()
    work(recipe, folder / "whole")
    return Case(recipe, seconds, time.perf_counter() - began, outcome(folder / "whole"))


def work(recipe: Recipe, out: Path, stage: mmap.mmap | None = None) -> None:
    """Trains to the end, telling in a byte how far it is."""
    for record in train.stream(recipe, out=out):
        if stage is not None:
            last = isinstance(record, Epoch) and record.epoch == recipe.fit.epochs
            stage[0] = SCORING if last else TRAINING


def killed(case: Case, out: Path, seconds: float, stage: mmap.mmap) -> str | None:
    """Trains in a forked process and kills it after that time; returns where that was, or None where it had ended."""
    stage[0] = STARTING
    before = temporaries(out)
    child = os.fork()
    if child == 0:
        train.CHECKPOINT_SECONDS = case.checkpoint_seconds
        try:
            work(case.recipe, out, stage)
        except BaseException:  # a child of a fork may not return; without a report the run counts as lost
            traceback.print_exc()
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return None if ended else landing(out, before, stage[0])


def landing(out: Path, before: set[tuple[int, int]], stage: int) -> str:
    """Returns where a kill fell, from what it left behind and what the child had said last."""
    if temporaries(out) - before:
        return "while a checkpoint was written"
    if stage == SCORING:
        return "in the final scoring"
    if not any(out.glob("checkpoints/[0-9]*")):
        return "before the first checkpoint"
    return "in an epoch" if stage == TRAINING else "while a run was taken up"


def temporaries(out: Path) -> set[tuple[int, int]]:
    """Returns what tells half-written checkpoints of this kill from those of an older one: file number and last change."""
    return {(path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("checkpoints/.*.tmp")}


def outcome(out: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on what happened to it."""
    run = Run.open(out)
    report = {key: value for key, value in run.report.model_dump().items() if key not in TIMES and "milliseconds" not in key}
    rows = [epoch.model_dump(exclude=TIMES) for epoch in run.history]
    return {"report": report, "history": rows, "weights": (run.classifier / "weights.safetensors").read_bytes()}


if __name__ == "__main__":
    main()

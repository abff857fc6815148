"""Pull the plug: kill a training at random instants until it has finished, and compare it with the undisturbed one.

    python benchmarks/pull_the_plug.py --kills 1000

Each run is killed with SIGKILL after a random time, started again, killed again … until it ends by itself. Prints kills, lost
runs, runs whose weights, history or report numbers differ, and doubled rows; all but the first must be 0.
"""

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from konv.core.compose import compose
from konv.core.recipe import Recipe
from konv.core.run import Run
from konv.training import train

SETTINGS = ["threads=1", "data.pictures=240", "data.side=12", "fit.epochs=6", "fit.batch_size=16", "fit.augment=flip,crop"]
SETTINGS += ["model.dropout=0.3", "fit.weight_average=0.9"]
TIMES = {"seconds", "pictures_per_second", "seconds_training", "images_per_second"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    train.CHECKPOINT_SECONDS = 0.02  # so that kills meet checkpoints inside epochs too
    recipe = compose("shapes", settings=SETTINGS)
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        work(recipe, folder / "first")  # warms up what the timed one then finds warm
        began = time.perf_counter()
        work(recipe, folder / "whole")
        longest = time.perf_counter() - began
        whole = outcome(folder / "whole")
        kills = lost = differing = doubled = runs = 0
        while kills < options.kills:
            out = folder / "run"
            while killed(recipe, out, chance.uniform(0, longest)):
                kills += 1
            runs += 1
            lost += not (out / "report.json").is_file()
            found = outcome(out)
            differing += found != whole
            doubled += len({row["epoch"] for row in found["history"]}) != len(found["history"])
            shutil.rmtree(out)
    print(f"{runs} runs, {kills} kills, {lost} lost runs, {differing} differing, {doubled} with doubled rows")


def work(recipe: Recipe, out: Path) -> None:
    for _ in train.stream(recipe, out=out):
        pass


def killed(recipe: Recipe, out: Path, seconds: float) -> bool:
    """Trains in a forked process; returns True where it had to be killed after that time."""
    child = os.fork()
    if child == 0:
        work(recipe, out)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def outcome(out: Path) -> dict[str, Any]:
    """Everything of a finished run that must not depend on what happened to it."""
    run = Run.open(out)
    report = {key: value for key, value in run.report.model_dump().items() if key not in TIMES and "milliseconds" not in key}
    rows = [epoch.model_dump(exclude=TIMES) for epoch in run.history]
    return {"report": report, "history": rows, "weights": (run.classifier / "weights.safetensors").read_bytes()}


if __name__ == "__main__":
    main()

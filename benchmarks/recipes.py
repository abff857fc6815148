"""The ready recipes of Fashion-MNIST, measured: each seed is one `konv train`, a process of its own, cold.

    python benchmarks/recipes.py quick --runs 5
    python benchmarks/recipes.py balanced --runs 3 --threads 1

The recipes were chosen on the validation split; a run opens the test split once, at its end. Prints one line per run and a
Markdown table: test and validation accuracy, seconds of training, seconds and processor seconds of the whole process, the
machine's matrix speed, the share of it that the training steps reached, and the cost: seconds of training × float32 matrix
speed, in 10¹² operations the machine could have done meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter

import torch
from _gemm import gemm_gflops

from konv import models
from konv.core.compose import compose
from konv.core.recipe import Recipe
from konv.training.environment import choose_precision

PICTURE = (1, 28, 28)
CLASSES = 10
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Outcome:
    """What one run reached and cost."""

    test: float  # share of right answers
    valid: float  # of the weights kept
    training: float  # seconds, with validation after each epoch
    whole: float  # seconds, the process with start, final score and report page
    processor: float  # seconds, user + system, of the whole process
    speed: float  # pictures/s of the training steps
    gemm: float  # GFLOP/s of float32 matrix products, mean of before and after
    gemm_format: float  # the same in the recipe's number format


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    recipe = compose("fashion-mnist", file=options.recipe)
    work, form = operations(recipe), choose_precision(recipe.fit.precision, torch.device("cpu"))
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.first, options.first + options.runs):
            outcomes.append(_measured(options.recipe, seed, options.threads, FORMATS[form], Path(scratch)))
            print(f"seed {seed}: {outcomes[-1]}", file=sys.stderr, flush=True)
    print(_table(options.recipe, form, outcomes, work, options.threads))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=("quick", "balanced", "best"))
    parser.add_argument("--runs", type=int, default=3, help="seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor threads")
    return parser.parse_args()


def operations(recipe: Recipe) -> int:
    """Returns the floating-point operations of one picture's training step in convolutions and matrix products.

    Two per multiply-add; once forward, once for the gradient of the weights unless they are fixed, and once for that of the
    inputs unless they are the picture itself.
    """
    network = models.build(recipe.model, PICTURE[0], PICTURE[1:], CLASSES).eval()
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    fixed = layers[0] if recipe.fit.initialization == "whitening" else None
    total = 0

    def count(layer: torch.nn.Module, _: object, outputs: torch.Tensor) -> None:
        nonlocal total
        passes = 1 + (layer is not fixed) + (layer is not layers[0])
        total += 2 * passes * layer.weight.numel() * outputs[0, 0].numel()

    for layer in layers:
        layer.register_forward_hook(count)
    network(torch.zeros(1, *PICTURE))
    return total


def _measured(name: str, seed: int, threads: int, form: torch.dtype, scratch: Path) -> Outcome:
    out = scratch / f"{name}{seed}"
    command = [sys.executable, "-m", "konv", "train", "fashion-mnist", "--recipe", name, "--json", "--quiet", "--out", str(out)]
    command += ["--set", "device=cpu", "--set", f"seed={seed}", "--set", f"threads={threads}"]
    before = gemm_gflops(), gemm_gflops(dtype=form)
    began = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    whole = perf_counter() - began
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    facts, gemm = json.loads(printed), (gemm_gflops(), gemm_gflops(dtype=form))
    epochs = [json.loads(row) for row in (out / "history.jsonl").read_text().splitlines()]
    return Outcome(
        test=facts["accuracy"],
        valid=max(epoch["valid_accuracy"] for epoch in epochs),
        training=facts["seconds_training"],
        whole=whole,
        processor=usage.ru_utime + usage.ru_stime,
        speed=mean(epoch["pictures_per_second"] for epoch in epochs),
        gemm=(before[0] + gemm[0]) / 2,
        gemm_format=(before[1] + gemm[1]) / 2,
    )


def _table(name: str, form: str, outcomes: list[Outcome], work: int, threads: int) -> str:
    values = {field.name: [getattr(outcome, field.name) for outcome in outcomes] for field in fields(Outcome)}
    achieved = [work * speed / 1e9 for speed in values["speed"]]
    shares = [reached / gemm for reached, gemm in zip(achieved, values["gemm_format"], strict=True)]
    costs = [seconds * gemm / 1e3 for seconds, gemm in zip(values["training"], values["gemm"], strict=True)]
    rows = [
        ("test accuracy, %", [100 * value for value in values["test"]], 2),
        ("validation accuracy, %", [100 * value for value in values["valid"]], 2),
        ("training, s", values["training"], 1),
        ("whole process, s", values["whole"], 1),
        ("whole process, processor s", values["processor"], 1),
        ("training steps, pictures/s", values["speed"], 0),
        (f"training steps, GFLOP/s ({work / 1e6:.1f} MFLOP per picture)", achieved, 0),
        ("matrix products, float32, GFLOP/s", values["gemm"], 0),
        (f"matrix products, {form}, GFLOP/s", values["gemm_format"], 0),
        (f"steps over {form} products, %", [100 * share for share in shares], 0),
        ("cost, 10¹² float32 operations", costs, 2),
    ]
    lines = [
        f"{name}: {len(outcomes)} runs, seeds of their own; {threads} threads; {_machine()}",
        "",
        "| | mean ± standard deviation | lowest … highest |",
        "| --- | --- | --- |",
    ]
    return "\n".join(lines + [f"| {title} | {_spread(numbers, digits)} |" for title, numbers, digits in rows])


def _spread(numbers: list[float], digits: int) -> str:
    around = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{mean(numbers):.{digits}f}{around} | {min(numbers):.{digits}f} … {max(numbers):.{digits}f}"


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{os.cpu_count()} cores of {names[0] if names else 'unknown'} ({capability}), torch {torch.__version__}"


if __name__ == "__main__":
    main()

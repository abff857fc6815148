"""Fashion-MNIST: konv's default recipe beside the straightforward script, in turn (A B A B …) on one machine.

    python benchmarks/fashion_mnist.py --pairs 3

A is benchmarks/straightforward.py, B is `konv train fashion-mnist`, each a process of its own, cold. Prints a Markdown table:
median and spread of test accuracy, seconds of training, seconds and processor seconds of the whole process, peak memory, and
the ratios pair by pair. "Whole process" of B includes the final evaluation, the report page and all its figures.
"""

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

HERE = Path(__file__).parent
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Outcome:
    """What one process cost and reached."""

    accuracy: float
    training: float  # seconds
    whole: float  # seconds, wall
    processor: float  # seconds, user + system
    memory: float  # MiB, peak resident


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _unpack(folder / "FashionMNIST" / "raw")
        pairs = [_pair(folder, options.epochs, seed) for seed in range(options.pairs)]
    print(_table(pairs, options.epochs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of the straightforward script")
    return parser.parse_args()


def _unpack(raw: Path) -> None:
    """torchvision reads the four IDX files unpacked."""
    raw.mkdir(parents=True)
    for packed in DEBIAN.glob("*.gz"):
        with gzip.open(packed) as source, open(raw / packed.stem, "wb") as target:
            shutil.copyfileobj(source, target)
    if len(list(raw.iterdir())) != 4:
        sys.exit(f"{DEBIAN} does not hold the four files of Fashion-MNIST: apt install dataset-fashion-mnist")


def _pair(folder: Path, epochs: int, seed: int) -> tuple[Outcome, Outcome]:
    script = [sys.executable, str(HERE / "straightforward.py"), str(folder), str(epochs), str(seed)]
    out = folder / f"run{seed}"
    konv = [sys.executable, "-m", "konv", "train", "fashion-mnist", "--json", "--quiet"]
    konv += ["--set", f"seed={seed}", "--out", str(out)]
    first, second = _measured(script), _measured(konv)
    print(f"pair {seed + 1}: A {first}\n        B {second}", file=sys.stderr)
    return first, second


def _measured(command: list[str]) -> Outcome:
    began = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    whole = perf_counter() - began
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    facts = json.loads(printed)
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(facts["accuracy"], facts["seconds_training"], whole, seconds, usage.ru_maxrss / 1024)


def _table(pairs: list[tuple[Outcome, Outcome]], epochs: int) -> str:
    rows = {
        "test accuracy": ("accuracy", "{:.2%}"),
        "training, s": ("training", "{:.1f}"),
        "whole process, s": ("whole", "{:.1f}"),
        "whole process, processor s": ("processor", "{:.1f}"),
        "peak memory, MiB": ("memory", "{:.0f}"),
    }
    lines = [
        f"{len(pairs)} pairs in turn; {_machine()}; A: {epochs} epochs",
        "",
        "| median (lowest … highest) | A: straightforward script | B: konv train fashion-mnist | A / B, pair by pair |",
        "| --- | --- | --- | --- |",
    ]
    for title, (name, form) in rows.items():
        a, b = ([getattr(side, name) for side in sides] for sides in zip(*pairs, strict=True))
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        shown = "" if name == "accuracy" else _spread(ratios, "{:.1f} ×")
        lines.append(f"| {title} | {_spread(a, form)} | {_spread(b, form)} | {shown} |")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    return f"{form.format(median(values))} ({form.format(min(values))} … {form.format(max(values))})"


def _machine() -> str:
    import torch

    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    name = models[0] if models else platform.processor()
    return f"{os.cpu_count()} cores of {name} ({torch.backends.cpu.get_cpu_capability()}), torch {torch.__version__}"


if __name__ == "__main__":
    main()

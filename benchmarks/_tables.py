"""The tables of benchmarks/fashion_mnist.py, in Markdown."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from _sides import Outcome, Side

# Multiply-adds of the script's network on one picture: two convolutions, three dense layers.
LAYERS = (28 * 28 * 32 * 9, 12 * 12 * 64 * 32 * 9, 2304 * 600, 600 * 120, 120 * 10)
STEP_FLOPS = 2 * (3 * sum(LAYERS) - LAYERS[0])  # forward, gradient of weights, gradient of inputs but the first layer's


@dataclass(frozen=True)
class Pair:
    """One round: the machine's matrix speed just before it, and what every side cost."""

    gflops: float
    outcomes: dict[str, Outcome]

    def of(self, name: str) -> Outcome:
        return self.outcomes[name]


def time_table(pairs: Sequence[Pair]) -> str:
    """Returns (a) beside (b): accuracy, seconds, memory, matrix-speed cost, with ratios."""
    rows: list[tuple[str, str, Callable[[Pair, str], float]]] = [
        ("test accuracy", "{:.2%}", lambda pair, side: pair.of(side).accuracy),
        ("training, s", "{:.1f}", lambda pair, side: pair.of(side).training),
        ("start to saved classifier, s", "{:.1f}", lambda pair, side: pair.of(side).saved),
        ("start to saved classifier, processor s", "{:.1f}", lambda pair, side: pair.of(side).saved_processor),
        (
            "start to saved classifier × matrix speed, TFLOP",
            "{:.2f}",
            lambda pair, side: pair.of(side).saved * pair.gflops / 1000,
        ),
        ("whole process, s", "{:.1f}", lambda pair, side: pair.of(side).whole),
        ("whole process, processor s", "{:.1f}", lambda pair, side: pair.of(side).whole_processor),
        ("peak memory, MiB", "{:.0f}", lambda pair, side: pair.of(side).memory),
    ]
    head = ["median (lowest … highest)", "(a) straightforward script", "(b) konv train fashion-mnist", "a / b, pair by pair"]
    lines = []
    for title, form, value in rows:
        a, b = ([value(pair, side) for pair in pairs] for side in ("a", "b"))
        ratios = "" if title == "test accuracy" else spread([x / y for x, y in zip(a, b, strict=True)], "{:.1f} ×")
        lines.append([title, spread(a, form), spread(b, form), ratios])
    reached = median(pair.of("b").accuracy for pair in pairs) >= median(pair.of("a").accuracy for pair in pairs)
    verdict = "reaches" if reached else "**does not reach**"
    return f"{_markdown(head, lines)}\n\nThe median accuracy of (b) {verdict} that of (a)."


def same_network_table(pairs: Sequence[Pair], every: Sequence[Side]) -> str:
    """Returns every side that trains the script's network: pictures per second, × (a), share of the matrix speed, memory."""
    head = [
        "same network, batch 100, Adam",
        "pictures/s",
        "× (a), pair by pair",
        "share of matrix speed",
        "accuracy",
        "memory, MiB",
    ]
    lines = []
    for side in every:
        if side.name == "b":
            continue
        found = [pair.of(side.name) for pair in pairs]
        rates = [outcome.pictures_per_second for outcome in found]
        ratios = [
            outcome.pictures_per_second / pair.of("a").pictures_per_second for outcome, pair in zip(found, pairs, strict=True)
        ]
        shares = [rate * STEP_FLOPS / 1e9 / pair.gflops for rate, pair in zip(rates, pairs, strict=True)]
        accuracy, memory = ([getattr(outcome, name) for outcome in found] for name in ("accuracy", "memory"))
        shown = [spread(rates, "{:,.0f}"), spread(ratios, "{:.2f} ×"), spread(shares, "{:.0%}")]
        lines.append([f"{side.title}", *shown, spread(accuracy, "{:.2%}"), spread(memory, "{:.0f}")])
    return _markdown(head, lines)


def spread(values: Sequence[float], form: str) -> str:
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(median(values))} ({form.format(min(values))} … {form.format(max(values))})"


def machine(pairs: Sequence[Pair]) -> str:
    """Returns processor, threads, instruction set, torch and the matrix speed of all pairs, as one phrase."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    name = models[0] if models else platform.processor()
    speed = spread([pair.gflops for pair in pairs], "{:.0f}")
    level, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{os.cpu_count()} cores of {name} ({level}), {threads} threads, torch {torch.__version__}, {speed} GFLOP/s"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

"""Scaling: what a step costs in compute, exchange and input, measured here; and what a model of it says of other machines.

    python benchmarks/scaling.py

Measures (1) training steps of one process, (2) the all-reduce of two processes for many sizes, to which latency and bandwidth
are fitted, (3) how fast batches are read and normalised, (4) a training of two processes, beside what (1) and (2) predict for
it. Then prints the prediction for 1, 8, 64 and 512 accelerators, whose figures are assumptions (`Machine`), not measurements.
"""

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from konv.core.compose import compose
from konv.core.recipe import Recipe
from konv.core.results import Epoch
from konv.datasets import load
from konv.training.distribution import joined
from konv.training.fit import Batches, Plan, steps
from konv.training.preparation import prepare
from konv.training.state import State

CPU = torch.device("cpu")
SIZES = (8, 4_096, 65_536, 1_048_576, 4_194_304, 16_777_216)  # bytes
SETTINGS = ["threads=1", "data.pictures=6000", "data.side=28", "fit.epochs=2", "fit.batch_size=256"]


@dataclass(frozen=True)
class Machine:
    """One accelerator among many, by figures of the kind makers publish; every one of them is an assumption."""

    pictures: float = 2_500.0  # per second: ResNet-50, 224×224, bfloat16, forward and backward
    gradient: float = 102e6  # bytes: 25.6 million float32
    inside: float = 200e9  # bytes per second and accelerator, among the 8 of one machine
    between: float = 25e9  # bytes per second and accelerator, among machines
    latency: float = 15e-6  # seconds per hop of the ring
    hidden: float = 0.6  # share of a step's compute that an exchange can hide behind: most of the backward pass
    disk: float = 7e9  # bytes per second and machine from a cache of 256×256 uint8 pictures


def main() -> None:
    torch.set_num_threads(1)
    recipe = compose("shapes", settings=SETTINGS)
    alone = step_seconds(recipe)
    with tempfile.TemporaryDirectory() as scratch:
        exchange = dict(zip(SIZES, together(exchanges, Path(scratch)), strict=True))
        pair = together(lambda: [step_seconds(recipe)], Path(scratch))[0]
    latency, bandwidth = fitted(exchange)
    size = 4 * sum(weight.numel() for weight in laid_out(recipe)[0].network.parameters())
    half = step_seconds(compose("shapes", settings=[*SETTINGS, "fit.batch_size=128"]))
    predicted = half + 2 * latency + size / bandwidth
    print("| measured | value |\n| --- | --- |")
    print(f"| one process, batch 256 | {1000 * alone:.1f} ms per step, {256 / alone:,.0f} pictures/s |")
    print(f"| one process, batch 128 | {1000 * half:.1f} ms per step |")
    for number, seconds in exchange.items():
        print(f"| all-reduce of {number:,} bytes, 2 processes | {1e6 * seconds:,.0f} µs |")
    print(f"| fitted | {1e6 * latency:.0f} µs + bytes / {bandwidth / 1e9:.2f} GB/s |")
    print(f"| reading and normalising a batch | {1e-6 * read_rate(recipe):.2f} million pictures/s |")
    print(f"| two processes, batch 256, {size:,} bytes of gradient | {1000 * pair:.1f} ms per step |")
    print(f"| the model's prediction of it | {1000 * predicted:.1f} ms |\n")
    print("| accelerators | step, ms | exchange, ms | not hidden, ms | pictures/s | efficiency | 90 epochs of 1.28 million |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in (1, 8, 64, 512):
        print(forecast(Machine(), count, batch=64))


def forecast(machine: Machine, count: int, batch: int) -> str:
    """Returns a row; rings inside machines of 8, then between them, hide behind the backward pass as far as they can."""
    compute = batch / machine.pictures
    local, machines = min(count, 8), max(1, count // 8)
    exchange = ring(machine.gradient, local, machine.inside, machine.latency)
    exchange += ring(machine.gradient / local, machines, machine.between, machine.latency)
    open_part = max(0.0, exchange - machine.hidden * compute)
    reading = batch * local * 256 * 256 * 3 / machine.disk  # all accelerators of a machine read from one disk
    step = max(compute + open_part, reading)
    rate = count * batch / step
    hours = 90 * 1.28e6 / rate / 3600
    return (
        f"| {count} | {1000 * step:.1f} | {1000 * exchange:.2f} | {1000 * open_part:.2f} | {rate:,.0f} | "
        f"{rate / (count * machine.pictures):.0%} | {hours:.2f} h |"
    )


def ring(size: float, members: int, bandwidth: float, latency: float) -> float:
    """Seconds of a ring all-reduce: each member sends and receives 2 (n − 1) / n of the bytes in 2 (n − 1) hops."""
    return 2 * (members - 1) / members * size / bandwidth + 2 * (members - 1) * latency


def laid_out(recipe: Recipe, team: Any = None) -> tuple[State, Batches, Batches, Plan]:
    data = load(recipe.data)
    options = {} if team is None else {"team": team}
    plan, network = prepare(recipe, data.train, data.view, len(data.classes), CPU, **options)
    return State(network, recipe.fit), Batches.of(data.train, CPU), Batches.of(data.valid, CPU), plan


def step_seconds(recipe: Recipe) -> float:
    """Returns the median seconds of an update in the second epoch."""
    with joined(CPU) as team:
        times, epochs, began = [], 0, perf_counter()
        for record in steps(*laid_out(recipe, team)):
            now = perf_counter()
            epochs += isinstance(record, Epoch)
            if epochs == 1 and not isinstance(record, Epoch):
                times.append(now - began)
            began = now
    return median(times)


def exchanges() -> list[float]:
    with joined(CPU):
        return [exchange_seconds(size) for size in SIZES]


def exchange_seconds(size: int) -> float:
    values, times = torch.ones(size // 4), []
    for _ in range(60):
        began = perf_counter()
        torch.distributed.all_reduce(values)
        times.append(perf_counter() - began)
    return median(times)


def fitted(exchange: dict[int, float]) -> tuple[float, float]:
    """Returns (latency, bandwidth) of the line through the medians, weighted by their inverse."""
    sizes, seconds = np.array(list(exchange)), np.array(list(exchange.values()))
    slope, start = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    return float(start), float(1 / slope)


def read_rate(recipe: Recipe) -> float:
    from konv.training.fit import prepared

    _, training, _, plan = laid_out(recipe)
    began, pictures = perf_counter(), 0
    while perf_counter() - began < 1:
        indices = torch.randint(len(training), (256,))
        prepared(*training.take(indices), plan, 0, 0)
        pictures += 256
    return pictures / (perf_counter() - began)


def together(work: Callable[[], list[float]], folder: Path) -> list[float]:
    """Returns what two forked processes that know of each other measured; the slower one counts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for rank in range(2):
        if os.fork() == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            np.save(folder / f"{rank}.npy", work())
            os._exit(0)
    for _ in range(2):
        os.wait()
    found: list[float] = np.maximum(*(np.load(folder / f"{rank}.npy") for rank in range(2))).tolist()
    return found


if __name__ == "__main__":
    main()

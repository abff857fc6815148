"""The two roofs of a machine, measured: arithmetic by a matrix product, memory by a copy (Williams et al. 2009,
doi.org/10.1145/1498765.1498785)."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from konv.core.profile import Bound

SIDE = {"cpu": 1024}  # of the matrices; small enough for a fraction of a second on one core
LARGE_SIDE = 8192  # on an accelerator, which a small product leaves idle
COPIED = 128 * 2**20  # bytes: more than a processor's caches hold
BUDGET = 0.3  # seconds per roof
NEGLIGIBLE = 0.1  # share of the nearer roof below which neither is what holds a layer back


@dataclass(frozen=True)
class Roofs:
    """What this machine can do at most, on torch's present thread count."""

    gemm_gflops: float  # 10⁹ operations per second
    copy_gigabytes_per_second: float  # read and written

    def best(self, other: "Roofs") -> "Roofs":
        """Returns the higher of two measurements of each roof: what disturbs a machine only lowers them."""
        return Roofs(
            max(self.gemm_gflops, other.gemm_gflops), max(self.copy_gigabytes_per_second, other.copy_gigabytes_per_second)
        )

    def judge(self, gflop: float, megabytes: float, milliseconds: float) -> tuple[Bound, float]:
        """Returns the roof that holds such work back, and the share of the nearer roof that is reached."""
        arithmetic = 1000 * gflop / self.gemm_gflops  # milliseconds at the least
        memory = megabytes / self.copy_gigabytes_per_second
        share = max(arithmetic, memory) / milliseconds if milliseconds else 0.0
        if share < NEGLIGIBLE:
            return "overhead", share
        return ("arithmetic" if arithmetic > memory else "memory"), share


def measure_roofs(device: torch.device, dtype: torch.dtype) -> Roofs:
    """Returns the roofs of a device: products of square matrices of this dtype, and copies of 128 MiB; under a second."""
    side = SIDE.get(device.type, LARGE_SIDE)
    random = torch.Generator().manual_seed(0)  # its own: torch's is not touched
    left, right = (torch.rand(side, side, generator=random).to(device, dtype) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.zeros(COPIED // 4, device=device)
    target = torch.empty_like(source)
    return Roofs(
        gemm_gflops=2 * side**3 / _seconds(lambda: torch.mm(left, right, out=product), device) / 1e9,
        copy_gigabytes_per_second=2 * COPIED / _seconds(lambda: target.copy_(source), device) / 1e9,
    )


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Returns the shortest time of a call: a roof is what the machine does when nothing disturbs it."""
    times: list[float] = []
    began = perf_counter()
    while len(times) < 5 or perf_counter() - began < BUDGET:
        start = perf_counter()
        call()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        times.append(perf_counter() - start)
    return min(times)

"""The machine's matrix speed, measured beside every other figure so that figures of different machines compare."""

from statistics import median
from time import perf_counter

import torch

SIDE = 1024


def gemm_gflops(seconds: float = 0.5, *, dtype: torch.dtype = torch.float32, side: int = SIDE) -> float:
    """Returns 10⁹ floating-point operations per second of side² matrix products on torch's present thread count: 2·side³ each.

    The median of single products, so that what disturbs a few of them does not count; wall seconds × this number is the
    cost of a training in operations this machine could have done meanwhile.
    """
    left, right = (torch.rand(side, side, generator=torch.Generator().manual_seed(seed)).to(dtype) for seed in (0, 1))
    out = torch.empty(side, side, dtype=dtype)
    for _ in range(3):  # the first ones build the kernel and touch the memory
        torch.mm(left, right, out=out)
    times, began = [], perf_counter()
    while not times or perf_counter() - began < seconds:
        start = perf_counter()
        torch.mm(left, right, out=out)
        times.append(perf_counter() - start)
    return 2 * side**3 / median(times) / 1e9


if __name__ == "__main__":
    for dtype in (torch.float32, torch.bfloat16):
        print(f"{dtype}: {gemm_gflops(dtype=dtype):,.0f} GFLOP/s on {torch.get_num_threads()} threads")

"""How this process asks the system for memory."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc; mallopt(3)
NEVER = 2**31 - 1  # bytes: the largest number mallopt takes
STEP = 64 * 2**20  # bytes asked for at a time


def keep_freed_memory() -> bool:
    """Lets the C library keep what is freed for the next tensor, and returns whether it does; True on glibc only.

    A training frees and takes the same tensors at every step. Left alone, glibc hands large ones back to the system each time,
    which then clears thousands of pages again: a quarter of a step for a small network (docs/speed.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, value) for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, STEP)))

"""Randomness as a function: what happens at a step follows from (seed, epoch, step, rank) alone.

A resumed run therefore needs no saved generator and no fast-forward.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

Purpose = Literal["weights", "order", "augment", "dropout"]
_NUMBER: dict[Purpose, int] = {"weights": 0, "order": 1, "augment": 2, "dropout": 3}


def seed_for(purpose: Purpose, seed: int, epoch: int = 0, step: int = 0, rank: int = 0) -> int:
    """Returns a seed in 0…2⁶³−1 mixed from its arguments (numpy.random.SeedSequence)."""
    words = np.random.SeedSequence([_NUMBER[purpose], seed, epoch, step, rank]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def order(size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Returns the order in which an epoch meets its samples: a permutation of 0…size−1."""
    return np.random.default_rng(seed_for("order", seed, epoch)).permutation(size)


def generator(purpose: Purpose, seed: int, epoch: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_for(purpose, seed, epoch, step, rank))

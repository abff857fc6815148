"""What every peer is given, and the one JSON line it prints: the course network's data, epochs and accuracy."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # straightforward.py has the network
BATCH, RATE = 100, 1e-3  # of every side


@dataclass(frozen=True)
class Course:
    """A folder as torchvision reads it, epochs, seed, and how many training pictures to take (0: all)."""

    folder: str
    epochs: int
    seed: int
    pictures: int = 0


def course() -> Course:
    return Course(sys.argv[1], *map(int, sys.argv[2:]))


def arrays(course: Course, *, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns pictures (N, 28, 28) of float32 in 0…1 and labels (N,)."""
    name = "train" if train else "t10k"
    raw = Path(course.folder) / "FashionMNIST" / "raw"
    pictures = np.fromfile(raw / f"{name}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.fromfile(raw / f"{name}-labels-idx1-ubyte", np.uint8, offset=8)
    end = course.pictures if train and course.pictures else len(labels)
    return pictures[:end].astype(np.float32) / 255, labels[:end].astype(np.int64)


def tell(taken: int, epoch_seconds: Sequence[float], accuracy: float) -> None:
    """Prints the line; pictures per second are those of the fastest epoch: a first one may hold a compiler's work."""
    rate = taken / min(epoch_seconds)
    facts = {"accuracy": accuracy, "seconds_training": sum(epoch_seconds), "pictures_per_second": rate}
    print(json.dumps(facts))

"""Toy shapes drawn on the spot, in one, two or three dimensions: a problem that a small network learns in seconds."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from konv.core.errors import BadData
from konv.core.options import Fraction, Positive
from konv.datasets import _drawing as drawing
from konv.datasets._fingerprint import fingerprint
from konv.datasets._samples import Collection, Samples

MINIMUM_SIDE = 8  # pixels: below, the arms of a cross are thinner than half a pixel
MAXIMUM_BYTES = 4_294_967_296  # 4 GiB of drawn pictures: the shapes are made in memory
BLOCK_VALUES = 4_194_304  # values drawn at once: 16 MiB of float32

Draw = Callable[[Generator, int, int], NDArray[np.float32]]  # (random, count, side) → figure in 0…1, (count, *space)
FIGURES: dict[int, dict[str, Draw]] = {
    1: {"bump": drawing.bump, "step": drawing.step, "wave": drawing.wave, "spikes": drawing.spikes},
    2: {"circle": drawing.circle, "square": drawing.square, "triangle": drawing.triangle, "cross": drawing.cross},
    3: {"ball": drawing.ball, "cube": drawing.cube, "shell": drawing.shell, "cross": drawing.solid_cross},
}


def load(
    source: str,  # noqa: ARG001 (every load takes its source)
    *,
    pictures: Positive = 600,
    side: Positive = 16,
    classes: Literal[2, 3, 4] = 4,
    dimensions: Literal[1, 2, 3] = 2,
    channels: Positive = 1,
    noise: Fraction = 0.1,
    seed: int = 0,
) -> Collection:
    """Returns inputs (pictures, channels, side, …) of uint8 with as many of each class, at random place, size and brightness.

    `noise` is the standard deviation of every value, as a share of the range 0…255.
    """
    _check(pictures, classes, side, seed)
    shape = (pictures, channels, *[side] * dimensions)
    if math.prod(shape) > MAXIMUM_BYTES:
        raise BadData(f"shapes of {shape} take {math.prod(shape) / 1e9:.1f} GB; lower data.pictures or data.side.")
    random = np.random.default_rng(seed)
    names = tuple(FIGURES[dimensions])[:classes]
    labels = random.permutation(np.arange(pictures) % classes)
    inputs = np.empty(shape, dtype=np.uint8)
    for label, name in enumerate(names):
        members = np.flatnonzero(labels == label)
        for block in np.array_split(members, 1 + inputs[0].size * len(members) // BLOCK_VALUES):
            inputs[block] = _painted(FIGURES[dimensions][name](random, len(block), side), channels, noise, random)
    samples = Samples(inputs, labels.astype(np.int64), tuple(f"shapes:{index}" for index in range(pictures)))
    return Collection(samples, names, fingerprint(names, samples))


def _painted(figure: NDArray[np.float32], channels: int, noise: float, random: Generator) -> NDArray[np.uint8]:
    """Draws brightness of background and figure for every picture and channel, adds noise: (N, *space) → (N, C, *space)."""
    count, *space = figure.shape
    places = (count, channels, *[1] * len(space))
    ground = random.uniform(0.05, 0.3, places).astype(np.float32)
    contrast = random.uniform(0.45, 0.7, places).astype(np.float32)
    grain = random.standard_normal((count, channels, *space), dtype=np.float32) * np.float32(noise)
    values: NDArray[np.float32] = np.clip(ground + contrast * figure[:, None] + grain, 0, 1)
    return np.rint(values * 255).astype(np.uint8)


def _check(pictures: int, classes: int, side: int, seed: int) -> None:
    if side < MINIMUM_SIDE:
        raise BadData(f"data.side = {side} is too small to tell the shapes apart; take {MINIMUM_SIDE} or more.")
    if pictures < classes:
        raise BadData(f"data.pictures = {pictures} leaves some of the {classes} classes without a picture; take more.")
    if seed < 0:
        raise BadData(f"data.seed = {seed} is below 0; take 0 or more.")

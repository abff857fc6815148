"""Figures for the toy shapes: (random, count, side) → values 0…1 of shape (count, *space), all at random place and size.

Figures of one dimension count fill the same area (or volume) at the same size, and signals have the same mean, so the mean
brightness says nothing about the class. Edges are soft over one pixel: value = clip(0.5 − signed distance in pixels).
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Values = NDArray[np.float32]


# ---- two dimensions: lengths in units of the radius of the circle with the same area ------------------------------


def circle(random: Generator, count: int, side: int) -> Values:
    (y, x), radius = _around(random, count, side, 2, reach=1.0)
    return _soft(np.hypot(x, y) - radius)


def square(random: Generator, count: int, side: int) -> Values:
    half = np.sqrt(np.pi) / 2  # (2 · half)² = π
    (y, x), radius = _around(random, count, side, 2, reach=half)
    return _soft(_box((x, y), (half * radius, half * radius)))


def triangle(random: Generator, count: int, side: int) -> Values:
    outer = np.sqrt(4 * np.pi / (3 * np.sqrt(3)))  # circumradius of the equilateral triangle of area π
    (y, x), radius = _around(random, count, side, 2, reach=outer)
    slanted = np.abs(x) * (np.sqrt(3) / 2) - y / 2  # both upper edges at once
    return _soft(np.maximum(slanted, y) - outer * radius / 2)  # inradius = circumradius / 2


def cross(random: Generator, count: int, side: int) -> Values:
    arm = np.sqrt(np.pi / (8 / 3 - 4 / 9))  # two bars of half length arm and half width arm / 3
    (y, x), radius = _around(random, count, side, 2, reach=arm)
    long, thin = arm * radius, arm * radius / 3
    return _soft(np.minimum(_box((x, y), (long, thin)), _box((x, y), (thin, long))))


# ---- three dimensions: lengths in units of the radius of the ball with the same volume ----------------------------


def ball(random: Generator, count: int, side: int) -> Values:
    axes, radius = _around(random, count, side, 3, reach=1.0)
    return _soft(_length(axes) - radius)


def cube(random: Generator, count: int, side: int) -> Values:
    half = np.cbrt(np.pi / 6)  # (2 · half)³ = 4π/3
    axes, radius = _around(random, count, side, 3, reach=half)
    return _soft(_box(axes, [half * radius] * 3))


def shell(random: Generator, count: int, side: int) -> Values:
    hollow = 0.7  # inner radius as a share of the outer one
    outer = np.cbrt(1 / (1 - hollow**3))
    axes, radius = _around(random, count, side, 3, reach=outer)
    middle, half = outer * radius * (1 + hollow) / 2, outer * radius * (1 - hollow) / 2
    return _soft(np.abs(_length(axes) - middle) - half)


def solid_cross(random: Generator, count: int, side: int) -> Values:
    arm = np.cbrt(4 * np.pi / 3 / (8 / 3 - 16 / 27))  # three bars of half length arm and half width arm / 3
    axes, radius = _around(random, count, side, 3, reach=arm)
    long, thin = arm * radius, arm * radius / 3
    bars = [_box(axes, [long if axis == along else thin for axis in range(3)]) for along in range(3)]
    return _soft(np.minimum.reduce(bars))


# ---- one dimension: values around 0.5 -----------------------------------------------------------------------------


def bump(random: Generator, count: int, side: int) -> Values:
    places = _along(side) - random.uniform(0.3, 0.7, (count, 1))
    return _centred(np.exp(-((places / random.uniform(0.1, 0.16, (count, 1))) ** 2)))


def step(random: Generator, count: int, side: int) -> Values:
    return _centred(_along(side) > random.uniform(0.3, 0.7, (count, 1)))


def wave(random: Generator, count: int, side: int) -> Values:
    periods, phase = random.uniform(2, 3, (count, 1)), random.uniform(0, 1, (count, 1))
    return _centred(np.sin(2 * np.pi * (periods * _along(side) + phase)) / 2)


def spikes(random: Generator, count: int, side: int) -> Values:
    """Two to four single values that stand out, never side by side."""
    slots = random.permuted(np.tile(np.arange(side // 2), (count, 1)), axis=1)[:, :4]
    shown = np.arange(4) < random.integers(2, 5, (count, 1))
    values = np.zeros((count, side))
    np.put_along_axis(values, 2 * slots, shown.astype(float), axis=1)
    return _centred(values)


# ---- parts --------------------------------------------------------------------------------------------------------


def _around(random: Generator, count: int, side: int, dimensions: int, reach: float) -> tuple[list[Values], Values]:
    """Coordinates in pixels around each figure's random centre, one array per axis, and each figure's unit of length.

    `reach` is how far the figure extends in that unit: every figure lies inside its picture.
    """
    ones = [1] * dimensions
    unit = random.uniform(0.22, 0.29, (count, *ones)) * side
    pixels = np.arange(side) + 0.5
    axes = []
    for axis in range(dimensions):
        room = np.maximum(side / 2 - reach * unit, 0)
        centre = side / 2 + random.uniform(-1, 1, (count, *ones)) * room
        axes.append((pixels.reshape([-1 if place == axis else 1 for place in range(dimensions)]) - centre).astype(np.float32))
    return axes, unit.astype(np.float32)


def _box(axes: Sequence[Values], halves: Sequence[Values]) -> Values:
    """Signed distance to a box (largest coordinate rule: exact inside and beside, a little short off the corners)."""
    distances = [np.abs(axis) - half for axis, half in zip(axes, halves, strict=True)]
    joined = distances[0]
    for distance in distances[1:]:
        joined = np.maximum(joined, distance)
    return joined


def _length(axes: Sequence[Values]) -> Values:
    z, y, x = axes
    length: Values = np.sqrt(x * x + y * y + z * z)
    return length


def _soft(distance: Values) -> Values:
    values: Values = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    return values


def _along(side: int) -> NDArray[np.float64]:
    return (np.arange(side) + 0.5) / side


def _centred(values: NDArray[np.generic]) -> Values:
    plain = values.astype(np.float32)
    shifted: Values = plain - plain.mean(axis=1, keepdims=True) + np.float32(0.5)
    return shifted

"""Thumbnails of samples for reports: pictures as they are, signals as a curve, volumes as a sheet of slices."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SMALLEST, LARGEST = 56, 128  # pixels: the longer side of a thumbnail
CURVE = (128, 64)  # pixels: width and height of a signal's curve
INK = 30  # grey of the curve, on white
SLICES = 9  # of a volume, in rows of three


def thumbnail(sample: NDArray[np.generic]) -> bytes:
    """Returns a PNG of one sample (C, *space): colour if C = 3, else the first channel; floats are stretched to 0…255."""
    shown = _bytes(sample if len(sample) == 3 else sample[:1])  # (3 or 1, *space)
    draw = {1: _curve, 2: _picture, 3: _sheet}[sample.ndim - 1]
    stream = io.BytesIO()
    draw(shown).save(stream, format="PNG")
    return stream.getvalue()


def _bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values.astype(np.uint8)
    plain = values.astype(np.float64)
    low, high = plain.min(), plain.max()
    spread = (plain - low) / (high - low) if high > low else np.full_like(plain, 0.5)
    return np.rint(spread * 255).astype(np.uint8)


def _picture(values: NDArray[np.uint8]) -> Image.Image:
    """(1 or 3, H, W), enlarged in whole steps so that single pixels stay visible, or made smaller smoothly."""
    image = Image.fromarray(values[0] if len(values) == 1 else np.ascontiguousarray(np.moveaxis(values, 0, -1)))
    longest = max(image.size)
    if longest > LARGEST:
        size = [max(1, round(side * LARGEST / longest)) for side in image.size]
        return image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    steps = math.ceil(SMALLEST / longest)
    return image.resize((image.width * steps, image.height * steps), Image.Resampling.NEAREST)


def _sheet(values: NDArray[np.uint8]) -> Image.Image:
    """(1 or 3, D, H, W): up to nine slices, evenly spread over the depth, side by side."""
    channels, depth, height, width = values.shape
    chosen = np.unique(np.linspace(0, depth - 1, min(SLICES, depth)).round().astype(int))
    columns = math.ceil(math.sqrt(len(chosen)))
    rows = math.ceil(len(chosen) / columns)
    sheet = np.zeros((channels, rows * height, columns * width), dtype=np.uint8)
    for place, index in enumerate(chosen):
        top, left = place // columns * height, place % columns * width
        sheet[:, top : top + height, left : left + width] = values[:, index]
    return _picture(sheet)


def _curve(values: NDArray[np.uint8]) -> Image.Image:
    """(C, L): the first channel from left to right, high values on top."""
    width, height = CURVE
    image = Image.new("L", CURVE, 255)
    across = np.linspace(2, width - 3, values.shape[1])
    down = (height - 3) - values[0] / 255 * (height - 5)
    points = list(zip(across.tolist(), down.tolist(), strict=True))
    ImageDraw.Draw(image).line([*points, points[-1]], fill=INK, width=1)  # a signal of one value is a dot
    return image

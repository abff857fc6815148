"""Thumbnails: a small PNG of whatever a sample is."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from konv.datasets import thumbnail


def opened(sample: np.ndarray) -> Image.Image:
    return Image.open(io.BytesIO(thumbnail(sample)), formats=("PNG",))


@given(st.integers(1, 5), st.lists(st.integers(1, 150), min_size=1, max_size=2), st.sampled_from(["uint8", "float32"]))
def test_every_sample_has_one_of_sensible_size(channels: int, space: list[int], kind: str) -> None:
    image = opened(np.zeros((channels, *space), dtype=kind))
    assert 56 <= max(image.size) <= 128
    assert min(image.size) >= 1


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_volumes_are_a_sheet_of_slices(depth: int, height: int, width: int) -> None:
    image = opened(np.full((1, depth, height, width), 9, dtype=np.uint8))
    assert 56 <= max(image.size) <= 128


def test_small_pictures_keep_every_pixel() -> None:
    sample = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert np.array_equal(np.asarray(opened(sample))[3::7, 3::7], sample[0])


def test_colour_stays_colour_and_other_channels_show_the_first() -> None:
    sample = np.zeros((3, 56, 56), dtype=np.uint8)
    sample[0] = 200
    assert opened(sample).getpixel((5, 5)) == (200, 0, 0)
    assert opened(sample[:2]).getpixel((5, 5)) == 200


def test_the_first_nine_slices_lie_in_rows_of_three() -> None:
    sample = np.repeat(np.arange(9, dtype=np.uint8), 400).reshape(1, 9, 20, 20)
    assert np.array_equal(np.asarray(opened(sample))[10::20, 10::20], np.arange(9).reshape(3, 3))


def test_floats_are_stretched() -> None:
    sample = np.linspace(-3, 5, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    assert opened(sample).getextrema() == (0, 255)


@pytest.mark.parametrize("length", [1, 2, 100, 100_000])
def test_signals_are_a_curve(length: int) -> None:
    image = opened(np.sin(np.linspace(0, 6, length, dtype=np.float32))[None])
    assert image.size == (128, 64)
    assert image.getextrema()[0] < 100

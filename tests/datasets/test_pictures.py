"""The one conversion from a picture file to an input."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import encoded, png
from PIL import Image, ImageOps

from konv.core.errors import BadData
from konv.datasets._pictures import PIXEL_LIMIT, BadPicture, inspect, read


def grey(content: bytes, space: tuple[int, int] = (4, 4), resize: str = "stretch") -> np.ndarray:
    return read(content, space, 1, resize)[0]


def colour(content: bytes, space: tuple[int, int] = (4, 4), resize: str = "stretch") -> np.ndarray:
    return read(content, space, 3, resize)


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return values[..., 0] if channels == 1 else values


# ---- every kind of picture ends as 8-bit grey or colour ------------------------------------------------------------

SIXTEEN = np.array([[0, 128, 129, 257], [32_767, 32_768, 65_406, 65_535]], dtype=np.uint16)


def palette(**options: object) -> bytes:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    return encoded(image, "PNG", **options)


KINDS = {
    "grey": (png(77, mode="L"), (77, 77, 77)),
    "colour": (png((1, 2, 3), mode="RGB"), (1, 2, 3)),
    "one bit": (png(1, mode="1"), (255, 255, 255)),
    "palette": (palette(), (10, 20, 30)),
    "palette, transparent": (palette(transparency=1), (255, 255, 255)),
    "grey, half transparent": (png((100, 128), mode="LA"), (177, 177, 177)),
    "colour, transparent": (png((1, 2, 3, 0), mode="RGBA"), (255, 255, 255)),
    "colour, opaque": (png((1, 2, 3, 255), mode="RGBA"), (1, 2, 3)),
    "one colour declared transparent": (encoded(Image.new("RGB", (4, 4), (9, 9, 9)), transparency=(9, 9, 9)), (255, 255, 255)),
    "CMYK": (encoded(Image.new("CMYK", (4, 4), (0, 255, 0, 0)), "TIFF"), (255, 0, 255)),
    "16 bits, black": (encoded(Image.fromarray(np.zeros((4, 4), np.uint16))), (0, 0, 0)),
    "16 bits, white": (encoded(Image.fromarray(np.full((4, 4), 65_535, np.uint16))), (255, 255, 255)),
    "16 bits, TIFF": (encoded(Image.fromarray(np.full((4, 4), 514, np.uint16)), "TIFF"), (2, 2, 2)),
    "16 bits, PGM": (b"P5 4 4 65535\n" + bytes([2, 2]) * 16, (2, 2, 2)),
    "BMP": (encoded(Image.new("RGB", (4, 4), (5, 6, 7)), "BMP"), (5, 6, 7)),
    "WebP": (encoded(Image.new("RGB", (4, 4), (50, 50, 50)), "WEBP", lossless=True), (50, 50, 50)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_colour(kind: str) -> None:
    content, expected = KINDS[kind]
    assert colour(content)[:, 1, 1].tolist() == list(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_grey_by_the_luma_of_its_colour(kind: str) -> None:
    content, (red, green, blue) = KINDS[kind]
    assert abs(int(grey(content)[1, 1]) - (0.299 * red + 0.587 * green + 0.114 * blue)) <= 1  # ITU-R 601


def test_sixteen_bits_are_divided_by_257_and_rounded() -> None:
    assert np.array_equal(grey(encoded(Image.fromarray(SIXTEEN)), (2, 4)), np.rint(SIXTEEN / 257))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), level) for level in ((200, 200, 200), (10, 10, 10))]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (np.abs(colour(content).astype(int) - 200) <= 2).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_obeyed(orientation: int, kind: str) -> None:
    image = Image.fromarray(noise(6, 10))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    height, width = upright.shape[:2]
    assert (width > height) == (orientation < 5)
    assert np.array_equal(np.moveaxis(colour(content, (height, width)), 0, -1), upright)
    assert np.array_equal(grey(content, (height, width)), np.asarray(Image.fromarray(upright).convert("L")))


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_picture_is_fitted_as_if_it_had_been_saved_upright(orientation: int, resize: str) -> None:
    image = Image.fromarray(noise(30, 47))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(image, exif=exif)
    upright = encoded(ImageOps.exif_transpose(Image.open(io.BytesIO(turned))))
    assert np.abs(colour(turned, (11, 16), resize).astype(int) - colour(upright, (11, 16), resize)).max() <= 1


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_does_not_spoil_the_picture(exif: bytes) -> None:
    content = encoded(Image.new("L", (8, 8), 90), "JPEG", exif=exif)
    assert (grey(content) == 90).all()


def test_a_path_a_stream_and_bytes_give_the_same(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(noise(20, 30)), "JPEG")
    (tmp_path / "a").write_bytes(content)
    results = [colour(source) for source in (content, io.BytesIO(content), tmp_path / "a")]
    assert all(np.array_equal(results[0], other) for other in results)
    assert results[0].flags.c_contiguous
    assert results[0].dtype == np.uint8


# ---- making it fit ------------------------------------------------------------------------------------------------


def test_crop_takes_the_centre() -> None:
    values = np.zeros((20, 40), dtype=np.uint8)
    values[:, 10:30] = 200
    assert (grey(encoded(Image.fromarray(values)), (20, 20), "crop") == 200).all()


def test_pad_keeps_everything_on_black() -> None:
    result = grey(png(200, (40, 20)), (8, 8), "pad")
    assert (result[2:6] == 200).all()
    assert (result[[0, 1, 6, 7]] == 0).all()


def test_stretch_keeps_everything() -> None:
    ramp = np.tile(np.arange(100, dtype=np.uint8), (10, 1))
    assert np.abs(grey(encoded(Image.fromarray(ramp)), (2, 10)) - np.arange(4.5, 100, 10)).max() <= 1.5


def test_shrinking_is_antialiased() -> None:
    stripes = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    result = grey(encoded(Image.fromarray(stripes)), (8, 8))
    assert (np.abs(result.astype(int) - 127) < 8).all()


def test_the_centre_is_a_share_of_the_largest_crop() -> None:
    values = np.zeros((40, 60), dtype=np.uint8)
    values[10:30, 20:40] = 200  # half of the largest centred square
    content = encoded(Image.fromarray(values))
    assert (read(content, (20, 20), 1, "crop", 0.5) == 200).all()
    whole = read(content, (40, 40), 1, "crop", 1.0)[0]
    assert np.array_equal(whole, values[:, 10:50])


def test_bicubic_is_pillows(tmp_path: Path) -> None:
    image = Image.fromarray(noise(50, 50))
    wanted = np.asarray(image.resize((20, 20), Image.Resampling.BICUBIC))
    assert np.array_equal(np.moveaxis(read(encoded(image), (20, 20), 3, "crop", 1.0, "bicubic"), 0, -1), wanted)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_picture_of_the_right_size_is_not_touched(resize: str) -> None:
    values = noise(13, 17)
    assert np.array_equal(np.moveaxis(colour(encoded(Image.fromarray(values)), (13, 17), resize), 0, -1), values)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.sampled_from([1, 3]),
    st.floats(0.01, 1.0),
    st.sampled_from(["bilinear", "bicubic"]),
)
def test_every_size_fits_every_other(
    size: tuple[int, int], space: tuple[int, int], resize: str, channels: int, centre: float, interpolation: str
) -> None:
    result = read(png(180, size), space, channels, resize, centre, interpolation)
    assert result.shape == (channels, *space)
    assert set(np.unique(result)) <= ({0, 180} if resize == "pad" else {180})


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(resize: str) -> None:
    rows, columns = np.mgrid[:900, :1200]
    image = Image.fromarray(((np.sin(rows / 37) + np.cos(columns / 23)) * 60 + 128).astype(np.uint8))
    small = grey(encoded(image, "JPEG", quality=95), (48, 48), resize)
    whole = grey(encoded(image, "PNG"), (48, 48), resize)
    assert np.abs(small.astype(int) - whole).max() <= 3


# ---- what is no picture -------------------------------------------------------------------------------------------

JPEG = encoded(Image.fromarray(noise(60, 60)), "JPEG")
WHOLE = encoded(Image.fromarray(noise(90, 90)))
BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"these are words", "no picture in a format konv reads"),
    "html": (b"<!doctype html><title>404</title>", "no picture in a format konv reads"),
    "cut short": (JPEG[: len(JPEG) // 2], "cut short"),
    "cut short, PNG": (WHOLE[:3000], "cut short"),
    "damaged": (
        encoded(Image.fromarray(noise(90, 90)))[:200] + bytes(100) + encoded(Image.fromarray(noise(90, 90)))[300:],
        "damaged",
    ),
    "bomb": (b"P5 20000 20000 255\n" + bytes(10), "pixels"),
    "large bomb": (b"P5 200000 200000 255\n" + bytes(10), "pixels"),
    "fractions": (encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "without a fixed white"),
    "32 bits": (encoded(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF"), "without a fixed white"),
    "not allowed": (encoded(Image.new("RGB", (8, 8)), "PCX"), "no picture in a format konv reads"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_named_with_its_cause(kind: str, tmp_path: Path) -> None:
    content, words = BROKEN[kind]
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(BadData, match=words) as caught:
        read(tmp_path / "a.jpg", (8, 8), 3, "crop")
    assert str(tmp_path / "a.jpg") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, words in {"pipe": "no regular file", "link": "No such file", ".": "no regular file"}.items():
        with pytest.raises(BadPicture, match=words):
            read(tmp_path / name, (8, 8), 3, "crop")


def test_a_picture_between_pillows_limit_and_ours_is_no_bomb(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.new("1", (10_000, 10_000))))
    assert PIXEL_LIMIT > 100_000_000 > Image.MAX_IMAGE_PIXELS
    assert (read(tmp_path / "a.png", (4, 4), 1, "crop") == 0).all()


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]), st.data())
def test_a_mutilated_picture_is_a_picture_or_named(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(Image.fromarray(noise(12, 12)), kind))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    try:
        assert read(bytes(content[:cut]), (8, 8), 3, "crop").shape == (3, 8, 8)
    except BadPicture as error:
        assert error.cause


def test_inspection_tells_grey_from_colour_and_contents_apart(tmp_path: Path) -> None:
    (tmp_path / "grey").write_bytes(png(7))
    (tmp_path / "colour").write_bytes(png((7, 7, 7), mode="RGB"))
    facts = [inspect(tmp_path / name) for name in ("grey", "colour")]
    assert [fact.grey for fact in facts] == [True, False]
    assert facts[0].sha256 != facts[1].sha256

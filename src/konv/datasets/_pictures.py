"""From a picture file to an input: the one conversion behind training, prediction and export.

The first frame of the file is taken; anything transparent is laid over white; 16-bit grey is divided by 257; grey is ITU-R 601
luma (Pillow's "L"); EXIF orientation is obeyed. Then the picture is made to fit by bilinear or bicubic resizing with
antialiasing: `crop` takes the largest centred part of the wanted shape, or a share of it, `pad` keeps the whole picture centred
on black, `stretch` distorts it.
"""

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from konv.core.errors import BadData
from konv.datasets._thumbnails import thumbnail

__all__ = ["FORMATS", "PIXEL_LIMIT", "BadPicture", "decode", "inspect", "read", "silenced", "thumbnail"]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # told by content, never by the file's suffix
PIXEL_LIMIT = 128_000_000  # pixels: a telephone's 108 megapixels pass; as colour that is 384 MB while it is decoded
SIXTEEN_BIT = ("PNG", "PPM")  # formats whose 32-bit mode "I" holds 16-bit grey; in a TIFF it has no fixed white
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes without colour
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation → what makes the picture upright (CIPA DC-008, 4.6.5.1.6)
SIDEWAYS = (TURNS[5], TURNS[6], TURNS[7], TURNS[8])  # height and width change places
ORIENTATION = 0x0112  # EXIF tag
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

Source = Path | BinaryIO | bytes


class BadPicture(BadData):
    """A file that gives no picture: which one and why."""

    def __init__(self, file: str, cause: str) -> None:
        super().__init__(f"{file} cannot be used as a picture: {cause}.")
        self.file = file
        self.cause = cause


@dataclass(frozen=True)
class Inspection:
    """What a file says of itself before its pixels are decoded."""

    sha256: str
    grey: bool


def read(
    file: Source, space: tuple[int, int], channels: int, resize: str, centre: float = 1.0, interpolation: str = "bilinear"
) -> NDArray[np.uint8]:
    """Returns the picture as (C, H, W) of uint8, or raises BadPicture with the file's name and the cause."""
    with silenced():
        return decode(file, space, channels, resize, centre, interpolation)


def decode(
    file: Source, space: tuple[int, int], channels: int, resize: str, centre: float = 1.0, interpolation: str = "bilinear"
) -> NDArray[np.uint8]:
    """As `read`, for use in threads: the caller holds `silenced`, which is not thread-safe."""
    with _blaming(file), _stream(file) as stream:
        image = _headed(stream)
        enough = ceil(2 * max(space) / centre)
        drafted = image.draft(None, (enough, enough))  # libjpeg may halve a large JPEG, cheaply
        image.load()
        extent = drafted[1][2:] if drafted else image.size  # a drafted picture ends within its last pixel
        fitted = _fitted(_plain(image, channels), extent, _turn(image), space, resize, centre, FILTERS[interpolation])
    pixels = np.asarray(fitted, dtype=np.uint8).reshape(*space, channels)  # (H, W) or (H, W, 3) → (H, W, C)
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def inspect(file: Path) -> Inspection:
    """Returns the file's sha256 and whether it is grey, from its header, or raises BadPicture; in threads as `decode`."""
    with _blaming(file), _stream(file) as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # readinto is there
        stream.seek(0)
        return Inspection(sha256, _headed(stream).mode in GREY)


@contextmanager
def silenced() -> Iterator[None]:
    """Within the block Pillow does not warn of odd metadata, nor of many pixels below PIXEL_LIMIT."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ---- opening ------------------------------------------------------------------------------------------------------


class _RefusalError(Exception):
    """A cause in words, on its way to BadPicture."""


@contextmanager
def _blaming(file: Source) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them into: struct.error, IndexError, …
        name = str(file) if isinstance(file, Path) else str(getattr(file, "name", "the picture"))
        raise BadPicture(name, _cause(error)) from error


def _cause(error: Exception) -> str:
    if isinstance(error, _RefusalError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return f"it is no picture in a format konv reads ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {PIXEL_LIMIT:,} pixels"
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read ({error.strerror})"
    return "it is cut short" if "truncated" in str(error).lower() else f"it is damaged ({str(error) or type(error).__name__})"


def _stream(file: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(file, bytes):
        return io.BytesIO(file)
    if not isinstance(file, Path):
        return nullcontext(file)
    facts = file.stat()
    if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
        raise _RefusalError("it is no regular file")
    if facts.st_size == 0:
        raise _RefusalError("it is empty (0 bytes)")
    return open(file, "rb")


def _headed(stream: BinaryIO) -> Image.Image:
    image = Image.open(stream, formats=FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise _RefusalError(f"it has {image.width:,} × {image.height:,} pixels, more than {PIXEL_LIMIT:,}")
    return image


# ---- converting ---------------------------------------------------------------------------------------------------


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """8-bit grey or colour without transparency."""
    mode = {1: "L", 3: "RGB"}[channels]
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise _RefusalError("its pixels are fractions without a fixed white; save it with 8 or 16 bits")
    elif image.has_transparency_data:
        image = _over_white(image)
    elif image.mode not in ("1", "L", "P", "RGB"):
        image = image.convert("RGB")  # CMYK, YCbCr, LAB: not every one of them goes to grey directly
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == "I" and image.format not in SIXTEEN_BIT:
        raise _RefusalError("its pixels are 32-bit numbers without a fixed white; save it with 8 or 16 bits")
    values = np.asarray(image).astype(np.int64).clip(0, 65_535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 65,535 = 257 · 255, rounded to the nearest


def _over_white(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What the EXIF says must be done to it; a picture whose EXIF cannot be read stays as it is, as every viewer has it."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # damaged metadata of an undamaged picture: Pillow raises struct.error, SyntaxError, …
        return None
    return TURNS.get(orientation) if isinstance(orientation, int) else None


# ---- making it fit ------------------------------------------------------------------------------------------------


def _fitted(
    image: Image.Image,
    extent: tuple[float, float],
    turn: Image.Transpose | None,
    space: tuple[int, int],
    resize: str,
    centre: float,
    by: Image.Resampling,
) -> Image.Image:
    """Resized first, turned when it is small: (width, height) of `extent` → (H, W) of `space`."""
    height, width = space[::-1] if turn in SIDEWAYS else space
    box = _centre(extent, width, height, centre) if resize == "crop" else (0, 0, *extent)
    size = _inside(extent, width, height) if resize == "pad" else (width, height)
    small = image.resize(size, by, box=box)
    upright = small if turn is None else small.transpose(turn)
    return _padded(upright, space) if resize == "pad" else upright


def _centre(extent: tuple[float, float], width: int, height: int, share: float) -> tuple[float, float, float, float]:
    """That share of the largest centred box with the wanted proportions, in fractions of pixels."""
    scale = max(width / extent[0], height / extent[1]) / share
    left = max(0.0, (extent[0] - width / scale) / 2)
    top = max(0.0, (extent[1] - height / scale) / 2)
    return left, top, extent[0] - left, extent[1] - top


def _inside(extent: tuple[float, float], width: int, height: int) -> tuple[int, int]:
    scale = min(width / extent[0], height / extent[1])
    return max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale))


def _padded(image: Image.Image, space: tuple[int, int]) -> Image.Image:
    height, width = space
    canvas = Image.new(image.mode, (width, height))  # black
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas

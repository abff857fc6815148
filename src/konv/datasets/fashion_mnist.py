"""Fashion-MNIST, 28×28 grey: 60,000 + 10,000 pictures of clothes in 10 classes, with its own test split."""

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from konv.core.errors import BadData
from konv.datasets._cache import Array, Notes, remembered
from konv.datasets._download import CHUNK, Unreachable, download
from konv.datasets._fingerprint import digest
from konv.datasets._places import data_folder
from konv.datasets._samples import Collection, Samples

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # github.com/zalandoresearch/fashion-mnist
DEBIAN = "/usr/share/datasets/fashion-mnist"  # package dataset-fashion-mnist


@dataclass(frozen=True)
class Idx:
    """One IDX file; the sha256 is that of the unpacked content, because distributions pack it anew."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def header(self) -> int:
        """Bytes before the values: magic number and one 32-bit size per dimension."""
        return 4 + 4 * len(self.shape)


FILES = {
    "train": (
        Idx("train-images-idx3-ubyte.gz", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", (60_000, 28, 28)),
        Idx("train-labels-idx1-ubyte.gz", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", (60_000,)),
    ),
    "test": (
        Idx("t10k-images-idx3-ubyte.gz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", (10_000, 28, 28)),
        Idx("t10k-labels-idx1-ubyte.gz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", (10_000,)),
    ),
}


def load(source: str, *, limit: int = 0) -> Collection:  # noqa: ARG001 (every load takes its source)
    """Returns train inputs (60000, 1, 28, 28) of uint8, memory-mapped, and the test split; `limit` takes the first of each.

    The files come from konv's data folder, from Debian's package or from the network (KONV_FASHION_MNIST_URL, else the
    authors' server); BadData if none has them.
    """
    if limit < 0:
        raise BadData(f"data.limit = {limit} is below 0; give how many pictures to take of each split, or 0 for all.")
    train, test = (_samples(split, limit) for split in ("train", "test"))
    hashes = [file.sha256 for files in FILES.values() for file in files]
    return Collection(train, CLASSES, digest(*CLASSES, *hashes, str(limit)), test=test)


def _samples(split: str, limit: int) -> Samples:
    images, labels = (_values(file)[: limit or None] for file in FILES[split])
    ids = tuple(f"{split}:{index}" for index in range(len(labels)))
    return Samples(images[:, None], labels.astype(np.int64), ids)  # (N, 28, 28) → (N, 1, 28, 28)


def _values(file: Idx) -> Array:
    return remembered(f"fashion_mnist-{file.sha256[:16]}", file.shape, "uint8", lambda array: _unpack(file, array))[0]


def _unpack(file: Idx, array: Array) -> Notes:
    path = _located(file)
    content = _content(path, file, array)
    if content != file.sha256:
        raise BadData(f"{path} does not hold Fashion-MNIST's {file.name.partition('.')[0]}; remove it and run again.")
    return {"file": file.name}


def _content(path: Path, file: Idx, array: Array | None = None) -> str:
    """Returns the sha256 of the unpacked content, or "" if it cannot be unpacked; its values go into `array`."""
    size = math.prod(file.shape)
    values = array.reshape(-1) if array is not None else None
    try:
        with gzip.open(path) as stream:
            content = hashlib.sha256(stream.read(file.header))
            for start in range(0, size, CHUNK):
                piece = stream.read(min(CHUNK, size - start))
                content.update(piece)
                if values is not None:
                    values[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
            content.update(stream.read(1))  # a longer file is another file
    except (OSError, EOFError, zlib.error):
        return ""
    return content.hexdigest()


def _located(file: Idx) -> Path:
    folder = data_folder() / "fashion_mnist"
    for path in (folder / file.name, Path(DEBIAN) / file.name):
        if path.is_file():
            return path
    address = os.environ.get("KONV_FASHION_MNIST_URL") or ADDRESS
    try:
        download(f"{address.rstrip('/')}/{file.name}", folder / file.name, lambda path: _content(path, file) == file.sha256)
    except Unreachable as error:
        names = ", ".join(each.name for files in FILES.values() for each in files)
        raise BadData(
            f"Fashion-MNIST is not on this machine and cannot be fetched ({error}): put the four files {names} into {folder}, "
            "or run `apt install dataset-fashion-mnist`, or connect to the network and run the same command again."
        ) from error
    return folder / file.name

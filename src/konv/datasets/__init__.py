"""Data sources, one file each: `load(source, *, options) → Collection`; here it is split and given its View."""

import numpy as np

from konv.core.compose import shelf_of
from konv.core.errors import BadData
from konv.core.recipe import DataOptions
from konv.core.results import DataSummary
from konv.core.shelves import DATASETS
from konv.core.view import View
from konv.datasets._inputs import read_inputs
from konv.datasets._progress import reporting
from konv.datasets._samples import Collection, Data, Samples, SealedSamples
from konv.datasets._split import stratified
from konv.datasets._thumbnails import thumbnail

__all__ = [
    "Collection",
    "Data",
    "Samples",
    "SealedSamples",
    "collect",
    "load",
    "read_inputs",
    "reporting",
    "split",
    "stratified",
    "summarize",
    "thumbnail",
]


PART = 1024  # samples looked at together where all are looked at


def load(options: DataOptions) -> Data:
    """Returns the source split into train, valid and sealed test; raises BadData in one sentence."""
    return split(collect(options), options)


def collect(options: DataOptions) -> Collection:
    """Returns everything a source holds, before any split."""
    module = DATASETS.take(shelf_of(options.source))
    collection: Collection = module.load(options.source, **options.options)
    _check(collection, options.source)
    return collection


def split(collection: Collection, options: DataOptions) -> Data:
    """Returns train, valid and sealed test; a source's own test split is kept as it is."""
    everything, own_test = collection.samples, collection.test
    rest = np.arange(len(everything))
    if own_test is None:
        rest, held = stratified(everything.labels, options.test, options.split_seed)
        sealed = SealedSamples(lambda: everything.take(held), len(held), tuple(everything.ids[i] for i in held))
    else:
        sealed = SealedSamples(lambda: own_test, len(own_test), own_test.ids)
    kept, held_out = stratified(everything.labels[rest], options.valid, options.split_seed)
    train, valid = everything.take(rest[kept]), everything.take(rest[held_out])
    _check_classes(train, valid, collection, options.source)
    return Data(
        source=options.source,
        train=train,
        valid=valid,
        test=sealed,
        classes=collection.classes,
        view=view_of(train, collection.resize, collection.centre, collection.interpolation),
        fingerprint=collection.fingerprint,
        broken=collection.broken,
    )


def summarize(data: Data) -> DataSummary:
    """Returns what there is to know of the data without opening its test split."""
    parts = {"train": data.train.labels, "valid": data.valid.labels}
    counts = {name: np.bincount(labels, minlength=len(data.classes)) for name, labels in parts.items()}
    splits = {name: dict(zip(data.classes, rows.tolist(), strict=True)) for name, rows in counts.items()}
    return DataSummary(
        source=data.source,
        classes=data.classes,
        counts={name: splits["train"][name] + splits["valid"][name] for name in data.classes},
        splits=splits,
        sealed=len(data.test),
        shape=data.view.shape,
        mean=data.view.mean,
        std=data.view.std,
        fingerprint=data.fingerprint,
        broken=data.broken,
    )


def view_of(train: Samples, resize: str, centre: float = 1.0, interpolation: str = "bilinear") -> View:
    """Returns the View of these samples; mean and std per channel come from the training split alone."""
    integer = train.base.dtype == np.uint8
    mean, std = _byte_statistics(train) if integer else _float_statistics(train)
    std = np.where(std > 0, std, 1.0)  # a channel that never changes stays as it is
    scale = 255.0 if integer else 1.0
    return View.model_validate(
        {
            "space": train.shape[1:],
            "channels": train.shape[0],
            "resize": resize,
            "centre": centre,
            "interpolation": interpolation,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "scale": scale,
        }
    )


def _byte_statistics(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Returns exact mean and std per channel, 1 = 255, from counts of the 256 values: no float copy of the data."""
    counts = np.zeros((samples.shape[0], 256))
    for part in samples.parts(PART):
        counts += [np.bincount(part[:, channel].ravel(), minlength=256) for channel in range(part.shape[1])]
    shares, levels = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    return mean, np.sqrt(((levels - mean[:, None]) ** 2 * shares).sum(axis=1))


def _float_statistics(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and std per channel, summed in float64 in two passes."""
    axes = (0, *range(2, samples.base.ndim))
    shape = (1, -1) + (1,) * (samples.base.ndim - 2)
    size = len(samples) * np.prod(samples.shape[1:])
    mean = sum(part.sum(axis=axes, dtype=np.float64) for part in samples.parts(PART)) / size
    squares = (((part - mean.reshape(shape)) ** 2).sum(axis=axes, dtype=np.float64) for part in samples.parts(PART))
    return mean, np.sqrt(sum(squares) / size)


def _check(collection: Collection, source: str) -> None:
    if len(collection.classes) < 2:
        raise BadData(f"{source} has one class only ({collection.classes[0]}); a classifier needs at least two.")
    counts = np.bincount(collection.samples.labels, minlength=len(collection.classes))
    if (counts == 0).any():
        raise BadData(f"class {collection.classes[int(counts.argmin())]!r} of {source} has no picture; fill it or remove it.")


def _check_classes(train: Samples, valid: Samples, collection: Collection, source: str) -> None:
    counts = np.bincount(train.labels, minlength=len(collection.classes))
    if (counts == 0).any() or not len(valid):
        short = collection.classes[int(counts.argmin())]
        raise BadData(
            f"class {short!r} of {source} has too few pictures to be split into train, valid and test; give it at least three."
        )

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
    "take",
    "thumbnail",
]


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
        sealed = SealedSamples(lambda: take(everything, held), len(held), tuple(everything.ids[i] for i in held))
    else:
        sealed = SealedSamples(lambda: own_test, len(own_test), own_test.ids)
    kept, held_out = stratified(everything.labels[rest], options.valid, options.split_seed)
    train, valid = take(everything, rest[kept]), take(everything, rest[held_out])
    _check_classes(train, valid, collection, options.source)
    return Data(
        source=options.source,
        train=train,
        valid=valid,
        test=sealed,
        classes=collection.classes,
        view=view_of(train, collection.resize),
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


def take(samples: Samples, indices: np.ndarray) -> Samples:
    """Returns the chosen samples, copied into memory."""
    return Samples(samples.inputs[indices], samples.labels[indices], tuple(samples.ids[i] for i in indices))


def view_of(train: Samples, resize: str) -> View:
    """Returns the View of these samples; mean and std per channel come from the training split alone."""
    scale = 255.0 if train.inputs.dtype == np.uint8 else 1.0
    channels = train.inputs.shape[1]
    mean, std = zip(*(_mean_and_std(train.inputs[:, channel], scale) for channel in range(channels)), strict=True)
    return View(space=train.shape[1:], channels=channels, resize=resize, mean=mean, std=std, scale=scale)


def _mean_and_std(values: np.ndarray, scale: float) -> tuple[float, float]:
    """Exact sums: a histogram for bytes (no float copy of the data), float64 sums for the rest."""
    if values.dtype == np.uint8:
        levels = np.arange(256) / scale
        parts = np.array_split(values, max(1, len(values) // 8192))
        counts = np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], axis=0)
        shares = counts / counts.sum()
        mean = float(levels @ shares)
        return mean, float(np.sqrt((levels - mean) ** 2 @ shares)) or 1.0
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)) or 1.0


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

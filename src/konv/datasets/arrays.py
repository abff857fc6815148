"""An .npz file of arrays (PATH.npz with `inputs` and `labels`): signals, pictures or volumes of any source."""

import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from konv.core.errors import BadData
from konv.datasets._fingerprint import fingerprint
from konv.datasets._labels import class_names, numbered
from konv.datasets._places import expanded
from konv.datasets._samples import Collection, Samples

NAMES = {
    "inputs": ("inputs", "x", "X", "x_train", "X_train"),
    "labels": ("labels", "y", "y_train"),
    "test_inputs": ("test_inputs", "x_test", "X_test"),
    "test_labels": ("test_labels", "y_test"),
    "classes": ("classes",),
}
FEW = 4  # channels at most for an axis to be taken for channels: grey, two-channel, colour, colour with alpha

Arrays = Mapping[str, NDArray[Any]]


def load(source: str, *, layout: Literal["auto", "channels_first", "channels_last", "no_channels"] = "auto") -> Collection:
    """Returns inputs (N, C, L), (N, C, H, W) or (N, C, D, H, W) of uint8 or float32 and, if the file has one, its test split.

    `auto` takes channels first; (N, L) becomes (N, 1, L); a shape that could as well mean something else is BadData, which
    names the layouts to choose from. Labels are whole numbers or names; names of numbers may be given as `classes`.
    """
    arrays = _read(source)
    for needed in ("inputs", "labels"):
        if needed not in arrays:
            raise BadData(f"{source} has no array {needed!r}; save it with np.savez({source!r}, inputs=…, labels=…).")
    if ("test_inputs" in arrays) != ("test_labels" in arrays):
        raise BadData(f"{source} has only one of test_inputs and test_labels; give both or neither.")
    classes = class_names(arrays, source)
    samples = _samples(arrays, "", classes, layout, source)
    test = _samples(arrays, "test_", classes, layout, source) if "test_inputs" in arrays else None
    if test is not None and (test.shape, test.inputs.dtype) != (samples.shape, samples.inputs.dtype):
        raise BadData(
            f"test_inputs of {source} hold samples of {test.shape} {test.inputs.dtype}, inputs of {samples.shape} "
            f"{samples.inputs.dtype}; make them alike."
        )
    splits = [split for split in (samples, test) if split is not None]
    return Collection(samples, classes, fingerprint(classes, *splits), test=test)


def _read(source: str) -> dict[str, NDArray[Any]]:
    """Returns the arrays under the names of NAMES; nothing in the file is ever executed."""
    path = expanded(source)
    try:
        if not zipfile.is_zipfile(path) and path.stat():
            raise zipfile.BadZipFile("it is no zip archive")
        with np.load(path, allow_pickle=False) as stored:
            found = {name: next((other for other in others if other in stored), None) for name, others in NAMES.items()}
            return {name: stored[other] for name, other in found.items() if other is not None}
    except FileNotFoundError as error:
        raise BadData(f"there is no file {source}; make one with np.savez({source!r}, inputs=…, labels=…).") from error
    except (OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise BadData(f"{source} holds Python objects, which konv never loads; save plain numbers and texts.") from error
        raise BadData(f"{source} is no whole .npz file ({error}); save it again with np.savez.") from error
    except MemoryError as error:
        raise BadData(f"{source} holds arrays that do not fit into the memory ({error}).") from error


def _samples(arrays: Arrays, prefix: str, classes: tuple[str, ...], layout: str, source: str) -> Samples:
    name = f"{prefix}inputs"
    if not arrays[name].size:
        raise BadData(f"{name} of {source} are empty: their shape is {arrays[name].shape}.")
    inputs = _arranged(_typed(arrays[name], name, source), layout, name, source)
    labels = numbered(arrays[f"{prefix}labels"], classes, f"{prefix}labels", source)
    if len(inputs) != len(labels):
        raise BadData(f"{source} has {len(inputs)} {name} but {len(labels)} {prefix}labels; there must be one label per input.")
    return Samples(inputs, labels, tuple(f"{name}:{index}" for index in range(len(labels))))


def _typed(values: NDArray[Any], name: str, source: str) -> NDArray[Any]:
    """uint8 as it is, floating point as float32 and finite."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise BadData(f"{name} of {source} are {values.dtype}; save them as uint8 (0…255) or as float32.")
    with np.errstate(over="ignore"):
        plain = values.astype(np.float32, copy=False)
    finite = np.isfinite(plain).all(axis=tuple(range(1, plain.ndim)))  # (N,)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise BadData(
            f"{name} of {source} hold NaN or infinite numbers in {int((~finite).sum())} samples, the first is sample {bad}; "
            "replace them or leave these samples out."
        )
    return plain


def _arranged(values: NDArray[Any], layout: str, name: str, source: str) -> NDArray[Any]:
    """Samples and channels first: (N, C, *space)."""
    if values.ndim == 2 and layout in ("auto", "no_channels"):
        return values[:, None]  # (N, L) → (N, 1, L)
    if layout == "no_channels" and values.ndim in (3, 4):
        return values[:, None]  # (N, H, W) → (N, 1, H, W), (N, D, H, W) → (N, 1, D, H, W)
    if values.ndim not in (3, 4, 5) or layout == "no_channels":
        raise BadData(
            f"{name} of {source} have the shape {values.shape}; with data.layout={layout} it must be (N, C, L), (N, C, H, W) "
            "or (N, C, D, H, W), without C for no_channels and with C at the end for channels_last."
        )
    if layout == "channels_last":
        return np.ascontiguousarray(np.moveaxis(values, -1, 1))
    if layout == "auto":
        _check_meaning(values.shape, name, source)
    return values


def _check_meaning(shape: tuple[int, ...], name: str, source: str) -> None:
    if len(shape) == 3 and shape[1] == shape[2] > FEW:
        raise BadData(
            f"{name} of {source} have the shape {shape}, which may be pictures (N, H, W) or signals (N, C, L); say which with "
            "`--set data.layout=no_channels` or `--set data.layout=channels_first`."
        )
    if len(shape) > 3 and shape[-1] <= FEW < shape[1]:
        raise BadData(
            f"{name} of {source} have the shape {shape}, which looks like channels at the end; say so with "
            "`--set data.layout=channels_last`, or `--set data.layout=channels_first` if not."
        )

"""Weights learnt before: by torchvision's or timm's name or from a file, checked, folded to the channels, poured in."""

import hashlib
import pickle
import re
import socket
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from konv.core.errors import BadModel, did_you_mean
from konv.core.shelf import Entry

FILES = (".safetensors", ".pth", ".pt")
NESTS = ("state_dict", "model", "model_state_dict", "network")  # keys under which training scripts keep the tensors
TIMEOUT = 30.0  # seconds without an answer or a byte
SHOWN = 3  # tensors named when a file does not fit
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")  # names of densenet's files of 2017

State = dict[str, Tensor]


def pour(network: nn.Module, entry: Entry, weights: str, space: tuple[int, ...], classes: int) -> None:
    """Gives the network the weights of that name or file; raises BadModel where they cannot be had or do not fit.

    The first layer is folded to the network's channels. A head for other classes, and auxiliary heads that the file lacks,
    stay as they were drawn.
    """
    given = read(entry, weights, space)
    own = network.state_dict()
    fitted = {name: _fitted(name, value, own) for name, value in given.items()}
    first = next((name for name in own if name.endswith("weight") and own[name].ndim > 2), "")
    if first in fitted and fitted[first].shape[2:] == own[first].shape[2:]:
        fitted[first] = folded(fitted[first], own[first].shape[1])
    heads = {name for name in fitted.keys() & own.keys() if _is_head(fitted[name], own[name], classes)}
    kept = {name: value for name, value in fitted.items() if name not in heads and (name in own or not _is_auxiliary(name))}
    _require_fit(entry, weights, kept, own, heads)
    state = OrderedDict(kept)
    state._metadata = getattr(given, "_metadata", own._metadata)  # type: ignore[attr-defined]  # layer versions, for mnasnet
    network.load_state_dict(state, strict=False)


def folded(kernel: Tensor, channels: int) -> Tensor:
    """Returns the first layer's kernel (O, C, *k) for another number of channels, with the same response to a grey picture.

    W'[c] = ΣW / C' for fewer channels; W'[c] = W[c mod C] / (how many c' share c mod C) for more.
    """
    known = kernel.shape[1]
    if channels < known:
        return kernel.sum(dim=1, keepdim=True).expand(-1, channels, *kernel.shape[2:]) / channels
    source = torch.arange(channels) % known
    share = torch.bincount(source)[source].to(kernel)
    return kernel[:, source] / share.view(1, -1, *(1,) * (kernel.ndim - 2))


# ---- does it fit? --------------------------------------------------------------------------------------------------


def _fitted(name: str, value: Tensor, own: Mapping[str, Tensor]) -> Tensor:
    """Scalars and one-element tensors are the same count of batches."""
    return value.reshape(own[name].shape) if name in own and value.numel() == own[name].numel() == 1 else value


def _is_head(given: Tensor, own: Tensor, classes: int) -> bool:
    """True where only the number of classes differs."""
    return given.shape != own.shape and own.shape[:1] == (classes,) and given.shape[1:] == own.shape[1:]


def _is_auxiliary(name: str) -> bool:
    return name.lower().startswith("aux")


def _require_fit(entry: Entry, weights: str, kept: State, own: Mapping[str, Tensor], heads: set[str]) -> None:
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # files of before 2018 have none
    missing = [name for name in own if name not in kept and name not in heads | counters and not _is_auxiliary(name)]
    complaints = [f"{name} {_shape(own[name])} is missing in the file" for name in missing]
    complaints += [f"{name} {_shape(value)} is not in the network" for name, value in kept.items() if name not in own]
    complaints += [
        f"{name} is {_shape(value)} in the file and {_shape(own[name])} in the network"
        for name, value in kept.items()
        if name in own and value.shape != own[name].shape
    ]
    if complaints:
        stem = "; a published file wants stem = large" if any(option.name == "stem" for option in entry.options) else ""
        more = f"; and {len(complaints) - SHOWN} more" if len(complaints) > SHOWN else ""
        raise BadModel(
            f"the weights {weights} do not fit {entry.name}: {'; '.join(complaints[:SHOWN])}{more}. "
            f"Take the model they were trained with{stem}."
        )


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "a number"


# ---- where they come from ------------------------------------------------------------------------------------------


def read(entry: Entry, weights: str, space: tuple[int, ...]) -> State:
    """Returns the tensors of a file, or of a published name; raises BadModel in one sentence."""
    path = Path(weights).expanduser()
    if names_file(weights):
        if path.name in {Path(url).name for url in _urls(entry).values()}:
            _require_genuine(path)
        return _from_file(path)
    if entry.constants.get("WEIGHTS") == "timm":
        return _from_timm(entry, weights, space)
    return _from_file(_published_file(entry, weights))


def names_file(weights: str) -> bool:
    """True where `weights` is a file's path and no name."""
    return Path(weights).suffix in FILES or any(mark in weights for mark in "/\\~")


def published(entry: Entry, weights: str) -> Any | None:
    """Returns torchvision's Weights of that name, or of the file that bears its file's name; None where there are none."""
    if entry.constants.get("WEIGHTS") != "torchvision":
        return None
    from torchvision.models import get_model_weights

    members = get_model_weights(entry.name).__members__
    by_file = {Path(member.url).name: member for member in members.values()}
    return members.get(weights.upper()) or by_file.get(Path(weights).name)


def _urls(entry: Entry) -> dict[str, str]:
    """Name → address of every published file of that model."""
    if entry.constants.get("WEIGHTS") != "torchvision":
        return {}
    from torchvision.models import get_model_weights

    return {name: member.url for name, member in get_model_weights(entry.name).__members__.items()}


def _published_file(entry: Entry, weights: str) -> Path:
    urls = _urls(entry)
    url = urls.get(weights.upper())
    if url is None:
        known = ", ".join(urls) or "none"
        raise BadModel(
            f"model.weights = {weights!r} is no weights of {entry.name}{did_you_mean(weights, map(str.lower, urls)) or '.'} "
            f"Known: {known}; or give a file ({', '.join(FILES)})."
        )
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.is_file():
        _download(entry.name, url, path)
    _require_genuine(path)
    return path


def _download(model: str, url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _giving_up_after(TIMEOUT):
            torch.hub.download_url_to_file(url, str(path), _hash_in(path), progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        cause = str(getattr(error, "reason", None) or error).rstrip(".")
        raise BadModel(
            f"the weights of {model} are not on this machine and cannot be fetched ({cause}): put {url} "
            f"into {path.parent} by hand (TORCH_HOME moves that folder), or name a file with --set model.weights=PATH, "
            "or leave model.weights out and train from scratch."
        ) from error


@contextmanager
def _giving_up_after(seconds: float) -> Iterator[None]:
    """torch's download waits for ever on a silent server; this is the only way to tell it not to."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _hash_in(path: Path) -> str | None:
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    return found[1] if found else None


def _require_genuine(path: Path) -> None:
    """The first digits of a published file's sha256 are in its name."""
    expected = _hash_in(path)
    if expected is None or not path.is_file():
        return
    with open(path, "rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if not actual.startswith(expected):
        raise BadModel(
            f"{path} is not what its name says: its sha256 begins with {actual[:8]}; delete it and fetch it again, or rename "
            "it if these are weights of your own."
        )


def _from_timm(entry: Entry, weights: str, space: tuple[int, ...]) -> State:
    from konv.models.timm import create

    if weights.upper() != "DEFAULT":
        raise BadModel(f"model.weights = {weights!r} is no weights of {entry.name}: take DEFAULT, or give a file.")
    try:
        network = create(entry.fixed["variant"], space, pretrained=True)
    except (OSError, RuntimeError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise BadModel(
            f"the weights of {entry.name} are not on this machine and cannot be fetched ({cause}): fetch them elsewhere into "
            "the folder of HF_HOME, or name a file with --set model.weights=PATH, or leave model.weights out."
        ) from error
    return dict(network.state_dict())


def _from_file(path: Path) -> State:
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise BadModel(f"there is no file {path} for model.weights; give the path of a file that is there.") from None
    except pickle.UnpicklingError as error:
        raise BadModel(
            f"{path} is no file of tensors alone, and konv runs no code out of a weights file: save it with "
            "torch.save(network.state_dict(), PATH) or as .safetensors where you trust it."
        ) from error
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, safetensors.SafetensorError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise BadModel(f"the weights {path} cannot be read: {cause}.") from error
    return _tensors(content, path)


def _tensors(content: Any, path: Path) -> State:
    for nest in NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
    if not isinstance(content, Mapping) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadModel(f"{path} holds no names with tensors, as torch.save(network.state_dict(), PATH) writes them.")
    state = OrderedDict((_modern(name), value) for name, value in content.items())
    if hasattr(content, "_metadata"):
        state._metadata = content._metadata  # type: ignore[attr-defined]
    return state


def _modern(name: str) -> str:
    """Without the `module.` of parallel training, and densenet's `norm.1` as `norm1`."""
    return _OLD_DENSENET.sub(r"\1\2", name.removeprefix("module."))

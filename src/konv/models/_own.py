"""A person's own nn.Module from a Python file: `my_net.py:Net`."""

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from konv.core.errors import BadModel, did_you_mean

OFFERED = {  # what konv can hand to a constructor, under the names people use for it
    "channels": ("channels", "in_channels", "input_channels"),
    "classes": ("classes", "num_classes", "n_classes"),
    "space": ("space", "input_size", "image_size"),
}


def read_source(name: str) -> tuple[Path, str, str]:
    """Returns (file, class name, source text) of a name such as `my_net.py:Net`; raises BadModel."""
    file, _, wanted = name.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise BadModel(f"there is no file {file!r} for --model {name}; give it as path/to/file.py:ClassName.")
    try:
        return path, wanted, path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadModel(f"{path} is no Python file in UTF-8.") from None


def digest(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8")).hexdigest()


def build_from_source(source: str, wanted: str, where: str, offer: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
    """Runs the source text as a module and returns `wanted`(...) made with what its constructor asks for."""
    maker = _maker(_executed(source, where), wanted, where)
    arguments = {**_asked_for(maker, offer), **options}
    try:
        network = maker(**arguments)
    except (Exception, SystemExit) as error:  # the person's constructor may raise anything; it is told back with its line
        raise BadModel(f"{where}:{wanted} cannot be built: {_told(error, where)}") from error
    if not isinstance(network, nn.Module):
        raise BadModel(f"{where}:{wanted} gives a {type(network).__name__}; it must be an nn.Module.")
    return network


def _executed(source: str, where: str) -> ModuleType:
    module = ModuleType("konv_own_network")
    module.__file__ = where
    sys.modules[module.__name__] = module  # dataclasses and typing look a class up by its module's name
    folder = str(Path(where).absolute().parent)
    sys.path.insert(0, folder)  # as `python my_net.py` would
    try:
        exec(compile(source, where, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # any mistake in a person's file
        raise BadModel(f"{where} cannot be loaded: {_told(error, where)}") from error
    finally:
        sys.path.remove(folder)
    return module


def _maker(module: ModuleType, wanted: str, where: str) -> Callable[..., Any]:
    maker = getattr(module, wanted, None)
    known = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)]
    if not callable(maker):
        raise BadModel(
            f"{where} has no class {wanted!r}{did_you_mean(wanted, known) or '.'} It has: {', '.join(known) or 'none'}."
        )
    found: Callable[..., Any] = maker
    return found


def _asked_for(maker: Callable[..., Any], offer: Mapping[str, Any]) -> dict[str, Any]:
    names = inspect.signature(maker).parameters
    return {name: offer[key] for key, spellings in OFFERED.items() for name in spellings if name in names}


def _told(error: BaseException, where: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}."

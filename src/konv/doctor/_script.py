"""A person's own network as source text: built while the call that makes each layer is noted."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from torch import nn

from konv.core.errors import BadModel
from konv.core.recipe import Choice
from konv.doctor._code import Code, Span, span_of
from konv.models import build_from_source, read_source

Spans = tuple[Span, ...]  # calls in the person's file, the innermost first


@dataclass(frozen=True)
class Script:
    """What it takes to build a person's network again, from its own text or from a corrected one."""

    path: str
    wanted: str  # the class
    text: str
    offer: Mapping[str, Any]  # what konv hands to a constructor that asks for it
    options: Mapping[str, Any]

    @cached_property
    def code(self) -> Code:
        return Code(self.text)

    def rewritten(self, text: str) -> "Script":
        return replace(self, text=text)

    def build(self) -> "Built":
        """Returns the network and the calls that made its layers, or the error; what the file prints is left out."""
        made: dict[int, Spans] = {}
        try:
            with _noting(self.path, made), contextlib.redirect_stdout(None):
                network = build_from_source(self.text, self.wanted, self.path, self.offer, self.options)
        except BadModel as error:
            return Built(None, {}, error)
        layers = network.named_modules(remove_duplicate=False)
        return Built(network, {name: made.get(id(layer), ()) for name, layer in layers}, None)


@dataclass(frozen=True)
class Built:
    network: nn.Module | None
    made: Mapping[str, Spans]  # by the name of the layer
    error: BadModel | None


def read_script(model: Choice, channels: int, space: tuple[int, ...], classes: int) -> Script:
    """Returns a person's own network, `my_net.py:Net`, as a script, its line endings as they are; raises BadModel."""
    path, wanted, _ = read_source(model.name)
    text = path.read_bytes().decode("utf-8")
    return Script(str(path), wanted, text, {"channels": channels, "space": space, "classes": classes}, dict(model.options))


def shown_path(script: Script) -> str:
    """Returns the file's path as a person reads it: from the folder they are in, where it lies below."""
    path, here = Path(script.path), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def save(script: Script) -> None:
    """Writes the text to the person's file, whole or not at all, with the file's own permissions."""
    from shutil import copymode

    from konv.core.files import replacing

    path = Path(script.path).resolve()  # a link stays a link
    with replacing(path) as temporary:
        temporary.write_bytes(script.text.encode("utf-8"))
        copymode(path, temporary)


def spans_of_frames(frame: FrameType | None, file: str, *, besides: object = None) -> Spans:
    """Returns what the frames of one file are busy with, the innermost first; without methods of `besides`."""
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename == file and not _is_method_of(frame, besides):
            span = span_of(code, frame.f_lasti, frame.f_locals)
            if span is not None:
                found.append(span)
        frame = frame.f_back
    return tuple(found)


def spans_of_traceback(trace: TracebackType | None, file: str) -> Spans:
    """Returns what the frames of one file were busy with when an exception passed, the innermost first."""
    found = []
    while trace is not None:
        frame = trace.tb_frame
        span = span_of(frame.f_code, trace.tb_lasti, frame.f_locals) if frame.f_code.co_filename == file else None
        if span is not None:
            found.append(span)
        trace = trace.tb_next
    return tuple(reversed(found))


@contextlib.contextmanager
def _noting(file: str, made: dict[int, Spans]) -> Iterator[None]:
    """Notes for every module, by its id, the calls in that file that made it; a later module of the same id takes its place."""
    begins = nn.Module.__init__.__code__

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is begins:
            module = frame.f_locals["self"]
            made[id(module)] = spans_of_frames(frame.f_back, file, besides=module)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def _is_method_of(frame: FrameType, thing: object) -> bool:
    code = frame.f_code
    return thing is not None and code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is thing

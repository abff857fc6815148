"""A person's source text: which call stands where, and small edits that leave everything else as it is."""

import ast
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import CodeType
from typing import Any


@dataclass(frozen=True)
class Span:
    """A stretch of source text: lines from 1, columns in bytes of UTF-8 from 0, as Python itself counts them."""

    line: int
    column: int
    end_line: int
    end_column: int
    numbers: tuple[tuple[str, int], ...] = field(default=(), compare=False)  # names in scope that stand for whole numbers

    @property
    def end(self) -> tuple[int, int]:
        return self.end_line, self.end_column


def span_of(code: CodeType, instruction: int, scope: Mapping[str, Any]) -> Span | None:
    """Returns what a frame is doing, from its code, `f_lasti` or `tb_lasti`, and locals; None where Python kept no columns."""
    found = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    line, end_line, column, end_column = found
    if line is None or end_line is None or column is None or end_column is None:
        return None
    numbers = tuple((name, value) for name, value in scope.items() if type(value) is int)
    return Span(line, column, end_line, end_column, numbers)


@dataclass(frozen=True)
class Edit:
    """Characters start … end of the text are replaced."""

    start: int
    end: int
    text: str


Edits = tuple[Edit, ...]


@dataclass(frozen=True)
class Code:
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """Lines with their endings, cut where Python's own reader cuts them."""
        return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", self.text)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    @cached_property
    def _calls(self) -> dict[tuple[int, int], ast.Call]:
        """Calls by where they end: Python moves the start of a call over several lines, and no two end at one place."""
        return {_end(node): node for node in ast.walk(self.tree) if isinstance(node, ast.Call)}

    @cached_property
    def _parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def _modules(self) -> set[str]:
        """Names that stand for modules: `torch`, `nn`, `F`."""
        imports = [node for node in ast.walk(self.tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = [alias for node in imports for alias in node.names]
        return {
            (alias.asname or alias.name).partition(".")[0] for alias in names if (alias.asname or alias.name)[0].islower()
        } | {"F"}

    # ---- finding ----

    def calls(self) -> list[ast.Call]:
        return sorted(self._calls.values(), key=lambda call: (call.lineno, call.col_offset))

    def call(self, span: Span | None) -> ast.Call | None:
        """Returns the call that a frame was busy with."""
        return self._calls.get(span.end) if span else None

    def subscript(self, span: Span | None) -> ast.Subscript | None:
        """Returns the x[…] that a frame was busy with."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Subscript) and span and _end(node) == span.end]
        return next((node for node in found if span and node.lineno == span.line and node.col_offset == span.column), None)

    def line(self, number: int) -> str:
        return self.lines[number - 1].strip()

    def offset(self, line: int, column: int) -> int:
        """Returns the place in the text of a line from 1 and a column in bytes."""
        return self._starts[line - 1] + len(self.lines[line - 1].encode("utf-8")[:column].decode("utf-8", "ignore"))

    def bounds(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: ast.expr) -> str:
        start, end = self.bounds(node)
        return self.text[start:end]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self._parents:
            node = self._parents[node]
            yield node

    def name_of(self, call: ast.Call) -> str:
        """Returns the last word of what is called: `Linear` for nn.Linear(…)."""
        return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")

    def made_as(self, call: ast.Call) -> str:
        """Returns the name a layer is kept under, `body.2` for the third element of a sequence self.body; or an empty text."""
        path: list[str] = []
        below: ast.AST = call
        for node in self.ancestors(call):
            if isinstance(node, ast.Call) and below in node.args and self.name_of(node) == "Sequential":
                path.insert(0, str(node.args.index(below)))
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                return ".".join([node.targets[0].attr, *path])
            below = node
        return ""

    def subject(self, call: ast.Call) -> ast.expr | None:
        """Returns what a function works on: x of x.view(…), of torch.flatten(x, 1) and of self.fc(x)."""
        own = isinstance(call.func, ast.Attribute) and not _begins_with(call.func.value, self._modules | {"self"})
        if own:
            assert isinstance(call.func, ast.Attribute)
            return call.func.value
        return call.args[0] if call.args else None

    def argument(self, call: ast.Call, name: str, place: int | None) -> ast.expr | None:
        """Returns an argument given by name or by place; None where it is left out or comes from a star."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        given = None if place is None or place >= len(call.args) else call.args[place]
        return None if isinstance(given, ast.Starred) else given

    # ---- editing ----

    def replaced(self, node: ast.expr, text: str) -> Edit:
        return Edit(*self.bounds(node), text)

    def with_argument(self, call: ast.Call, name: str, place: int | None, value: str) -> Edit:
        """Returns the edit that sets an argument: its value is replaced, or it is added by name."""
        given = self.argument(call, name, place)
        if given is not None:
            return self.replaced(given, value)
        end = self.bounds(call)[1] - 1
        inside = self.text[self.bounds(call.func)[1] + 1 : end].rstrip()
        return Edit(end, end, f"{', ' if inside and not inside.endswith(',') else ''}{name}={value}")

    def without_argument(self, call: ast.Call, name: str) -> Edit | None:
        keyword = next((keyword for keyword in call.keywords if keyword.arg == name), None)
        return None if keyword is None else self._cut(*self.bounds(keyword))

    def without_element(self, node: ast.expr) -> Edit:
        """Returns the edit that takes one element out of the arguments or the list it stands in."""
        return self._cut(*self.bounds(node))

    def _cut(self, start: int, end: int) -> Edit:
        behind = re.match(r"\s*,[ \t]*(\r?\n[ \t]*)?", self.text[end:])
        if behind:
            return Edit(start, end + behind.end(), "")
        before = re.search(r",\s*$", self.text[:start])
        return Edit(before.start() if before else start, end, "")

    def renamed(self, call: ast.Call, name: str) -> Edit:
        """Returns the edit that calls something else from the same place: nn.BatchNorm1d for nn.BatchNorm2d."""
        end = self.bounds(call.func)[1]
        return Edit(end - len(self.name_of(call)), end, name)

    def beside(self, call: ast.Call, name: str) -> str:
        """Returns another name of the module that a call takes its own from: nn.Flatten beside nn.Linear."""
        prefix = self.segment(call.func)[: -len(self.name_of(call))]
        return f"{prefix or 'nn.'}{name}"

    def applied(self, edits: Sequence[Edit]) -> str:
        text = self.text
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text

    def row(self, edit: Edit) -> int:
        """Returns the line, from 1, in which an edit begins."""
        return next(number for number, start in enumerate(self._starts[1:], 1) if edit.start < start or start == len(self.text))


def method(subject: str, node: ast.expr, call: str) -> str:
    """Returns `subject.call`, in brackets where the subject needs them."""
    plain = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    return f"{subject}.{call}" if plain else f"({subject}).{call}"


def diff(before: str, after: str, file: str) -> str:
    """Returns the unified diff of two texts of one file."""
    lines = difflib.unified_diff(Code(before).lines, Code(after).lines, fromfile=file, tofile=file)
    return "".join(line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _begins_with(node: ast.expr, names: set[str]) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in names

"""Shelves: the modules of one folder, listed and described without importing any of them."""

import ast
import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from konv.core.errors import BadRecipe, UnknownName, did_you_mean


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter of a shelf module's function, read from its source text."""

    name: str
    annotation: str
    default: Any


@dataclass(frozen=True)
class Entry:
    """What a shelf knows of a module before importing it."""

    name: str
    description: str
    options: tuple[Option, ...]
    constants: dict[str, Any]  # module-level names given a literal value, such as MINIMUM_SIDE


@dataclass(frozen=True)
class Shelf:
    """The choices of one folder: file name = name, first docstring line = description."""

    package: str
    function: str  # the function every module on this shelf defines
    noun: str  # what a person calls one of them

    @property
    def folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise UnknownName(f"there is no folder of {self.noun}s at {self.package}")
        return Path(spec.submodule_search_locations[0])

    def names(self) -> list[str]:
        """Returns every name on the shelf in alphabetical order; modules with a leading underscore are machinery."""
        return sorted(path.stem for path in self.folder.glob("*.py") if not path.stem.startswith("_"))

    def find(self, name: str) -> str:
        """Returns the name as it stands on the shelf (`fashion-mnist` is `fashion_mnist`), or raises UnknownName."""
        plain = name.strip().lower().replace("-", "_")
        known = self.names()
        if plain not in known:
            guess = did_you_mean(name, known)
            raise UnknownName(f"there is no {self.noun} named {name!r}{guess or '.'} Known: {', '.join(known)}.")
        return plain

    def entry(self, name: str) -> Entry:
        """Returns description and options of one module, read from its text."""
        return _read(self.folder / f"{self.find(name)}.py", self.function)

    def entries(self) -> list[Entry]:
        return [self.entry(name) for name in self.names()]

    def take(self, name: str) -> ModuleType:
        """Imports and returns the module of that name."""
        return importlib.import_module(f"{self.package}.{self.find(name)}")

    def check_options(self, name: str, given: dict[str, Any], where: str, *, beside: Iterable[str] = ()) -> dict[str, Any]:
        """Returns the given options with their values converted, or raises BadRecipe; loads nothing heavy.

        `beside` are keys of the same table that are no options; one of them may have been meant.
        """
        known = {option.name: option for option in self.entry(name).options}
        for key in given.keys() - known.keys():
            guess = did_you_mean(key, [*known, *beside])
            options = ", ".join(known) or "none"
            raise BadRecipe(f"{where}.{key} is no option of {self.noun} {name}{guess or '.'} Its options: {options}.")
        from konv.core.options import convert  # pydantic costs 0.1 s: not on the road of --help

        return {key: convert(known[key].annotation, value, f"{where}.{key}") for key, value in given.items()}


@lru_cache(maxsize=256)
def _read(path: Path, function: str) -> Entry:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    description = (ast.get_docstring(tree) or "").partition("\n")[0]
    constants = {}
    options: tuple[Option, ...] = ()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            options = _options(node)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            literal = _literal(node.value)
            if literal is not None:
                constants[node.targets[0].id] = literal
    return Entry(path.stem, description, options, constants)


def _options(function: ast.FunctionDef) -> tuple[Option, ...]:
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return tuple(
        Option(argument.arg, ast.unparse(argument.annotation) if argument.annotation else "Any", _literal(default))
        for argument, default in pairs
    )


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None

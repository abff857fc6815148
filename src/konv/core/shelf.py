"""Shelves: the modules of one folder, listed and described without importing any of them."""

import ast
import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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
    """What a shelf knows of a module, or of one variant of it, before importing it."""

    name: str
    description: str
    options: tuple[Option, ...]
    constants: dict[str, Any]  # module-level names given a literal value, such as MINIMUM_SIDE
    module: str = ""  # the file it stands in
    variants: tuple[str, ...] = ()  # further names the file answers to; its own name means the first of them
    told: bool = False  # whether its function wants to know by which name it was chosen, as the parameter `variant`
    fixed: dict[str, Any] = field(default_factory=dict)  # options that the variant sets, which are then no options any more

    @property
    def open(self) -> bool:
        """True where MODULE:ANYTHING is a name: the variants are another package's."""
        return bool(self.constants.get("OPEN"))

    def variant(self, name: str) -> "Entry":
        """Returns the entry of one variant: its capital keys are its constants, the others options it fixes."""
        own: dict[str, Any] = self.constants.get("VARIANTS", {}).get(name, {})
        named = {"variant": name.partition(":")[2] or name} if self.told else {}
        fixed = named | {key: value for key, value in own.items() if not key.isupper()}
        constants = self.constants | {key: value for key, value in own.items() if key.isupper()}
        options = tuple(option for option in self.options if option.name not in fixed)
        return replace(self, name=name, options=options, constants=constants, fixed=fixed)


@dataclass(frozen=True)
class Shelf:
    """The choices of one folder: file name = name, first docstring line = description.

    A file may answer to more names than its own: VARIANTS = {name: {option it fixes: value, CONSTANT: value}}.
    """

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
        """Returns every file on the shelf in alphabetical order; modules with a leading underscore are machinery."""
        return sorted(path.stem for path in self.folder.glob("*.py") if not path.stem.startswith("_"))

    def choices(self) -> list[str]:
        """Returns every name that can be chosen: the variants of a file that has some, else the file's own name."""
        return [name for module in self.entries() if not module.open for name in module.variants or (module.name,)]

    def has(self, name: str) -> bool:
        """True if the name, as a person may write it, is on the shelf."""
        return self._module_of(_plain(name)) is not None

    def find(self, name: str) -> str:
        """Returns the name as it stands on the shelf (`fashion-mnist` is `fashion_mnist`, `resnet` its first variant), or
        raises UnknownName.
        """
        return self.entry(name).name

    def entry(self, name: str) -> Entry:
        """Returns description and options of one choice, read from its file's text, or raises UnknownName."""
        plain = _plain(name)
        module = self._module_of(plain)
        if module is None:
            guess = did_you_mean(name, [*self.choices(), *self.names()])
            raise UnknownName(f"there is no {self.noun} named {name!r}{guess or '.'} Known: {', '.join(self.names())}.")
        if plain == module.name and module.open:
            raise UnknownName(f"{self.noun} {name!r} is a package of many; say which: {plain}:NAME.")
        first = plain == module.name and module.variants and plain not in module.variants
        return module.variant(module.variants[0] if first else plain)

    def entries(self) -> list[Entry]:
        """Returns one entry per file, variants within."""
        return [self._read(name) for name in self.names()]

    def take(self, name: str) -> ModuleType:
        """Imports and returns the module that serves that name."""
        module = self._module_of(_plain(name)) or self.entry(name)  # the latter tells what is wrong
        return importlib.import_module(f"{self.package}.{module.module}")

    def _read(self, module: str) -> Entry:
        return _read(self.folder / f"{module}.py", self.function)

    def _module_of(self, plain: str) -> Entry | None:
        names = self.names()
        if plain in names:
            return self._read(plain)
        package, colon, rest = plain.partition(":")
        if colon:
            found = self._read(package) if package in names and rest else None
            return found if found and found.open else None
        return next((entry for entry in self.entries() if plain in entry.variants), None)

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
    variants = tuple(constants.get("VARIANTS", ()))
    told = any(option.name == "variant" for option in options)
    options = tuple(option for option in options if option.name != "variant")
    return Entry(path.stem, description, options, constants, path.stem, variants, told)


def _plain(name: str) -> str:
    """`fashion-mnist` is `fashion_mnist`; what follows a colon is another package's name and stays as it is."""
    own, colon, others = name.strip().partition(":")
    return own.lower().replace("-", "_") + colon + others


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

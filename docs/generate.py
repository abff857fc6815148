"""Writes the reference pages from the code: recipe keys, commands, choices of every shelf, public names.

    python docs/generate.py

The same code gives the same bytes; no torch is loaded. `docs/recipe_keys.ko.toml` holds the Korean meanings by hand.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import konv
from konv.app.cli import make_app
from konv.core import shelves
from konv.core.compose import READY, explain, fields
from konv.core.options import allowed, annotation_of
from konv.core.shelf import Entry, Option, Shelf

HERE = Path(__file__).parent
KOREAN = HERE / "recipe_keys.ko.toml"
PACKAGE = Path(konv.__file__).parent
MADE = "<!-- Made by docs/generate.py from the code; `make docs` writes it anew. Do not edit. -->"
TABLES = ("", "data", "model", "fit")  # of the recipe, in the order of its file


def pages() -> dict[Path, str]:
    """Returns the text of every generated page by its path."""
    return {HERE / "reference.md": english(), HERE / "reference.ko.md": korean(), HERE / "models.md": models()}


def english() -> str:
    parts = [
        "# Reference",
        MADE,
        "Every recipe key, command, choice and public name, taken from the code. "
        "How to use them: [user guide](guide.md). 한국어: [레시피 키](reference.ko.md).",
        "## Recipe keys",
        "A recipe is a TOML file of these keys. On the command line: `--set KEY=VALUE`. "
        "`konv train --explain KEY` prints one of them.",
        *(part for name in TABLES for part in _key_section(name)),
        "## Ready recipes",
        "`--recipe NAME` takes one by name, beside its source also in short: `konv train fashion-mnist --recipe quick`. "
        "A source takes the one that bears its name, or its `balanced` one, by itself.",
        _table(("name", "what it is"), _ready()),
        "## Commands",
        "Every command takes `--help`; `konv --version` prints the version.",
        *(part for name in _commands() for part in _command_section(name)),
        "## Choices",
        "One file is one choice. Options of a source are keys of `[data]`, options of a model keys of `[model]`; "
        "options of an augmentation stand in its table in `fit.augment`.",
        *(part for shelf in _shelves() for part in _shelf_section(shelf)),
        "## Public names",
        "What `import konv` offers. Each name is imported when it is first used.",
        _table(("name", "what it is"), [(f"`konv.{name}`", _what_it_is(name)) for name in konv.__all__]),
    ]
    return "\n\n".join(parts) + "\n"


def korean() -> str:
    words = tomllib.loads(KOREAN.read_text(encoding="utf-8"))
    parts = [
        "# 레시피 키",
        MADE,
        "레시피의 모든 키를 코드에서 가져와 정리했습니다. 사용 방법은 [사용 안내서](guide.ko.md)에, "
        "명령과 선택지의 옵션, 공개 이름은 [영어 참고서](reference.md)에 있습니다.",
        "명령줄에서는 `--set 키=값`으로 지정하고, `konv train --explain 키`로 하나씩 볼 수 있습니다(출력은 영어).",
        *(part for name in TABLES for part in _key_section_ko(name, words)),
    ]
    return "\n\n".join(parts) + "\n"


def models() -> str:
    parts = [
        "# Networks",
        MADE,
        "Every network that can be named with `--model`, taken from the code; `konv models` lists them with their options, and "
        "[the guide](guide.md#networks-and-weights) says how to use them. Parameters are counted for the setting in the column "
        "before; the tests build every network and compare the count, and torchvision's with what torchvision publishes.",
        "Where *smallest side* has two numbers, they are for the small and the large stem. The small one is a 3×3 kernel that "
        "keeps the size; a network takes it by itself for pictures of up to 64 pixels, unless it gets pretrained weights. "
        "*Pretrained* says whose weights `model.weights` takes by name; such a network takes a file too.",
        *(part for entry in shelves.MODELS.entries() for part in _model_section(entry)),
    ]
    return "\n\n".join(parts) + "\n"


# ---- recipe keys ---------------------------------------------------------------------------------------------------


def _keys(table: str) -> list[str]:
    return [key for key in fields() if key.rpartition(".")[0] == table]


def _facts(key: str) -> dict[str, str]:
    """What `konv train --explain` says of a key: meaning, unit, range, default."""
    _, meaning, *lines = explain(key).splitlines()
    pairs = (line.partition(":") for line in lines)
    return {"meaning": meaning.strip(), **{name.strip(): value.strip() for name, _, value in pairs}}


def _key_section(table: str) -> list[str]:
    rows = []
    for key in _keys(table):
        facts = _facts(key)
        unit = "" if facts["unit"] == "none" else facts["unit"]
        rows.append((f"`{key}`", facts["meaning"], unit, facts["range"], _default(facts, "left out")))
    return [f"### {_heading(table)}", _table(("key", "meaning", "unit", "range", "default"), rows)]


def _key_section_ko(table: str, words: dict[str, Any]) -> list[str]:
    rows = []
    for key in _keys(table):
        facts = _facts(key)
        if key not in words["meaning"]:
            sys.exit(f"{KOREAN.name} has no meaning of {key}; add it.")
        unit = "" if facts["unit"] == "none" else words["unit"].get(facts["unit"], facts["unit"])
        rows.append((f"`{key}`", words["meaning"][key], unit, _range_ko(facts["range"]), _default(facts, "생략")))
    return [f"## {_heading(table)}", _table(("키", "뜻", "단위", "범위", "기본값"), rows)]


def _default(facts: dict[str, str], nothing: str) -> str:
    return nothing if facts["default"] == "left out" else f"`{facts['default']}`"


def _heading(table: str) -> str:
    return f"`[{table}]`" if table else "`seed`, `device`, `threads`"


RANGE_KO = (  # the phrases of konv.core.options.allowed, longest first
    (r"a name, or a table of a name and its options", "이름, 또는 이름과 옵션을 담은 표"),
    (r"one of ([^;]*?)(?= or a list|$)", r"다음 중 하나: \1"),
    (r"a list of: ", "목록. 각 항목은 "),
    (r"a whole number", "정수"),
    (r"a number", "수"),
    (r"a text", "문자열"),
    (r"more than ([\d.,]*\d)", r"\1 초과"),
    (r"less than ([\d.,]*\d)", r"\1 미만"),
    (r"([\d.,]*\d) or more", r"\1 이상"),
    (r"([\d.,]*\d) or less", r"\1 이하"),
    (r" or ", " 또는 "),
)


def _range_ko(range_: str) -> str:
    for english, hangul in RANGE_KO:
        range_ = re.sub(english, hangul, range_)
    return range_


# ---- commands ------------------------------------------------------------------------------------------------------


def _commands() -> list[str]:
    return [entry.name.replace("_", "-") for entry in shelves.COMMANDS.entries()]


def _command_section(name: str) -> list[str]:
    command = make_app()[name]
    found = [
        (f"`{' '.join(argument.names)}`", _kind(argument), " ".join((argument.parameter.help or "").split()))
        for argument in command.assemble_argument_collection(parse_docstring=True)
    ]
    return [f"### `konv {name}`", str(command.help).strip(), _table(("argument", "value", "what it does"), found)]


def _kind(argument: Any) -> str:
    hint, default = argument.hint, argument.field_info.default
    hints = [part for part in get_args(hint) or (hint,) if part is not type(None)]
    if hints == [bool]:
        return "flag"
    if get_origin(hints[0]) is Literal:
        return " ".join(f"`{value}`" for value in get_args(hints[0]))
    word = {int: "a whole number", Path: "a path", list[str]: "a text, repeatable"}.get(hints[0], "a text")
    needed = ", needed" if argument.required else ""
    return f"{word}{needed}" if not isinstance(default, Path) else f"{word}; `{default}` when left out"


# ---- shelves -------------------------------------------------------------------------------------------------------


def _shelves() -> list[Shelf]:
    found = [value for value in vars(shelves).values() if isinstance(value, Shelf)]
    return [shelf for shelf in found if shelf is not shelves.COMMANDS]


def _shelf_section(shelf: Shelf) -> list[str]:
    rows = []
    for entry in shelf.entries():
        name = f"`{entry.name}`" + "".join(f"<br>`{variant}`" for variant in entry.variants if variant != entry.name)
        rows.append((name, entry.description, "<br>".join(_option(option) for option in entry.options)))
    return [f"### {shelf.noun.capitalize()}s", _table(("name", "what it is", "options: range; default"), rows)]


def _model_section(entry: Entry) -> list[str]:
    head = ("name", "setting", "parameters", "smallest side", "dimensions", "pretrained", "source")
    if entry.open:
        rows = [(f"`{entry.name}:NAME`", *_model_facts(entry))]
    else:
        chosen = [shelves.MODELS.entry(name) for name in entry.variants or (entry.name,)]
        rows = [(f"`{one.name}`", *_model_facts(one)) for one in chosen]
    return [f"## {entry.name}", f"{entry.description.rstrip('.')}.", _table(head, rows)]


def _model_facts(entry: Entry) -> tuple[str, ...]:
    facts = entry.constants
    channels, space, classes = facts.get("SETTING", (3, (224, 224), 1000))
    count = facts.get("PARAMETERS")
    smallest, large = facts.get("MINIMUM_SIDE", 1), facts.get("MINIMUM_SIDE_LARGE")
    dimensions = facts.get("DIMENSIONS", (1, 2, 3))
    source = facts.get("PAPER")
    return (
        f"{'×'.join(map(str, (channels, *space)))}, {classes} classes" if count else "",
        f"{count:,}" if count else "",
        f"{smallest} / {large}" if large else str(smallest),
        ", ".join(map(str, dimensions)),
        facts.get("WEIGHTS", "no"),
        f"[{source.partition('//')[2]}]({source})" if source else "",
    )


def _option(option: Option) -> str:
    return f"`{option.name}`: {allowed(annotation_of(option.annotation))}; `{_plain(option.default)}`"


def _plain(default: Any) -> str:
    return "[" + ", ".join(map(str, default)) + "]" if isinstance(default, tuple) else str(default)


# ---- public names --------------------------------------------------------------------------------------------------


def _what_it_is(name: str) -> str:
    """The first sentence of a public name's docstring, read from its text: importing it might load torch."""
    sentence = _sentence(_definition(konv._WHERE[name], name))
    return sentence[0].upper() + sentence[1:]


def _definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.asname or alias.name for alias in node.names}:
            return _definition(node.module, name)
    raise LookupError(f"{module} does not define {name}")


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _sentence(node: ast.FunctionDef | ast.ClassDef) -> str:
    paragraph = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph)[0]


# ---- markdown ------------------------------------------------------------------------------------------------------


def _ready() -> list[tuple[str, str]]:
    paths = sorted(READY.glob("*.toml"))
    return [(f"`{path.stem}`", path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")) for path in paths]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head)]
    lines += [("---",) * len(lines[0])]
    lines += [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""One layer at length: its facts, values worked out, its arguments; as parts for a page and as lines of text."""

from dataclasses import dataclass

from rich.cells import cell_len

from konv.app.anatomy import numbers
from konv.app.report.words import Texts
from konv.core.anatomy import Explanation, Grid, Variant, Worked

Pairs = list[tuple[str, str]]  # of a name and a value


@dataclass(frozen=True)
class Example:
    """A value that was worked out: numbers side by side, and the sum they make."""

    heading: str
    grids: tuple[tuple[str, list[list[str]]], ...]
    sums: Pairs


def facts(found: Explanation, texts: Texts) -> Pairs:
    """Returns what the table says of the layer, in full."""
    layer, words = found.layer, texts["table"]
    arguments = ", ".join(f"{name}={value}" for name, value in found.arguments.items())
    bytes_ = {"forward": numbers.memory(layer.forward_bytes), "backward": numbers.memory(layer.backward_bytes)}
    return [
        (words["kind"], f"{layer.kind}({arguments})"),
        (words["input"], ", ".join(map(numbers.shape, layer.inputs or (layer.input,)))),
        (words["output"], numbers.shape(layer.output)),
        (words["formula"], layer.formula),
        (words["parameters"], _counted(layer.parameters, layer.parameters_formula)),
        (words["multiply_adds"], _counted(layer.multiply_adds, layer.multiply_adds_formula)),
        (words["receptive_field"], numbers.along(layer.receptive_field)),
        (words["stride"], numbers.along(layer.stride)),
        (texts["page"]["offset"], numbers.along(layer.offset)),
        (words["memory"], texts["layer"]["memory"].format(**bytes_)),
    ]


def _counted(count: int, formula: str) -> str:
    return f"{formula} = {count:,}" if formula else f"{count:,}"


# ---- values worked out -------------------------------------------------------------------------------------------


def examples(found: Explanation, texts: Texts) -> list[Example]:
    """Returns one example per value that was worked out."""
    return [_example(worked, found, texts["layer"]) for worked in found.worked]


def _example(worked: Worked, found: Explanation, words: Texts) -> Example:
    heading = words["place"].format(place=", ".join(map(str, worked.place)))
    if "mean" in worked.numbers:
        return Example(heading, (), [*_normalised(worked), ("torch", _number(worked.torch))])
    window = words["features"] if "Linear" in found.layer.kind else words["window"]
    named = [(window, worked.window), (words["kernel"], worked.kernel), (words["products"], worked.products)]
    grids = tuple((name, _cells(grid)) for name, grid in named if grid)
    sums = _summed(worked, words) if worked.products else _pooled(worked, words)
    return Example(heading, grids, [*sums, ("torch", _number(worked.torch))])


def _summed(worked: Worked, words: Texts) -> Pairs:
    rows = [(words[f"number_{name}"], _number(value)) for name, value in worked.numbers.items()]
    return [*rows, (words["result"], _number(worked.result))]


def _pooled(worked: Worked, words: Texts) -> Pairs:
    if "divisor" not in worked.numbers:
        return [(words["maximum"], _number(worked.result))]
    parts = f"{_number(worked.numbers['sum'])} / {worked.numbers['divisor']:g}"
    return [(words["mean"], f"{parts} = {_number(worked.result)}")]


def _normalised(worked: Worked) -> Pairs:
    of = {name: _number(value) for name, value in worked.numbers.items()}
    text = f"({of['x']} − {of['mean']})/√({of['variance']} + {worked.numbers['epsilon']:g}) · {of['gamma']} + {of['beta']}"
    return [("(x − μ)/√(σ² + ε)·γ + β", f"{text} = {_number(worked.result)}")]


def _cells(grid: Grid) -> list[list[str]]:
    whole = all(value == int(value) for row in grid for value in row)
    return [[f"{value:.0f}" if whole else _number(value, 3) for value in row] for row in grid]


def _number(value: float, digits: int = 4) -> str:
    rounded = round(value, digits) + 0.0  # without the sign of a zero
    return (f"{rounded:.{digits}f}" if value != int(value) else f"{int(value)}").replace("-", "−")


# ---- arguments ---------------------------------------------------------------------------------------------------


def headings(texts: Texts) -> list[str]:
    words, table = texts["layer"], texts["table"]
    return [words["argument"], table["output"], table["parameters"], table["multiply_adds"], words["own_field"]]


def variants(found: Explanation, texts: Texts) -> list[list[str]]:
    """Returns one row per argument that was changed."""
    return [_variant(row, texts["layer"]) for row in found.variants]


def _variant(row: Variant, words: Texts) -> list[str]:
    name = f"{row.argument} = {row.value}" if row.argument else words["as_it_is"]
    if row.output is None:
        return [name, words["impossible"], "", "", ""]
    return [
        name,
        numbers.shape(row.output),
        f"{row.parameters:,}",
        f"{row.multiply_adds:,}",
        numbers.along(row.receptive_field),
    ]


# ---- lines -------------------------------------------------------------------------------------------------------


def lines(found: Explanation, texts: Texts) -> list[str]:
    """Returns all of it as text in columns: the name and an empty line first."""
    worked = [line for example in examples(found, texts) for line in _told(example)]
    rows = variants(found, texts)
    table = ["", texts["layer"]["arguments"], "", *_table(headings(texts), rows)] if rows else []
    return [found.layer.name, "", *_aligned(facts(found, texts)), *worked, *table]


def _told(example: Example) -> list[str]:
    block = ["", *_block(example)] if example.grids else []
    right = len(example.sums) > 2  # a column of numbers to add
    return ["", example.heading, *block, "", *_aligned(example.sums, right=right)]


def _block(example: Example) -> list[str]:
    """Returns grids of numbers side by side, each under its heading."""
    columns = []
    for heading, cells in example.grids:
        width = max(len(cell) for row in cells for cell in row)
        rows = [heading, *("  ".join(cell.rjust(width) for cell in row) for row in cells)]
        columns.append([_fill(row, max(map(cell_len, rows))) for row in rows])
    return ["    ".join(parts).rstrip() for parts in zip(*columns, strict=True)]


def _table(headings_: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(cell_len(row[place]) for row in [headings_, *rows]) for place in range(len(headings_))]
    return [_line(row, widths) for row in [headings_, ["─" * width for width in widths], *rows]]


def _line(row: list[str], widths: list[int]) -> str:
    cells = [_fill(cell, width, right=place > 1) for place, (cell, width) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(cells).rstrip()


def _aligned(rows: Pairs, *, right: bool = False) -> list[str]:
    first = max(cell_len(name) for name, _ in rows)
    second = max(cell_len(value) for _, value in rows)
    return [f"{_fill(name, first)}  {_fill(value, second, right=right)}".rstrip() for name, value in rows]


def _fill(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space

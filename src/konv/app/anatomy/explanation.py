"""One layer at length, as lines of text."""

from rich.cells import cell_len

from konv.app.anatomy import numbers
from konv.app.report.words import Texts
from konv.core.anatomy import Explanation, Grid, Variant, Worked


def lines(found: Explanation, texts: Texts) -> list[str]:
    """Returns what the layer does to size and cost, a value worked out, and a table of its arguments."""
    return [
        *_facts(found, texts),
        *(line for worked in found.worked for line in _worked(worked, found, texts)),
        *_variants(found, texts),
    ]


def _facts(found: Explanation, texts: Texts) -> list[str]:
    layer, words = found.layer, texts["table"]
    inputs = ", ".join(map(numbers.shape, layer.inputs or (layer.input,)))
    arguments = ", ".join(f"{name}={value}" for name, value in found.arguments.items())
    bytes_ = {"forward": numbers.memory(layer.forward_bytes), "backward": numbers.memory(layer.backward_bytes)}
    kept = texts["layer"]["memory"].format(**bytes_)
    rows = [
        (words["kind"], f"{layer.kind}({arguments})"),
        (words["input"], inputs),
        (words["output"], numbers.shape(layer.output)),
        (words["formula"], layer.formula),
        (words["parameters"], _counted(layer.parameters, layer.parameters_formula)),
        (words["multiply_adds"], _counted(layer.multiply_adds, layer.multiply_adds_formula)),
        (words["receptive_field"], numbers.along(layer.receptive_field)),
        (words["stride"], numbers.along(layer.stride)),
        (texts["page"]["offset"], numbers.along(layer.offset)),
        (words["memory"], kept),
    ]
    return [layer.name, "", *_aligned(rows)]


def _counted(count: int, formula: str) -> str:
    return f"{formula} = {count:,}" if formula else f"{count:,}"


# ---- a value worked out ------------------------------------------------------------------------------------------


def _worked(worked: Worked, found: Explanation, texts: Texts) -> list[str]:
    words = texts["layer"]
    place = ", ".join(map(str, worked.place))
    heading = words["place"].format(place=place)
    if "mean" in worked.numbers:
        return ["", heading, *_normalised(worked)]
    if not worked.products:
        return ["", heading, "", *_block([(words["window"], worked.window)]), "", *_pooled(worked, words)]
    grids = [(words["window"], worked.window), (words["kernel"], worked.kernel), (words["products"], worked.products)]
    if "Linear" in found.layer.kind:
        grids[0] = (words["features"], worked.window)
    return ["", heading, "", *_block(grids), "", *_summed(worked, words)]


def _summed(worked: Worked, words: Texts) -> list[str]:
    rows = [(words[f"number_{name}"], _number(value)) for name, value in worked.numbers.items()]
    return _aligned([*rows, (words["result"], _number(worked.result)), ("torch", _number(worked.torch))], right=True)


def _pooled(worked: Worked, words: Texts) -> list[str]:
    if "divisor" in worked.numbers:
        text = f"{_number(worked.numbers['sum'])} / {worked.numbers['divisor']:g} = {_number(worked.result)}"
        return _aligned([(words["mean"], text), ("torch", _number(worked.torch))])
    return _aligned([(words["maximum"], _number(worked.result)), ("torch", _number(worked.torch))])


def _normalised(worked: Worked) -> list[str]:
    of = {name: _number(value) for name, value in worked.numbers.items()}
    text = f"({of['x']} − {of['mean']})/√({of['variance']} + {worked.numbers['epsilon']:g}) · {of['gamma']} + {of['beta']}"
    return [
        "",
        *_aligned([("(x − μ)/√(σ² + ε)·γ + β", f"{text} = {_number(worked.result)}"), ("torch", _number(worked.torch))]),
    ]


def _number(value: float, digits: int = 4) -> str:
    rounded = round(value, digits) + 0.0  # without the sign of a zero
    return (f"{rounded:.{digits}f}" if value != int(value) else f"{int(value)}").replace("-", "−")


def _block(grids: list[tuple[str, Grid]]) -> list[str]:
    """Returns grids of numbers side by side, each under its heading."""
    columns = []
    for heading, grid in grids:
        whole = all(value == int(value) for row in grid for value in row)
        cells = [[f"{value:.0f}" if whole else _number(value, 3) for value in row] for row in grid]
        width = max(len(cell) for row in cells for cell in row)
        rows = ["  ".join(cell.rjust(width) for cell in row) for row in cells]
        columns.append(_padded([heading, *rows]))
    height = max(map(len, columns))
    filled = [column + [" " * _length(column[0])] * (height - len(column)) for column in columns]
    return ["    ".join(parts).rstrip() for parts in zip(*filled, strict=True)]


# ---- arguments ---------------------------------------------------------------------------------------------------


def _variants(found: Explanation, texts: Texts) -> list[str]:
    if not found.variants:
        return []
    words, table = texts["layer"], texts["table"]
    headings = [words["argument"], table["output"], table["parameters"], table["multiply_adds"], words["own_field"]]
    rows = [_variant(row, words) for row in found.variants]
    widths = [max(_length(row[place]) for row in [headings, *rows]) for place in range(len(headings))]
    whole = [headings, ["─" * width for width in widths], *rows]
    return ["", words["arguments"], "", *(_table_line(row, widths) for row in whole)]


def _table_line(row: list[str], widths: list[int]) -> str:
    cells = [_fill(cell, width, place > 1) for place, (cell, width) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(cells).rstrip()


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


def _aligned(rows: list[tuple[str, str]], *, right: bool = False) -> list[str]:
    first = max(_length(name) for name, _ in rows)
    second = max(_length(value) for _, value in rows)
    return [f"{_fill(name, first, False)}  {_fill(value, second, right)}".rstrip() for name, value in rows]


def _padded(rows: list[str]) -> list[str]:
    width = max(map(_length, rows))
    return [_fill(row, width, False) for row in rows]


def _fill(text: str, width: int, right: bool) -> str:
    space = " " * (width - _length(text))
    return space + text if right else text + space


def _length(text: str) -> int:
    return cell_len(text)

"""The anatomy as Markdown."""

from konv.app.anatomy import findings, numbers
from konv.app.anatomy.table import totals
from konv.app.report.words import Texts
from konv.core.anatomy import Anatomy, Layer

COLUMNS = ("layer", "kind", "input", "output", "formula", "parameters", "multiply_adds", "receptive_field", "stride", "memory")
RIGHT = COLUMNS[5:]


def text(anatomy: Anatomy, texts: Texts) -> str:
    """Returns a heading, one row per step, and the totals."""
    words = texts["table"]
    timed = anatomy.milliseconds is not None
    columns = (*COLUMNS, *(("milliseconds",) if timed else ()))
    lines = [
        f"# {words['title'].format(network=anatomy.network, input=numbers.shape(anatomy.input))}",
        "",
        _line([words[name] for name in columns]),
        _line(["---:" if name in (*RIGHT, "milliseconds") else "---" for name in columns]),
        *(_line(_cells(layer, timed)) for layer in anatomy.layers),
        *_stopped(anatomy, len(columns)),
        "",
        *(f"* {line}" for line in totals(anatomy, texts)),
        *findings.markdown(anatomy, texts),
    ]
    return "\n".join(lines) + "\n"


def _cells(layer: Layer, timed: bool) -> list[str]:
    cells = [
        f"`{layer.name}`",
        layer.kind,
        numbers.shape(layer.input),
        numbers.shape(layer.output),
        layer.formula,
        _counted(layer.parameters, layer.parameters_formula),
        _counted(layer.multiply_adds, layer.multiply_adds_formula),
        numbers.along(layer.receptive_field),
        numbers.along(layer.stride),
        numbers.memory(layer.forward_bytes),
    ]
    return [*cells, numbers.milliseconds(layer.milliseconds)] if timed else cells


def _stopped(anatomy: Anatomy, columns: int) -> list[str]:
    return [] if anatomy.stopped is None else [_line([f"✗ `{anatomy.stopped}`", *[""] * (columns - 1)])]


def _counted(count: int, formula: str) -> str:
    if not count:
        return "0"
    return f"{formula} = {count:,}" if formula and formula != str(count) else f"{count:,}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

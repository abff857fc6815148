"""The anatomy as a table in a terminal; narrow ones leave out what matters least."""

import re

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from konv.app.anatomy import findings, numbers
from konv.app.report.words import Texts
from konv.core.anatomy import Anatomy, Layer

WIDE = 105  # columns from which kinds and products of parameters have room


def show(anatomy: Anatomy, texts: Texts, console: Console) -> None:
    """Prints one row per step, then the totals and the findings; the step that a finding is about is marked."""
    timed, wide = anatomy.milliseconds is not None, console.width >= WIDE
    headings = _headings(texts["table"], wide, timed)
    rows = [_row(layer, wide, timed) for layer in anatomy.layers]
    bad = findings.marked(anatomy)
    if anatomy.stopped is not None:
        rows.append(_stopped(anatomy.stopped, len(headings), 1 + wide))
    title = texts["table"]["title"].format(network=anatomy.network, input=numbers.shape(anatomy.input))
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, int(wide), 0, 0))
    widths = _widths(headings, rows, console.width, wide)
    for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        table.add_column(heading, width=width, overflow="fold", justify="right" if number > 2 + wide else "left")
    for layer, row in zip(anatomy.layers, rows, strict=False):
        table.add_row(_named(layer, widths[0]), *row[1:], style="red" if layer.name in bad else "")
    if anatomy.stopped is not None:
        table.add_row(*rows[-1], style="red")
    console.print(table)
    for line in totals(anatomy, texts):
        console.print(line, markup=False)
    for finding in anatomy.findings:
        findings.show(finding, texts, console)


def _stopped(name: str, columns: int, output: int) -> list[str]:
    """Returns the row of the step at which the pass stopped."""
    return [escape(name), *("✗" if column == output else "" for column in range(1, columns))]


def _headings(words: Texts, wide: bool, timed: bool) -> list[str]:
    first = ["layer", *(["kind"] if wide else []), "output", "formula"]
    counts = ["parameters", "multiply_adds", "receptive_field", *(["milliseconds"] if timed else [])]
    shown = [words[name] if wide else words.get(f"{name}_short", words[name]) for name in counts]
    return [words[name] for name in first] + [heading.replace(" ", "\n").replace("-", "-\n") for heading in shown]


def _row(layer: Layer, wide: bool, timed: bool) -> list[str]:
    parameters = f"{layer.parameters:,}" if layer.parameters else "↑" if layer.shared else ""
    text = escape(numbers.formula(layer))
    if wide and layer.parameters_formula:
        text = f"{text}\n[dim]{layer.parameters_formula} = {layer.parameters:,}[/dim]".removeprefix("\n")
    cost = numbers.amount(layer.multiply_adds) if layer.multiply_adds else ""
    row = [escape(layer.name), *([escape(layer.kind)] if wide else []), numbers.shape(layer.output), text, parameters, cost]
    row.append(numbers.along(layer.receptive_field))
    return [*row, numbers.milliseconds(layer.milliseconds)] if timed else row


def _named(layer: Layer, width: int) -> Text:
    """Returns the name, broken behind its dots where it is too long; functions between layers are dim."""
    lines = [""]
    for part in re.split(r"(?<=\.)", layer.name):
        fits = len(lines[-1] + part) <= width
        lines[-1:] = [lines[-1] + part] if fits else [lines[-1], part]
    return Text("\n".join(line for line in lines if line), style="" if layer.module else "dim")


def _widths(headings: list[str], rows: list[list[str]], room: int, wide: bool) -> list[int]:
    """Numbers and shapes are never broken; names and kinds give way first, then formulas."""
    texts = [[Text.from_markup(row[place]) for row in rows] for place in range(len(headings))]
    natural = [
        max(cell_len(line) for cell in [heading, *(text.plain for text in column)] for line in cell.split("\n"))
        for heading, column in zip(headings, texts, strict=True)
    ]
    excess = sum(natural) + (1 + wide) * len(natural) - 1 - room
    for place, least in ((2 + wide, 30), (0, 16), *(((1, 11),) if wide else ()), (0, 10), (2 + wide, 16)):
        given = max(0, min(excess, natural[place] - least))
        natural[place] -= given
        excess -= given
    return natural


def totals(anatomy: Anatomy, texts: Texts) -> list[str]:
    """Returns the sums in words, and the remarks."""
    words = texts["totals"]
    lines = [
        words["parameters"].format(count=anatomy.parameters, memory=numbers.memory(anatomy.parameter_bytes)),
        words["multiply_adds"].format(count=anatomy.multiply_adds, short=numbers.amount(anatomy.multiply_adds)),
        words["memory"].format(forward=numbers.memory(anatomy.forward_bytes), backward=numbers.memory(anatomy.backward_bytes)),
    ]
    if anatomy.milliseconds is not None:
        lines.append(words["time"].format(milliseconds=numbers.milliseconds(anatomy.milliseconds)))
    return [*lines, *remarks(anatomy, texts)]


def remarks(anatomy: Anatomy, texts: Texts) -> list[str]:
    """Returns what a reader would otherwise miss: frozen, shared and unused parameters."""
    words = texts["totals"]
    lines = []
    if anatomy.trainable != anatomy.parameters:
        lines.append(words["frozen"].format(count=anatomy.parameters - anatomy.trainable))
    if any(layer.shared for layer in anatomy.layers):
        lines.append(words["shared"])
    if anatomy.unused:
        names = sorted({unused.name.rpartition(".")[0] or unused.name for unused in anatomy.unused})
        shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        lines.append(words["unused"].format(count=sum(unused.parameters for unused in anatomy.unused), names=shown))
    return lines

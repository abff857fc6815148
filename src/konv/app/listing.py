"""Lists for people and for programs: shelves, runs, data summaries. Loads no torch."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from konv.core.results import DataSummary
from konv.core.shelf import Shelf


def print_rows(name: str, rows: list[dict[str, Any]], as_json: bool, *, empty: str) -> int:
    """Prints rows of equal keys as a table, or as JSON under `name`."""
    if as_json:
        print(json.dumps({name: rows}, ensure_ascii=False))
    elif not rows:
        print(empty)
    else:
        table = Table()
        for key in rows[0]:
            table.add_column(key, overflow="fold")
        for row in rows:
            table.add_row(*(escape(_shown(key, value)) for key, value in row.items()))
        Console(highlight=False).print(table)
    return 0


def _shown(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and key.endswith("accuracy"):
        return f"{value:.2%}"
    return "" if value is None else str(value)


def print_shelf(name: str, shelf: Shelf, as_json: bool, *, more: str) -> int:
    """Prints every file of a shelf with its description, the names it answers to, and its options."""
    entries = shelf.entries()
    rows = [
        {
            "name": f"{entry.name}:NAME" if entry.open else entry.name,
            "what it is": entry.description,
            **({"variants": ", ".join(entry.variants)} if any(other.variants for other in entries) else {}),
            "options": ", ".join(f"{option.name}={option.default}" for option in entry.options),
        }
        for entry in entries
    ]
    print_rows(name, rows, as_json, empty="")
    if not as_json:
        print(more)
    return 0


def print_summary(summary: DataSummary, as_json: bool) -> int:
    """Prints what a source holds: shape, counts per class and split, broken files."""
    if as_json:
        print(json.dumps(summary.model_dump(mode="json"), ensure_ascii=False))
        return 0
    shape = "×".join(map(str, summary.shape))
    print(f"{summary.source}: {len(summary.classes)} classes of {shape}")
    print(f"mean {_numbers(summary.mean)}  std {_numbers(summary.std)} of the training pictures, 1 = brightest")
    table = Table()
    table.add_column("class", overflow="fold")
    for split in summary.splits:
        table.add_column(split, justify="right")
    for name in summary.classes:
        table.add_row(escape(name), *(f"{counts[name]:,}" for counts in summary.splits.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in summary.splits.values()))
    Console(highlight=False).print(table)
    print(f"test: {summary.sealed:,} pictures, sealed until a training has ended")
    for item in summary.broken:
        print(f"skipped {item['file']}: {item['cause']}")
    return 0


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)

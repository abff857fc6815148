"""Findings for people: where, what, why, how it is mended, and the correction as a diff."""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from konv.app.report.words import Texts
from konv.core.anatomy import Anatomy
from konv.core.findings import Finding

COLOURS = {"error": "red", "warning": "yellow", "hint": "cyan"}
SIGNS = {"error": "✗", "warning": "!", "hint": "·"}
CHANGES = {"+": "green", "-": "red", "@": "cyan"}


def show(finding: Finding, texts: Texts, console: Console) -> None:
    """Prints one finding; the file's line and the diff are never broken."""
    words, colour = texts["findings"], COLOURS[finding.severity]
    console.print()
    console.print(f"[bold {colour}]{SIGNS[finding.severity]} {escape(heading(finding, texts))}[/]")
    for text in (finding.what, f"{words['why']}: {finding.why}", f"{words['fix']}: {finding.fix}"):
        console.print(Padding(escape(text), (0, 0, 0, 2)))
    for line in (finding.patch or "").splitlines():
        colour = CHANGES.get(line[:1], "dim")
        console.print(f"    [{colour}]{escape(line)}[/]", soft_wrap=True)


def heading(finding: Finding, texts: Texts) -> str:
    """Returns severity, rule and place: `error layer_width: fc1, my_net.py:12`."""
    place = ", ".join(part for part in (finding.layer, f"{finding.file}:{finding.line}" if finding.file else None) if part)
    return f"{texts['findings'][finding.severity]} {finding.rule}{': ' if place else ''}{place}"


def markdown(anatomy: Anatomy, texts: Texts) -> list[str]:
    """Returns the lines of a section, or nothing where nothing was found."""
    lines = []
    for finding in anatomy.findings:
        words = texts["findings"]
        lines += ["", f"## {heading(finding, texts)}", "", finding.what, ""]
        lines += [f"* {words['why']}: {finding.why}", f"* {words['fix']}: {finding.fix}"]
        lines += ["", "```diff", finding.patch.rstrip("\n"), "```"] if finding.patch else []
    return lines


def marked(anatomy: Anatomy) -> set[str]:
    """Returns the names of the steps that ran and that a finding is about."""
    return {finding.layer for finding in anatomy.findings if finding.layer and finding.layer != anatomy.stopped}

"""Corrections of a person's file: each is shown as a diff, asked for, and written whole or not at all."""

import sys
from pathlib import Path

from rich.console import Console

from konv.app.anatomy import findings, words
from konv.core.errors import BadModel
from konv.doctor import Script, diagnose_script, save

ROUNDS = 20  # corrections one after the other at most


def mend(script: Script, shape: tuple[int, ...], classes: int | None, *, yes: bool, language: str) -> Script:
    """Returns the script as it lies in the file after the corrections that were accepted, one after the other."""
    texts, console = words.load(language), Console(stderr=True, highlight=False)
    for _ in range(ROUNDS):
        found = diagnose_script(script, shape, classes=classes, language=language)
        if found.mended is None:
            break
        for finding in found.findings:
            findings.show(finding, texts, console)
        if not yes and not _accepted(texts["findings"]["ask"].format(file=script.path)):
            console.print(texts["findings"]["kept"], markup=False)
            break
        _require_unchanged(script)
        save(found.mended)
        console.print(texts["findings"]["written"].format(file=script.path), markup=False)
        script = found.mended
    return script


def _accepted(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "예", "네")


def _require_unchanged(script: Script) -> None:
    if Path(script.path).read_bytes() != script.text.encode("utf-8"):
        raise BadModel(f"{script.path} was changed in the meantime, so nothing was written; run the same command again.")

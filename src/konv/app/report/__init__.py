"""The training report: one self-contained page and its figures, written into the run folder."""

from pathlib import Path

from konv.app.report import words
from konv.app.report.words import Language
from konv.core.run import Run

__all__ = ["language", "write"]


def language(lang: str | None) -> Language:
    """Returns the chosen language, or that of the locale where none was chosen; raises UnknownName."""
    return words.checked(lang) if lang else words.of_locale()


def write(run: Run, language: str = "en") -> Path:
    """Writes report.html and the figures of a finished run and returns the page's path; raises BadRun, UnknownName."""
    from konv.app.report import page  # matplotlib costs 0.6 s: not on the road of --help

    return page.write(run, words.checked(language))

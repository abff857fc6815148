"""The words of the anatomy, one TOML file per language."""

from pathlib import Path

from konv.app.report import words
from konv.app.report.words import Texts

FOLDER = Path(__file__).with_name("texts")


def load(language: str) -> Texts:
    """Returns every text of a language, by section and key; raises UnknownName."""
    return words.load(language, FOLDER)

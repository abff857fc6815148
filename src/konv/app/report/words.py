"""The words of the report and its figures, one TOML file per language."""

import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from konv.core.errors import UnknownName, did_you_mean

Language = Literal["en", "ko"]
Texts = Mapping[str, Any]
FOLDER = Path(__file__).with_name("texts")


@lru_cache
def load(language: str, folder: Path = FOLDER) -> Texts:
    """Returns every text of a language, by section and key; raises UnknownName."""
    path = folder / f"{checked(language)}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def checked(language: str) -> Language:
    """Returns the language a name such as `ko` or `ko_KR.UTF-8` stands for, or raises UnknownName."""
    found: dict[str, Language] = {"en": "en", "ko": "ko"}
    plain = language.lower().replace("-", "_").partition(".")[0].partition("_")[0]
    if plain not in found:
        guess = did_you_mean(plain, found)
        raise UnknownName(f"there is no language {language!r} for reports{guess or '.'} Known: {', '.join(found)}.")
    return found[plain]


def of_locale() -> Language:
    """Returns the language of LC_ALL, LC_MESSAGES or LANG, the first that is set; English where konv has no texts."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ko" if next(filter(None, names), "").lower().startswith("ko") else "en"

"""Seals: JSON that carries a checksum of itself, so that one flipped bit is found when it is read.

The checksum is the last member of a table, or of each table in a list. Reading writes the content again and compares the
texts, so a change of white space or of a number's last digit is found too, although it may mean the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "checksum"
DIGITS = 16  # hexadecimal, of a sha256: chance alone passes one damage in 2⁶⁴


class BrokenSeal(ValueError):
    """A text that is JSON, but not the one that was sealed."""


def sealed(content: Any, indent: int | None = 1) -> str:
    """Returns a table, or a list of tables, as JSON with its checksum."""
    if isinstance(content, list):
        return _text([_with_seal(item, indent) for item in content], indent)
    return _text(_with_seal(content, indent), indent)


def unsealed(text: str, indent: int | None = 1) -> Any:
    """Returns what was sealed, without the checksum; raises ValueError where a single character is not as it was written."""
    content = json.loads(text)
    bare = [without_seal(item) for item in content] if isinstance(content, list) else without_seal(content)
    if sealed(bare, indent) != text:
        raise BrokenSeal("its checksum does not hold")
    return bare


def without_seal(table: Any) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise BrokenSeal("it holds no table of names and values")
    return {name: value for name, value in table.items() if name != SEAL}


def _with_seal(table: Mapping[str, Any], indent: int | None) -> dict[str, Any]:
    digest = hashlib.sha256(_text(table, indent).encode("utf-8")).hexdigest()
    return {**table, SEAL: digest[:DIGITS]}


def _text(content: Any, indent: int | None) -> str:
    return json.dumps(content, ensure_ascii=False, indent=indent) + "\n"
